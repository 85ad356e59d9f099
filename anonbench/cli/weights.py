"""`anonbench weights`: official weights, which are never part of the package."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from anonbench.errors import UsageError, WeightsError

if TYPE_CHECKING:
    from anonbench.weights import VerifiedWeights


@click.group("weights")
def command() -> None:
    """Get, verify and list official weights; convert checkpoints."""


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


@command.command("pull")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--all", "everything", is_flag=True, help="Every weight file that can be downloaded.")
@click.option(
    "--protocol", "-p", "protocols", multiple=True, help="What this protocol's presets measure with."
)
@click.option(
    "--offline", is_flag=True, help="Download nothing; say what is missing. Also ANONBENCH_OFFLINE=1."
)
def pull_command(names: tuple[str, ...], everything: bool, protocols: tuple[str, ...], offline: bool) -> None:
    """Download the weight files NAME... that are not here, and check them.

    A download that broke off goes on where it stopped. Proxies are read from HTTPS_PROXY and HTTP_PROXY.
    """
    from anonbench.weights.download import pull
    from anonbench.weights.registry import weights_cards

    wanted = [*names, *(name for protocol in protocols for name in _weights_of(protocol))]
    if everything:
        wanted += [card.name for card in weights_cards() if card.by_hand is None]
    if not wanted:
        raise UsageError("nothing to pull: give names ('anonbench weights list'), --protocol or --all")
    _each(wanted, lambda name: pull(name, offline))


@command.command("verify")
@click.argument("names", nargs=-1, metavar="[NAME]...")
def verify_command(names: tuple[str, ...]) -> None:
    """Check the hashes of NAME..., or of all that are here, and what the networks answer with them.

    A file without a published hash is pinned by its first check: NAME.sha256 beside it.
    """
    from anonbench.weights import list_weights

    _each(names or [status.card.name for status in list_weights() if status.path], _verified)


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


def _each(names: Iterable[str], get: "Callable[[str], VerifiedWeights]") -> None:
    """One line for each file. Problems are told at the end, so that one file does not keep back the others."""
    problems = []
    for name in dict.fromkeys(names):
        try:
            found = get(name)
        except WeightsError as error:
            problems.append(str(error))
        else:
            click.echo(f"{name:28} {found.sha256}  {found.card.trust:9}  {found.path}")
    if problems:
        raise WeightsError("; ".join(problems))


def _verified(name: str) -> "VerifiedWeights":
    """Checked by hash, and by building the networks that are made from it."""
    from anonbench.features.extractors import EXTRACTORS, load_extractor, load_perceptual
    from anonbench.weights import verified_weights
    from anonbench.weights.known_answers import probe

    found = verified_weights(name)
    for entry in EXTRACTORS.values():
        if entry.weights == name and entry.kind == "perceptual":
            load_perceptual(entry.name).distance(probe(), probe())
        elif entry.weights == name:
            load_extractor(entry.name).features(probe())
    return found


def _weights_of(protocol: str) -> list[str]:
    """The weight files behind the extractors of a protocol's presets."""
    from anonbench.features.extractors import EXTRACTORS
    from anonbench.protocols.registry import protocol_card

    extractors = (name for preset in protocol_card(protocol).presets.values() for name in preset.extractors)
    return sorted({weights for name in extractors if (weights := EXTRACTORS[name].weights)})
