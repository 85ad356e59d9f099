"""`anonbench data build`, `stats` and `filter`: data sets of real people, and what they are worth."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from anonbench.cli import options
from anonbench.errors import UsageError

if TYPE_CHECKING:
    from anonbench.pipeline.factory import Built
    from anonbench.pipeline.statistics import DataStatistics
    from anonbench.protocols.vertex_filter import Grouped

CRITERIA = ("vertices_per_part", "vertices", "reconstruction")


@click.command("build")
@click.argument("source", metavar="INPUT", type=click.Path(path_type=Path))
@click.option("-o", "--out", required=True, type=click.Path(file_okay=False, path_type=Path),
              help="Folder of the data set: train/ and val/ are written there.")  # fmt: skip
@options.detector
@click.option("--every", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS",
              help="Take a frame of a video so often.  [default: 1]")  # fmt: skip
@click.option("--split", default="train", show_default=True, metavar="train|val|SHARE",
              help="Where crops go; a share such as 0.1: these images to val, the others to train.")  # fmt: skip
@click.option("--min-height", type=click.IntRange(min=1), default=72, show_default=True, metavar="PIXELS",
              help="Least height in the image of what becomes a crop of 288.")  # fmt: skip
@click.option("--max-outside", type=click.FloatRange(0, 1), default=0.25, show_default=True, metavar="SHARE",
              help="How much of a crop may lie beyond the image.")  # fmt: skip
@click.option("--per-shard", type=click.IntRange(min=1), default=1000, show_default=True,
              help="Crops in a shard.")  # fmt: skip
@click.option("--workers", type=click.IntRange(min=1), help="Processes that detect; default: one per core.")
@click.option("--skip-bad", is_flag=True, help="Leave out images that cannot be read.")
def build_command(
    source: Path,
    out: Path,
    detector: str,
    every: float | None,
    split: str,
    min_height: int,
    max_outside: float,
    per_shard: int,
    workers: int | None,
    skip_bad: bool,
) -> None:
    """Cut the people out of photos or a video: shards in FDH's layout, to train and to measure on.

    \b
    anonbench data build photos/ -o people --split 0.1
    anonbench data build street.mp4 -o people --every 2
    anonbench train final --data fdh=people --out runs/people
    """
    import os

    from anonbench.detection.detectors import load_detector
    from anonbench.pipeline.detected_crops import CropRules
    from anonbench.pipeline.factory import build_shards
    from anonbench.pipeline.sources import open_source

    images = open_source(source, every, skip_bad)
    rules = CropRules(min_height, max_outside)
    processes = workers or len(os.sched_getaffinity(0))
    for built in build_shards(images, load_detector(detector), rules, out, split, per_shard, processes):
        _print_built(built, out)
    click.echo(f"next: anonbench data check fdh={out}", err=True)


def _print_built(built: "Built", out: Path) -> None:
    click.echo(
        f"{out / built.split}: {options.counted(built.crops, 'crop')} in {options.counted(built.shards, 'shard')}"
    )
    click.echo(f"  images: {built.images}, {built.people_per_image.get(0, 0)} of them without people")
    click.echo(f"  people found: {built.people}")
    for reason, count in built.dropped.items():
        click.echo(f"  dropped, {reason}: {count}")
    if built.unreadable:
        click.echo(f"  files left out: {len(built.unreadable)}")
        for message in built.unreadable:
            click.echo(f"left out: {message}", err=True)


@click.command("stats")
@click.argument("data", metavar="NAME|NAME=PATH")
@click.option("--split", default="train", show_default=True, help="Of fdh and synthetic.")
@click.option("--count", type=click.IntRange(min=1), help="The first crops only, of fdh and synthetic.")
@click.option("--by", type=click.Choice(CRITERIA[:2]), default=CRITERIA[0], show_default=True,
              help="What the plot shows.")  # fmt: skip
@click.option("--keep", type=click.Path(dir_okay=False, path_type=Path),
              help="A list of data filter: a curve for each of its groups.")  # fmt: skip
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path),
              help="Cumulative distribution as PNG or PDF.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def stats_command(
    data: str, split: str, count: int | None, by: str, keep: Path | None, plot: Path | None, as_json: bool
) -> None:
    """Count a data set: detection outcomes, people per image, body parts, vertices.

    \b
    anonbench data stats fdh=people
    anonbench data stats fdh=people --keep kept.csv --plot vertices.png
    """
    import json
    from dataclasses import asdict

    from anonbench.pipeline.factory import build_report_path
    from anonbench.pipeline.statistics import count_crops, people_per_image, statistics
    from anonbench.protocols.data import open_stored
    from anonbench.protocols.vertex_filter import grouped_values
    from anonbench.reporting.distributions import require_plot_ending, write_cumulative

    if keep and not plot:
        raise UsageError("--keep tells the plot apart by groups: add --plot FILE")
    if plot:
        require_plot_ending(plot)
    counted = count_crops(open_stored(data, split, count))
    root = Path(data.removeprefix("fdh=")) if data.startswith("fdh=") and count is None else None
    found = statistics(counted, people_per_image(build_report_path(root, split)) if root else None)
    if plot:
        write_cumulative(grouped_values(counted, by, keep), by.replace("_", " "), plot)
        click.echo(f"wrote {plot}", err=True)
    if as_json:
        click.echo(json.dumps(asdict(found), indent=1))
    else:
        _print_statistics(found)


def _print_statistics(found: "DataStatistics") -> None:
    click.echo(f"{found.name}: {found.crops} crops of {found.size[0]}x{found.size[1]}, {found.template}")
    for outcome, count in found.outcomes.items():
        click.echo(f"  detection {outcome}: {count} ({100 * count / found.crops:.1f} %)")
    for people, images in (found.people_per_image or {}).items():
        click.echo(f"  images with {people} people: {images}")
    for part, share in found.body_parts.items():
        click.echo(f"  shows {part}: {100 * share:.1f} %")
    for criterion, quantiles in found.quantiles.items():
        values = "  ".join(f"{100 * q:g} %: {value:.0f}" for q, value in quantiles.items())
        click.echo(f"  {criterion}: {values or 'not known'}")


@click.command("filter")
@click.option("--by", type=click.Choice(CRITERIA), required=True,
              help="What tells bad crops: few vertices of the body, or a model that cannot repaint them.")  # fmt: skip
@click.option("--data", required=True, metavar="NAME|NAME=PATH", help="Crops to train on; the split train.")
@click.option("-o", "--out", required=True, type=click.Path(dir_okay=False, path_type=Path),
              help="The list that train --keep reads, CSV.")  # fmt: skip
@click.option("--drop", type=click.FloatRange(0, 1, max_open=True), metavar="SHARE",
              help="Share of the crops to drop, the worst.  [default: 0.1; 0.05 by reconstruction]")  # fmt: skip
@click.option("--drop-below", type=float, metavar="VALUE",
              help="Drop crops with fewer vertices.  [default: 135 per part on FDH, else --drop]")  # fmt: skip
@click.option("--keep-above", type=float, metavar="VALUE",
              help="Keep crops with as many vertices or more; what lies between is for you to look at.")  # fmt: skip
@click.option("--sheet", type=click.Path(dir_okay=False, path_type=Path),
              help="Pictures of what is to be looked at, PNG.")  # fmt: skip
@click.option("--model", metavar="NAME", help="By reconstruction: a model with an appearance mapper.")
@click.option("--extractor", metavar="NAME",
              help="By reconstruction: perceptual distance.  [default: perceptual_mobilenet_v2]")  # fmt: skip
def filter_command(
    by: str,
    data: str,
    out: Path,
    drop: float | None,
    drop_below: float | None,
    keep_above: float | None,
    sheet: Path | None,
    model: str | None,
    extractor: str | None,
) -> None:
    """Find crops that spoil training: misdetected surfaces, rare people.

    \b
    anonbench data filter --by vertices_per_part --data fdh=PATH -o kept.csv
    anonbench data filter --by vertices_per_part --drop-below 100 --keep-above 160 --sheet look.png \\
      --data fdh=PATH -o kept.csv
    anonbench data filter --by reconstruction --model final --data fdh=PATH -o kept.csv
    anonbench train final --data fdh=PATH --keep kept.csv --out runs/filtered
    """
    if by == "reconstruction":
        _refuse(by, {"--drop-below": drop_below, "--keep-above": keep_above, "--sheet": sheet})
        if model is None:
            raise UsageError("--by reconstruction needs --model NAME, with an appearance mapper: final")
        _filter_by_reconstruction(model, data, out, 0.05 if drop is None else drop, extractor)
        return
    _refuse(by, {"--model": model, "--extractor": extractor})
    if drop is not None and drop_below is not None:
        raise UsageError("--drop and --drop-below say the same in two ways; give one")
    if sheet and keep_above is None:
        raise UsageError("--sheet shows what lies between two thresholds: add --keep-above")
    from anonbench.protocols.vertex_filter import decisions, filter_by_vertices, write_sheets

    found = filter_by_vertices(data, by, drop_below, keep_above, drop, decisions(out))
    found.write(out)
    _print_groups(found)
    if sheet:
        for page in write_sheets(found, sheet):
            click.echo(f"wrote {page}", err=True)


def _refuse(by: str, options: dict[str, object]) -> None:
    """An option that would do nothing is a mistake."""
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise UsageError(f"{given[0]} means nothing with --by {by}; leave it out")


def _print_groups(found: "Grouped") -> None:
    table, thresholds = found.table, found.thresholds
    sizes = {group: int((table["group"] == group).sum()) for group in ("keep", "look", "drop")}
    click.echo(f"{found.dataset.name}: {len(table)} crops by {found.criterion.replace('_', ' ')}")
    click.echo(f"  kept: {sizes['keep']}, from {thresholds.keep_above:g} on")
    if sizes["look"]:
        decided = sizes["look"] - len(found.undecided)
        click.echo(f"  to look at: {sizes['look']}, {decided} of them decided")
    click.echo(f"  dropped: {sizes['drop']}, below {thresholds.drop_below:g}")
    if len(found.undecided):
        click.echo("next: write true or false into the column kept of the rows where it is empty", err=True)


def _filter_by_reconstruction(model: str, data: str, out: Path, drop: float, extractor: str | None) -> None:
    from anonbench.protocols.filtering import filter_by_reconstruction

    found = filter_by_reconstruction(model, data, extractor or "perceptual_mobilenet_v2", drop)
    found.write(out)
    kept, measured = int(found.table["kept"].sum()), int(found.table["error"].notna().sum())
    click.echo(f"{found.dataset.name}: {len(found.table)} crops")
    click.echo(f"  kept: {kept}, error up to {found.threshold:.4f}")
    click.echo(f"  dropped: {measured - kept}")
    click.echo(f"  dropped, without a surface: {len(found.table) - measured}")
