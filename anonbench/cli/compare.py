"""`anonbench compare`: models side by side."""

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from anonbench.cli import options
from anonbench.errors import UnfitError, UsageError

if TYPE_CHECKING:
    from anonbench.protocols.runner import Plan, Request

FACTORIAL = ("pose_swap", "background_swap")
IDENTITIES = ("reid", "privacy", "pairs", "reconstruction", *FACTORIAL)
UNFIT = {
    "synthetic": (),
    "fdh": (*IDENTITIES, "path_length", "video"),
    "video": IDENTITIES,
    "market1501": (*FACTORIAL, "video"),
    "folder": ("pairs", "privacy", "reconstruction", *FACTORIAL, "video"),
}
"""Protocols that a kind of data cannot serve."""


@click.command("compare")
@click.argument("models", nargs=-1, required=True, metavar="MODEL MODEL...")
@click.option(
    "--protocol", "-p", "protocols", multiple=True, metavar="NAME", help="Default: all that fit the data."
)
@options.data
@options.preset
@options.seeds
@options.extractor
@options.outcomes
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), default="anonbench-report", show_default=True,
    help="Folder for records, tables, plots, galleries and report.html.",
)  # fmt: skip
def command(
    models: tuple[str, ...],
    protocols: tuple[str, ...],
    data: str,
    preset: str,
    seeds: int | None,
    extractors: tuple[str, ...],
    outcomes: str,
    out: Path,
) -> None:
    """Compare models: run what is missing, then write tables, plots, galleries and a report.

    \b
    anonbench compare baseline final
    anonbench compare baseline final original gaussian_blur --preset smoke --out report
    anonbench compare baseline final --data market1501=PATH
    anonbench compare baseline final --outcomes thesis
    """
    if len(set(models)) != len(models):
        raise UsageError(f"compare names a model twice: {' '.join(models)}")
    from rich.console import Console

    from anonbench.protocols.data import IMPOSABLE
    from anonbench.protocols.registry import protocol_names
    from anonbench.protocols.runner import Request, export, run
    from anonbench.records import read_record
    from anonbench.reporting.difference_tables import render_differences
    from anonbench.reporting.report import write_report
    from anonbench.reporting.significance import compare_with_tests
    from anonbench.reporting.tables import render_terminal

    unfit = UNFIT.get(data.partition("=")[0], ())
    fit = [name for name in protocol_names() if name not in unfit and (not outcomes or name in IMPOSABLE)]
    chosen = protocols or fit
    line = options.command_line()
    requests = [
        Request(p, m, data, preset, seeds, extractors, line, outcomes) for p in chosen for m in models
    ]
    with contextlib.redirect_stdout(sys.stderr):
        plans = [plan for request in requests if (plan := _fitting(request)) is not None]
        if not plans:
            raise UsageError(f"nothing to compare: none of these models fits {', '.join(chosen)}")
        found = [run(plan) for plan in plans]
        written = [export(record, folder, out / "records") for record, folder in found]
        sources = [(read_record(path), path.parent) for path in written]
        comparisons = compare_with_tests(sources)
        write_report(sources, out, comparisons)
    render_terminal(comparisons, Console())
    render_differences(comparisons, Console())
    click.echo(f"report: {out / 'report.html'}", err=True)


def _fitting(request: "Request") -> "Plan | None":
    """The plan of a request, none where the protocol cannot serve the model: the others are compared."""
    from anonbench.protocols.runner import resolve

    try:
        return resolve(request)
    except UnfitError as error:
        click.echo(f"left out: {error}", err=True)
        return None
