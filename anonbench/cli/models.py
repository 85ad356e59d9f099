"""`anonbench models`: the anonymizers that can be run by name, and centres for their truncation."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.table import Table

    from anonbench.cards import ModelCard

Row = tuple[str, str, str, str, str]


@click.group("models", invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> None:
    """List the anonymizers; find centres for multimodal truncation."""
    if context.invoked_subcommand is None:
        context.invoke(list_command)


@command.command("list")
def list_command() -> None:
    """The anonymizers by name, then the ablations."""
    from rich.console import Console

    from anonbench.cards import ModelCard, packaged_cards, packaged_paths

    cards = packaged_cards("models", ModelCard)
    ablations = [name for name, path in packaged_paths("models").items() if path.parent.name == "ablations"]
    rows = [_row(card) for name, card in cards.items() if name not in ablations]
    console = Console()
    console.print(_table([*rows, *_rows_without_card(set(cards))]))
    console.print("\n[bold]Ablations: the rows of thesis Table 5.3[/bold]")
    console.print(_table([_row(cards[name]) for name in ablations]))


@command.command("centres")
@click.argument("card", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="CARD.yaml")
@click.option("--count", type=click.IntRange(min=1), default=32, show_default=True, help="Centres.")
@click.option(
    "--samples", type=click.IntRange(min=1), default=20_000, show_default=True, help="w to find them among."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the samples and of k-means.")
def centres_command(card: Path, count: int, samples: int, seed: int) -> None:
    """Find the centres in W that multimodal truncation pulls towards, and store them in the checkpoint.

    Rewrites the checkpoint beside the card, and its sha256 in the card.

    \b
    anonbench models centres runs/final/final.yaml
    """
    from anonbench.anonymizers.centres import store_centres

    found = store_centres(card, count, samples, seed)
    click.echo(
        f"{card}: {count} centres of {samples} w, {found.left:.0%} of whose variance is left around them"
    )


def _table(rows: Iterable[Row]) -> "Table":
    from rich.table import Column, Table

    name = Column("name", no_wrap=True)
    table = Table(name, "kind", "latent", "reconstructs", "description", box=None, header_style="bold")
    for row in rows:
        table.add_row(*row)
    return table


def _row(card: "ModelCard") -> Row:
    from anonbench.anonymizers.registry import is_trained

    latent = f"{card.latent_dim}-d" if card.latent_dim else "-"
    reconstructs = "yes" if card.can_reconstruct else "-"
    untrained = "" if is_trained(card) else f" (no checkpoint: anonbench train {card.name})"
    return card.name, card.kind, latent, reconstructs, first_clause(card.description) + untrained


def _rows_without_card(packaged: set[str]) -> Iterator[Row]:
    from anonbench.anonymizers.registry import anonymizer_names

    for name in sorted(set(anonymizer_names()) - packaged):
        yield name, "third party", "", "", "installed class of the entry point group anonbench.anonymizers"
    yield "folder=PATH", "folder", "-", "-", "already anonymized images, matched by relative path"


def first_clause(description: str) -> str:
    """What stands before the first colon or full stop: a card may go on for a paragraph."""
    return re.split(r"[:.]\s", description.strip(), maxsplit=1)[0].rstrip(".")
