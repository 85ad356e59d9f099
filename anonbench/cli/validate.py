"""`anonbench validate`: do the measures see what they are for?"""

import contextlib
import sys
from pathlib import Path

import click

from anonbench.cli import options


@click.command("validate")
@click.option(
    "--model", default="final", show_default=True, metavar="NAME|CARD.yaml|folder=PATH",
    help="The anonymizer whose images are mixed and damaged.",
)  # fmt: skip
@click.option(
    "--preset", type=click.Choice(["smoke", "demo", "full"]), default="demo", show_default=True,
    help="Size of the study: seconds, minutes, that of docs/validity.md.",
)  # fmt: skip
@options.extractor
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), default="anonbench-validity", show_default=True,
    help="Folder for the record, tables and plots.",
)  # fmt: skip
def command(model: str, preset: str, extractors: tuple[str, ...], out: Path) -> None:
    """Judge the measures: plant inconsistency and damage of known strength into a model's images, and see what
    every measure makes of it.

    \b
    anonbench validate
    anonbench validate --model baseline --preset smoke --out study
    anonbench validate --extractor osnet_x1_0_market1501
    """
    from anonbench.protocols.validity import Study
    from anonbench.reporting.validity_report import print_study, write_study

    # Libraries print to stdout; there, only the result may appear.
    with contextlib.redirect_stdout(sys.stderr):
        record = Study.of(model, preset, extractors, options.command_line()).run()
        written = write_study(record, out)
    print_study(record)
    for path in written:
        click.echo(f"wrote {path}", err=True)
