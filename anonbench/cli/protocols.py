"""`anonbench protocols`: what can be measured."""

import click


@click.command("protocols")
def command() -> None:
    """List the protocols and their presets."""
    from rich.console import Console
    from rich.table import Table

    from anonbench.protocols.registry import protocol_card, protocol_names

    table = Table("name", "version", "what it does", "follows", "presets", box=None, header_style="bold")
    for name in protocol_names():
        card = protocol_card(name)
        presets = [f"{k}: {p.count or 'all'} at {p.size[0]}x{p.size[1]}" for k, p in card.presets.items()]
        table.add_row(name, str(card.version), card.description, card.reference, "\n".join(presets))
    Console().print(table)
