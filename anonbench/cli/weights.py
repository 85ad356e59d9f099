"""`anonbench weights`: official weights, which are never part of the package."""

from pathlib import Path

import click


@click.group("weights")
def command() -> None:
    """List official weights and where their files belong; convert checkpoints."""


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


@command.command("convert")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--sha256", help="Hash that FILE must have; without it the command says what it is, and stops.")
@click.option(
    "--out", "-o", required=True, type=click.Path(path_type=Path), help="The .safetensors to write."
)
@click.option("--key", help="Which state dictionary of FILE, as in EMA_generator or model.state_dict.")
def convert_command(file: Path, sha256: str | None, out: Path, key: str | None) -> None:
    """Write the tensors of the PyTorch checkpoint FILE as safetensors, without running code from it."""
    from anonbench.conversion import convert_checkpoint

    done = convert_checkpoint(file, out, sha256, key)
    click.echo(f"{done.path}: {done.tensors} tensors, sha256 {done.sha256}")
    if done.left_out:
        click.echo(f"left out: {', '.join(done.left_out)}")
