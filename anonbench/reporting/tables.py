"""Comparison tables for a reader: terminal, Markdown, TeX."""

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from anonbench.errors import UsageError
from anonbench.records import Record
from anonbench.reporting.comparison import (
    SHARED,
    Comparison,
    Row,
    Shared,
    by_protocol,
    compare,
)
from anonbench.reporting.difference_tables import (
    COLUMNS,
    DIFFERENCES_LEGEND,
    difference_lines,
    markdown_differences,
)
from anonbench.reporting.files import write_text
from anonbench.reporting.labels import protocol_title

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

LEGEND = (
    "Values with 95 % intervals; the arrow points to better. Bold: beats every other anonymizer by more than"
    " the seed spread (the larger of two models' ranges over latent seeds) and in a paired test on the same samples"
    " (p < 0.05 after Holm; without values per sample, the intervals must not overlap). Tie: nothing tells it"
    " from the best. Untouched images are shown, not ranked. n: samples behind a value; chance: a random"
    " ranking; floor: real against real; ceiling: untouched images."
)


def comparison_table(records: Iterable[Record]) -> "pd.DataFrame":
    """Every metric of records that share data and preset, as printed text.

    Rows (protocol, metric, extractor) in reading order; columns: the models, then n, chance, floor, ceiling.
    A cell reads "31.2 [29.8, 32.5]", with " (best)" or " (tie)".

    Raises UsageError where the records do not share data and preset, or measure the same thing twice.
    """
    import pandas as pd

    comparisons = compare(records)
    if len(comparisons) != 1:
        found = "; ".join(c.title for c in comparisons) or "none"
        raise UsageError(f"a table needs records of one data name and one preset, got: {found}")
    comparison = comparisons[0]
    rows = comparison.rows
    index = pd.MultiIndex.from_tuples(
        [(row.key.protocol, row.label, row.key.extractor) for row in rows],
        names=["protocol", "metric", "extractor"],
    )
    columns = {model: [_plain_cell(row, model) for row in rows] for model in comparison.models}
    columns |= {name: [row.common(name) for row in rows] for name in SHARED}
    return pd.DataFrame(columns, index=index)


def write_markdown(comparisons: Sequence[Comparison], path: Path) -> Path:
    """The headline table and the full table of each comparison, as GitHub Markdown."""
    parts = ["# Comparison", LEGEND]
    for comparison in comparisons:
        parts.append(f"## {_markdown(comparison.title)}")
        if comparison.headlines:
            parts += ["### Headline", _markdown_table(comparison, comparison.headlines)]
        if differences := markdown_differences(comparison, _markdown):
            parts += ["### Differences", differences, DIFFERENCES_LEGEND]
        for protocol, rows in by_protocol(comparison.rows):
            parts += [f"### {_markdown(protocol_title(protocol))}", _markdown_table(comparison, rows)]
    return write_text("\n\n".join(parts) + "\n", path)


def headline_markdown(comparison: Comparison) -> str:
    """The headline table alone, as GitHub Markdown."""
    return _markdown_table(comparison, comparison.headlines)


def write_tex(comparisons: Sequence[Comparison], path: Path) -> Path:
    """The same tables for a paper: `\\input` the file; needs the package booktabs."""
    parts = ["% Needs \\usepackage{booktabs}."]
    for comparison in comparisons:
        title = _tex(comparison.title)
        if comparison.headlines:
            headline = [("", comparison.headlines)]
            parts.append(_tex_table(comparison, headline, f"Headline measures on {title}."))
        if lines := difference_lines(comparison):
            parts.append(_tex_differences(lines, f"Differences on {title}. {_tex(DIFFERENCES_LEGEND)}"))
        groups = [(protocol_title(name), rows) for name, rows in by_protocol(comparison.rows)]
        parts.append(_tex_table(comparison, groups, f"All measures on {title}. {_tex(LEGEND)}"))
    return write_text("\n\n".join(parts) + "\n", path)


def render_terminal(comparisons: Sequence[Comparison], console: "Console", full: bool = False) -> None:
    """Print the headline tables, or with `full` every metric, in the widest layout that fits the console.

    Models side by side with all columns; else without n, chance, floor and ceiling; else one line per model.
    """
    from rich.text import Text

    for comparison in comparisons:
        rows = comparison.rows if full or not comparison.headlines else comparison.headlines
        beside = [_side_by_side(comparison, rows, shared) for shared in (SHARED, ())]
        unlimited = console.options.update(width=10_000)
        fitting = [t for t in beside if console.measure(t, options=unlimited).maximum <= console.width]
        console.print(fitting[0] if fitting else _stacked(comparison, rows))
        console.print(Text(LEGEND, style="dim"))


def _plain_cell(row: Row, model: str) -> str:
    mark = row.marks.get(model, "")
    return " ".join(part for part in (row.value(model), row.interval(model), mark and f"({mark})") if part)


