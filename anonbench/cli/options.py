"""Options that several commands share."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from anonbench.records import Record

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

data: Decorator = click.option(
    "--data", default="synthetic", show_default=True, metavar="NAME|NAME=PATH",
    help="synthetic, fdh=PATH, market1501=PATH, folder=PATH or video=PATH.",
)  # fmt: skip
PRESETS = click.Choice(["smoke", "demo", "full", "paper"])
preset: Decorator = click.option(
    "--preset", type=PRESETS, default="demo", show_default=True,
    help="Size of the run: seconds, minutes, all synthetic people, official extractors at 288x160.",
)  # fmt: skip
seeds: Decorator = click.option(
    "--seeds", type=click.IntRange(min=1), help="Independent latent seeds; default: the preset's."
)
extractor: Decorator = click.option(
    "--extractor", "extractors", multiple=True, metavar="NAME",
    help="Feature extractor instead of the preset's; may be repeated.",
)  # fmt: skip
outcomes: Decorator = click.option(
    "--outcomes", default="", metavar="thesis|S/M/N",
    help="Detection outcomes to impose on data with perfect detection: the thesis' shares of surfaces, masks only "
    "and nothing, or percentages as in 60/30/10. For reid and privacy.",
)  # fmt: skip
detector: Decorator = click.option(
    "--detector", default="mediapipe", show_default=True, metavar="NAME|file=DIR",
    help="mediapipe, torchvision, detectron2, or file=DIR with detection files.",
)  # fmt: skip


def counted(count: int, one: str, many: str = "") -> str:
    """A number with its noun, as in 1 photo, 3 photos; many: a plural that does not end in s."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def command_line() -> str:
    """The command as typed, for the record."""
    import shlex
    import sys

    return shlex.join(["anonbench", *sys.argv[1:]])


def print_tables(records: "Sequence[Record]", full: bool = False) -> None:
    """The comparison tables of some records, on stdout: the headline measures, or every metric."""
    from rich.console import Console

    from anonbench.reporting.comparison import compare
    from anonbench.reporting.tables import render_terminal

    render_terminal(compare(records), Console(), full)
