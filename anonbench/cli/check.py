"""`anonbench check`: has a model become worse than its baseline?"""

import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from anonbench.cli import options

if TYPE_CHECKING:
    from anonbench.reporting.regression import Sources

REGRESSION = 1


@click.command("check")
@click.argument("baseline", type=click.Path(exists=True, path_type=Path))
@click.argument("current", type=click.Path(exists=True, path_type=Path), required=False)
@click.option("--model", "-m", "models", multiple=True, metavar="NAME", help="Only these models.")
@click.option("--protocol", "-p", "protocols", multiple=True, metavar="NAME", help="Only these protocols.")
@click.option("--preset", type=options.PRESETS, help="Only records of this preset.")
@click.option(
    "--data", metavar="NAME=PATH", help="Where the data lie now, to measure again what is not synthetic."
)
@click.option(
    "--tolerance", "-t", "tolerances", multiple=True, metavar="[METRIC=]VALUE[%]",
    help="What a metric may lose, in place of the test; METRIC may hold *. May be repeated.",
)  # fmt: skip
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="Keep the records measured now here."
)
@click.option("--verbose", "-v", is_flag=True, help="Show the metrics that stayed too.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def command(
    baseline: Path,
    current: Path | None,
    models: tuple[str, ...],
    protocols: tuple[str, ...],
    preset: str | None,
    data: str | None,
    tolerances: tuple[str, ...],
    out: Path | None,
    verbose: bool,
    as_json: bool,
) -> int:
    """Compare records with a BASELINE; exit 1 if a metric fell or is missing.

    BASELINE and CURRENT: a record, or a folder of records. Without CURRENT, what the baseline measured is measured
    now.

    \b
    anonbench check baseline/
    anonbench check baseline/ now/
    anonbench check results/packaged --preset smoke --model final
    anonbench check baseline/ -t reid.same_latent.map=1.5 -t 'fid.*=3%'
    """
    from anonbench.reporting import regression, regression_report
    from anonbench.reporting.tolerances import Tolerances

    allowed = Tolerances.parse(tolerances)
    before = regression.select(
        regression.read_records(baseline),
        models=models,
        protocols=protocols,
        presets=(preset,) if preset else (),
    )
    with contextlib.redirect_stdout(sys.stderr):
        now = regression.read_records(current) if current else _measure(before, data, out)
        changes = regression.check(before, now, allowed)
    if as_json:
        click.echo(json.dumps(regression_report.as_json(changes)))
    else:
        click.echo("\n".join(regression_report.lines(changes, verbose)))
    return REGRESSION if any(change.failed for change in changes) else 0


def _measure(baseline: "Sources", data: str | None, out: Path | None) -> "Sources":
    from anonbench.protocols.remeasure import plan_again
    from anonbench.protocols.runner import export, run

    plans = [plan_again(record, data) for record, _ in baseline]
    found = [run(plan) for plan in plans]
    for record, folder in found if out else []:
        export(record, folder, out or Path())
    return found
