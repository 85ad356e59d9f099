"""`anonbench run`: protocols for one model."""

import contextlib
import sys
from pathlib import Path

import click

from anonbench.cli import options
from anonbench.errors import UsageError


@click.command("run")
@click.argument("protocols", nargs=-1, required=True, metavar="PROTOCOL...")
@click.option("--model", metavar="NAME|CARD.yaml|folder=PATH", help="The anonymizer.")
@options.data
@options.preset
@options.seeds
@options.extractor
@options.outcomes
@click.option(
    "--attacker", type=click.Choice(["osnet"]), default=None,
    help="For privacy: also retrain this network on anonymized images. Takes minutes.",
)  # fmt: skip
@click.option(
    "--features", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE.npz",
    help="In place of a model and data: score features that any network gave. For reid and fid.",
)  # fmt: skip
@click.option("--name", help="With --features: what to call the network; default: what the file says.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder for the records.")
@click.option("--json", "as_json", is_flag=True, help="Print each record as one line of JSON.")
def command(
    protocols: tuple[str, ...],
    model: str | None,
    data: str,
    preset: str,
    seeds: int | None,
    extractors: tuple[str, ...],
    outcomes: str,
    attacker: str | None,
    features: Path | None,
    name: str | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Run protocols for one model.

    \b
    anonbench run reid --model final
    anonbench run fid lpips --model baseline --preset smoke --out results
    anonbench run reid --model final --outcomes thesis
    anonbench run privacy --model final --attacker osnet
    anonbench run reid --features FILE.npz
    """
    _require_one_source(model, features, name)
    from anonbench.protocols.runner import Request, export, resolve, run

    line = options.command_line()
    # Libraries print to stdout; there, only the result may appear.
    with contextlib.redirect_stdout(sys.stderr):
        if features is not None:
            from anonbench.protocols.feature_runs import FeatureRequest, score_file

            found = [score_file(FeatureRequest(p, features, name or "", preset, line)) for p in protocols]
        else:
            requests = [
                Request(p, str(model), data, preset, seeds, extractors, line, outcomes, attacker or "")
                for p in protocols
            ]
            plans = [resolve(request) for request in requests]
            found = [run(plan) for plan in plans]
        written = [export(record, folder, out) for record, folder in found] if out else []
    for record, _ in found:
        if as_json:
            click.echo(record.model_dump_json(exclude_none=True))
        else:
            options.print_tables([record], full=True)
    for path in written:
        click.echo(f"wrote {path}", err=True)


def _require_one_source(model: str | None, features: Path | None, name: str | None) -> None:
    """Raise UsageError unless a model or a features file is given, each with its own options."""
    if model is None and features is None:
        raise UsageError("run needs --model NAME (anonbench models lists them), or --features FILE.npz")
    if features is None:
        if name is not None:
            raise UsageError("--name is what the network behind --features is called; models have names")
        return
    context = click.get_current_context()
    given = [
        option
        for option in ("model", "data", "seeds", "extractors", "outcomes", "attacker")
        if context.get_parameter_source(option) is click.core.ParameterSource.COMMANDLINE
    ]
    if given:
        option = given[0].removesuffix("s") if given[0] == "extractors" else given[0]
        raise UsageError(f"--features takes the place of a model and its data: leave out --{option}")
