"""`anonbench data`: list, render, detect and check data; with `data_factory`, build, count and filter it."""

from pathlib import Path

import click

from anonbench.cli import options
from anonbench.cli.data_factory import build_command, filter_command, stats_command
from anonbench.errors import DataError, UsageError


@click.group("data")
def command() -> None:
    """List, render, detect, build, check, count and filter data."""


command.add_command(build_command)
command.add_command(stats_command)
command.add_command(filter_command)


@command.command("list")
def list_command() -> None:
    """What --data accepts, and the splits of the synthetic people."""
    from anonbench.datasets.synthetic.splits import SPLITS
    from anonbench.protocols.data import DATA_NAMES

    for name, description in DATA_NAMES.items():
        click.echo(f"{name:18} {description}")
    for name, split in SPLITS.items():
        layout = f"{split.count} people, {split.per_count} crop{'s' if split.per_count > 1 else ''} each"
        click.echo(f"  synthetic/{name:16} {layout}")


@command.command("render")
@click.argument("split")
@click.option(
    "--size",
    type=(int, int),
    default=(288, 160),
    show_default=True,
    metavar="H W",
    help="Pixels, multiples of 8.",
)
@click.option(
    "--count", type=click.IntRange(min=1), help="Samples (train, val) or identities; default: the split's."
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Also write the crops here as images with masks.",
)
@click.option(
    "--shards",
    type=click.Path(file_okay=False, path_type=Path),
    help="Also write the crops as shards in FDH's layout, below this folder; train and val only.",
)
@click.option(
    "--per-shard", type=click.IntRange(min=1), default=1000, show_default=True, help="Crops in a shard."
)
@click.option(
    "--correlation",
    type=click.FloatRange(0, 1),
    help="How strongly surroundings tell about people; train and val only, default 0.7.",
)
def render_command(
    split: str,
    size: tuple[int, int],
    count: int | None,
    out: Path | None,
    shards: Path | None,
    per_shard: int,
    correlation: float | None,
) -> None:
    """Render a split of the synthetic people into the cache.

    \b
    anonbench data render reid --size 128 64 --out people
    anonbench data render train --shards people
    """
    from anonbench.datasets.synthetic.dataset import SyntheticDataset

    dataset = SyntheticDataset(split, size=size, count=count, correlation=correlation)
    dataset.prepare()
    click.echo(f"{dataset.name}: {len(dataset)} crops of {size[0]}x{size[1]} in the cache", err=True)
    if out:
        from anonbench.datasets.export import export_crops

        click.echo(f"wrote {export_crops(dataset, out)} crops to {out}", err=True)
    if shards:
        from anonbench.datasets.shards import write_shards

        written = write_shards(dataset, shards / split, per_shard)
        click.echo(f"wrote {len(dataset)} crops to {written} shards in {shards / split}", err=True)


@command.command("detect")
@click.argument("data", metavar="NAME=PATH")
@options.detector
@click.option("--overwrite", is_flag=True, help="Replace the masks and keypoints that lie there.")
def detect_command(data: str, detector: str, overwrite: bool) -> None:
    """Find the person in real crops: writes masks/ and keypoints.json beside them.

    \b
    anonbench data detect market1501=PATH
    anonbench data detect folder=PATH --detector torchvision
    """
    from anonbench.cards import Preset
    from anonbench.datasets.files import FileCrops
    from anonbench.detection.cached import detect_dataset
    from anonbench.detection.detectors import load_detector
    from anonbench.progress import track_speed
    from anonbench.protocols.data import open_data

    if "=" not in data or data.startswith("fdh="):
        raise UsageError(
            f"data '{data}': only image files need detections; give market1501=PATH or folder=PATH"
        )
    finder = load_detector(detector)
    finder.require()
    dataset = open_data(data, "reid", Preset(size=(128, 64), extractors=("none",)))
    if not isinstance(dataset, FileCrops):
        raise UsageError(f"data '{data}': only image files need detections")
    counts = detect_dataset(
        dataset, finder, overwrite, lambda files: track_speed(files, "detecting people", len(files), "crops")
    )
    click.echo(f"{dataset.name}: {counts.crops} crops")
    click.echo(f"  mask: {counts.masks}")
    click.echo(f"  keypoints: {counts.keypoints}")
    click.echo(f"  nothing: {counts.crops - counts.masks}")
    click.echo(f"next: anonbench data check {data}", err=True)


@command.command("check")
@click.argument("data", metavar="NAME=PATH")
def check_command(data: str) -> None:
    """Check data before a long run: layout, names, counts, readable images, fitting masks.

    \b
    anonbench data check market1501=PATH
    anonbench data check fdh=PATH
    """
    if data.startswith("fdh="):
        _check_shards(Path(data.removeprefix("fdh=")))
        return
    from anonbench.cards import Preset
    from anonbench.crops import Outcome
    from anonbench.protocols.crops import detected
    from anonbench.protocols.data import open_data

    dataset = open_data(data, "reid", Preset(size=(128, 64), extractors=("none",)))
    if not len(dataset):
        raise DataError(f"{data}: no crops")
    crops = detected(dataset)
    click.echo(f"{dataset.name}: {len(dataset)} crops of {dataset.size[0]}x{dataset.size[1]}")
    for role, count in dataset.samples["role"].value_counts().items():
        click.echo(f"  {role or 'crops'}: {count}")
    identities = dataset.samples["person_id"]
    click.echo(f"  identities: {identities[identities > 0].nunique()}")
    for outcome in Outcome:
        click.echo(f"  detection {outcome.name.lower()}: {int((crops.outcome == outcome).sum())}")
    for note in dataset.notes:
        click.echo(f"  note: {note}")


def _check_shards(root: Path) -> None:
    from anonbench.datasets.fdh import SPLITS, FDHDataset

    present = [split for split in SPLITS if (root / split).is_dir()]
    for split in present or SPLITS[:1]:
        dataset = FDHDataset(root, split)
        dataset.verify()
        click.echo(f"{dataset.name}: {len(dataset)} crops of {dataset.size[0]}x{dataset.size[1]}")
        known = "known" if dataset.template.mirror is not None else "not known"
        click.echo(f"  body template {dataset.template.name}, left-right counterparts {known}")
        for note in dataset.notes:
            click.echo(f"  note: {note}")
