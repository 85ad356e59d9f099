"""Tables of the differences between models: how large, how certain, and who is better."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from anonbench.reporting.comparison import Comparison, Row
from anonbench.reporting.marks import ALPHA, Difference

if TYPE_CHECKING:
    from rich.console import Console

COLUMNS = ("Measure", "Models", "Difference", "95 % interval", "p", "Groups", "Better")
WORDS = ("Measure", "Models", "Better")
NARROW = 110
"""Characters: a terminal narrower than this shows neither intervals nor groups."""

DIFFERENCES_LEGEND = (
    "Difference: the first model minus the second, measured on the same samples, with the interval of a paired"
    " bootstrap over groups (people, clips). p: sign-flip permutation of the groups, after Holm's correction for"
    f" this table. Better: by more than the seed spread and p < {ALPHA}. Distances between whole sets, as"
    " Fréchet's, have no test: there the intervals of the two models must not overlap, which is stricter."
)


def difference_lines(comparison: Comparison) -> list[tuple[str, ...]]:
    """One line of text per difference in the headline measures, or in all where there are none: `COLUMNS`."""
    rows = comparison.headlines or comparison.rows
    return [_line(row, difference) for row in rows for difference in row.differences]


def markdown_differences(comparison: Comparison, escape: Callable[[str], str]) -> str:
    """The differences as GitHub Markdown; empty where there are none."""
    lines = [tuple(map(escape, line)) for line in difference_lines(comparison)]
    if not lines:
        return ""
    table = [COLUMNS, (":--", ":--", "--:", "--:", "--:", "--:", ":--"), *lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in table)


def render_differences(comparisons: Sequence[Comparison], console: "Console") -> None:
    """Print the differences of each comparison that has some."""
    from rich.table import Table
    from rich.text import Text

    for comparison in comparisons:
        lines = difference_lines(comparison)
        if not lines:
            continue
        narrow = console.width < NARROW
        table = Table(title=Text(f"Differences, {comparison.title}"), title_justify="left")
        shown = [i for i, name in enumerate(COLUMNS) if not (narrow and name in ("95 % interval", "Groups"))]
        for i in shown:
            justify: Literal["left", "right"] = "left" if COLUMNS[i] in WORDS else "right"
            table.add_column(COLUMNS[i], justify=justify)
        for line in lines:
            table.add_row(*(Text(line[i]) for i in shown))
        console.print(table)
        console.print(Text(DIFFERENCES_LEGEND, style="dim"))


def p_value(difference: Difference) -> str:
    """The adjusted p value as printed; a dash where there is no test."""
    if difference.adjusted is None:
        return "–"
    return "< 0.001" if difference.adjusted < 0.001 else f"{difference.adjusted:.3f}"


def _line(row: Row, difference: Difference) -> tuple[str, ...]:
    value, _, interval = row.difference(difference).partition(" ")
    groups = "" if difference.groups is None else str(difference.groups)
    models = f"{difference.model} − {difference.against}"
    return row.label, models, value, interval, p_value(difference), groups, row.verdict(difference)
