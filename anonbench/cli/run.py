"""`anonbench run`: protocols for one model."""

import contextlib
import sys
from pathlib import Path

import click

from anonbench.cli import options


@click.command("run")
@click.argument("protocols", nargs=-1, required=True, metavar="PROTOCOL...")
@click.option("--model", required=True, metavar="NAME|CARD.yaml|folder=PATH", help="The anonymizer.")
@options.data
@options.preset
@options.seeds
@options.extractor
@options.outcomes
@click.option(
    "--attacker", type=click.Choice(["osnet"]), default=None,
    help="For privacy: also retrain this network on anonymized images. Takes minutes.",
)  # fmt: skip
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder for the records.")
@click.option("--json", "as_json", is_flag=True, help="Print each record as one line of JSON.")
def command(
    protocols: tuple[str, ...],
    model: str,
    data: str,
    preset: str,
    seeds: int | None,
    extractors: tuple[str, ...],
    outcomes: str,
    attacker: str | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Run protocols for one model.

    \b
    anonbench run reid --model final
    anonbench run fid lpips --model baseline --preset smoke --out results
    anonbench run reid --model final --outcomes thesis
    anonbench run privacy --model final --attacker osnet
    """
    from anonbench.protocols.runner import Request, export, resolve, run

    line = options.command_line()
    requests = [
        Request(name, model, data, preset, seeds, extractors, line, outcomes, attacker or "")
        for name in protocols
    ]
    # Libraries print to stdout; there, only the result may appear.
    with contextlib.redirect_stdout(sys.stderr):
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
