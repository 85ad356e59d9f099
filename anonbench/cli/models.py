"""`anonbench models`: the anonymizers that can be run by name."""

import re

import click


@click.command("models")
def command() -> None:
    """List the anonymizers."""
    from rich.console import Console
    from rich.table import Table

    from anonbench.anonymizers.registry import anonymizer_names
    from anonbench.cards import ModelCard, packaged_cards

    packaged = packaged_cards("models", ModelCard)
    table = Table("name", "kind", "latent", "reconstructs", "description", box=None, header_style="bold")
    for card in packaged.values():
        latent = f"{card.latent_dim}-d" if card.latent_dim else "-"
        table.add_row(
            card.name,
            card.kind,
            latent,
            "yes" if card.can_reconstruct else "-",
            first_clause(card.description),
        )
    for name in set(anonymizer_names()) - set(packaged):
        table.add_row(
            name, "third party", "", "", "installed class of the entry point group anonbench.anonymizers"
        )
    table.add_row("folder=PATH", "folder", "-", "-", "already anonymized images, matched by relative path")
    Console().print(table)


def first_clause(description: str) -> str:
    """What stands before the first colon or full stop: a card may go on for a paragraph."""
    return re.split(r"[:.]\s", description.strip(), maxsplit=1)[0].rstrip(".")