def _side_by_side(comparison: Comparison, rows: Iterable[Row], shared: Sequence[Shared]) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(comparison.title), title_justify="left")
    table.add_column("Measure", max_width=34)
    for heading in (*comparison.models, *shared):
        table.add_column(Text(heading), justify="right", no_wrap=True)
    for row in rows:
        values = [_value(row, model).append(f"\n{row.interval(model)}", "dim") for model in comparison.models]
        measure = Text.assemble(row.label, "\n", (row.key.extractor, "dim"))
        table.add_row(measure, *values, *(row.common(name) for name in shared))
    return table


def _stacked(comparison: Comparison, rows: Iterable[Row]) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(comparison.title), title_justify="left")
    for heading in ("Measure, model", "Value", "95 % interval", "n", "Chance"):
        table.add_column(heading, justify="left" if heading.startswith("Measure") else "right")
    for row in rows:
        table.add_section()
        table.add_row(
            Text.assemble(row.label, " ", (row.key.extractor, "dim")), "", "", "", row.common("chance")
        )
        for model, metric in row.metrics.items():
            table.add_row(Text(f"  {model}"), _value(row, model), row.interval(model), str(metric.n))
    return table


def _value(row: Row, model: str) -> "Text":
    from rich.text import Text

    mark = row.marks.get(model, "")
    value = Text(row.value(model), style="bold green" if mark == "best" else "")
    return value.append(" tie", style="cyan") if mark == "tie" else value


def _markdown_table(comparison: Comparison, rows: Iterable[Row]) -> str:
    def cell(row: Row, model: str) -> str:
        mark = row.marks.get(model, "")
        value = f"**{row.value(model)}**" if mark == "best" else row.value(model)
        parts = (value, row.interval(model), "(tie)" if mark == "tie" else "")
        return " ".join(part for part in parts if part)

    header = ["Measure", "Extractor", *map(_markdown, comparison.models), *SHARED]
    lines = [header, [":--", ":--", *["--:"] * (len(header) - 2)]]
    lines += _table_rows(comparison, rows, _markdown, cell)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _tex_table(comparison: Comparison, groups: Iterable[tuple[str, Sequence[Row]]], caption: str) -> str:
    def cell(row: Row, model: str) -> str:
        value, interval, mark = row.value(model), row.interval(model), row.marks.get(model, "")
        value = f"\\textbf{{{value}}}" if mark == "best" else value
        value += "\\textsuperscript{tie}" if mark == "tie" else ""
        return f"{value} {{\\scriptsize {interval}}}" if interval else value

    header = ["Measure", "Extractor", *map(_tex, comparison.models), *SHARED]
    body = []
    for title, rows in groups:
        body.append("\\midrule")
        if title:
            body.append(f"\\multicolumn{{{len(header)}}}{{l}}{{\\textit{{{_tex(title)}}}}} \\\\")
        body += _tex_lines(_table_rows(comparison, rows, _tex, cell))
    return _tex_float(header, f"ll{'r' * (len(header) - 2)}", body, caption)


def _tex_differences(lines: Iterable[Sequence[str]], caption: str) -> str:
    body = ["\\midrule", *_tex_lines(map(_tex, line) for line in lines)]
    return _tex_float(list(map(_tex, COLUMNS)), "llrrrrl", body, caption)


def _tex_lines(lines: Iterable[Iterable[str]]) -> list[str]:
    return [f"{' & '.join(line)} \\\\" for line in lines]


def _tex_float(header: Sequence[str], alignment: str, body: Sequence[str], caption: str) -> str:
    return "\n".join(
        [
            "\\begin{table*}[t]",
            "\\centering\\footnotesize\\setlength{\\tabcolsep}{4pt}",
            f"\\caption{{{caption}}}",
            f"\\begin{{tabular}}{{{alignment}}}",
            "\\toprule",
            *_tex_lines([header]),
            *body,
            "\\bottomrule",
            "\\end{tabular}",
            "\\end{table*}",
        ]
    )


def _table_rows(
    comparison: Comparison,
    rows: Iterable[Row],
    escape: Callable[[str], str],
    cell: Callable[[Row, str], str],
) -> list[list[str]]:
    return [
        [
            escape(row.label),
            escape(row.key.extractor),
            *(cell(row, model) for model in comparison.models),
            *(row.common(name) for name in SHARED),
        ]
        for row in rows
    ]


def _markdown(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>|#])", r"\\\1", text)


_TEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}",
    "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "↑": r"$\uparrow$", "↓": r"$\downarrow$", "→": r"$\to$", "−": r"$-$", "–": r"--", "∞": r"$\infty$", "é": r"\'e",
}  # fmt: skip


def _tex(text: str) -> str:
    return "".join(_TEX.get(character, character) for character in text)
