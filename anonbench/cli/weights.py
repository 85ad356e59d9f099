"""`anonbench weights`: official weights, which are never part of the package."""

import click


@click.group("weights")
def command() -> None:
    """List official weights and where their files belong."""


@command.command("list")
def list_command() -> None:
    """Every registered weight file: is it here, and what is it."""
    from rich.console import Console
    from rich.table import Table

    from anonbench.weights import list_weights, weights_dir

    table = Table("name", "state", "file", "what it is", box=None, header_style="bold")
    for status in list_weights():
        table.add_row(status.card.name, status.state, str(status.path or "-"), status.card.description)
    Console().print(table)
    click.echo(f"folder: {weights_dir()}")


@command.command("path")
@click.argument("name")
def path_command(name: str) -> None:
    """Where the file of NAME lies; an error with sources and hash where it is absent."""
    from anonbench.weights import weights_path

    click.echo(weights_path(name))
