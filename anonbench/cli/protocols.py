"""`anonbench protocols`: what can be measured."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.table import Table


@click.command("protocols")
@click.argument("name", required=False)
def command(name: str | None) -> None:
    """List the protocols and their presets, or every statistic of the protocol NAME."""
    from rich.console import Console

    Console().print(_statistics(name) if name else _protocols())


def _protocols() -> "Table":
    from rich.table import Table

    from anonbench.protocols.registry import protocol_card, protocol_names

    table = Table("name", "version", "what it does", "follows", "presets", box=None, header_style="bold")
    for name in protocol_names():
        card = protocol_card(name)
        presets = [f"{k}: {p.count or 'all'} at {p.size[0]}x{p.size[1]}" for k, p in card.presets.items()]
        table.add_row(name, str(card.version), card.description, card.reference, "\n".join(presets))
    return table


def _statistics(name: str) -> "Table":
    from rich.table import Table
    from rich.text import Text

    from anonbench.protocols.catalog import metric_table
    from anonbench.reporting.labels import ARROWS

    table = Table(
        "statistic", "what it is", "unit; range", "needs", box=None, header_style="bold", padding=(0, 2, 1, 0)
    )
    for entry in metric_table(name).metrics:
        what = f"{entry.definition} ({entry.source})"
        cells = [f"{entry.key} {ARROWS[entry.direction]}", what, f"{entry.unit}; {entry.range}", entry.needs]
        table.add_row(*map(Text, cells))  # brackets in definitions are not markup
    return table
