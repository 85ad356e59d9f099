"""`anonbench data`: list, render, detect, check and filter data."""

from pathlib import Path

import click

from anonbench.errors import DataError, UsageError


@click.group("data")
def command() -> None:
    """List, render, detect, check and filter data."""


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
@click.option("--overwrite", is_flag=True, help="Replace the masks and keypoints that lie there.")
def detect_command(data: str, overwrite: bool) -> None:
    """Find the person in real crops: writes masks/ and keypoints.json beside them.

    Needs MediaPipe: pip install 'anonbench[detect]'.

    \b
    anonbench data detect market1501=PATH
    """
    from rich.console import Console
    from rich.progress import track

    from anonbench.cards import Preset
    from anonbench.datasets.files import FileCrops
    from anonbench.detection.cached import detect_dataset
    from anonbench.detection.mediapipe_pose import PersonDetector
    from anonbench.protocols.data import open_data

    if "=" not in data or data.startswith("fdh="):
        raise UsageError(
            f"data '{data}': only image files need detections; give market1501=PATH or folder=PATH"
        )
    detector = PersonDetector()
    dataset = open_data(data, "reid", Preset(size=(128, 64), extractors=("none",)))
    assert isinstance(dataset, FileCrops)  # whatever has a path
    console = Console(stderr=True)
    counts = detect_dataset(
        dataset, detector.detect, overwrite, lambda files: track(files, "detecting people", console=console)
    )
    click.echo(f"{dataset.name}: {counts.crops} crops")
    click.echo(f"  mask: {counts.masks}")
    click.echo(f"  keypoints: {counts.keypoints}")
    click.echo(f"  nothing: {counts.nothing}")
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
    from anonbench.detection.surface_head import fill_surfaces
    from anonbench.protocols.crops import CropSource
    from anonbench.protocols.data import open_data

    dataset = open_data(data, "reid", Preset(size=(128, 64), extractors=("none",)))
    if not len(dataset):
        raise DataError(f"{data}: no crops")
    crops = CropSource(dataset, fill_surfaces, "surface_head")
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


@command.command("filter")
@click.option(
    "--by", type=click.Choice(["reconstruction"]), required=True, help="What is large for crops to drop."
)
@click.option("--model", required=True, metavar="NAME", help="A model with an appearance mapper.")
@click.option("--data", required=True, metavar="NAME|NAME=PATH", help="Crops to train on; the split train.")
@click.option(
    "-o",
    "--out",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="CSV: key, error, kept.",
)
@click.option(
    "--drop",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.05,
    show_default=True,
    help="Share of the crops to drop: those with the largest errors.",
)
@click.option(
    "--extractor", default="perceptual_mobilenet_v2", show_default=True, help="Perceptual distance."
)
def filter_command(by: str, model: str, data: str, out: Path, drop: float, extractor: str) -> None:
    """Find the crops that a model cannot reconstruct: rare people, wrong masks and wrong surfaces.

    \b
    anonbench data filter --by reconstruction --model final --data fdh=PATH -o kept.csv
    anonbench train final --data fdh=PATH --keep kept.csv --out runs/filtered
    """
    from anonbench.protocols.filtering import filter_by_reconstruction

    found = filter_by_reconstruction(model, data, extractor, drop)
    found.write(out)
    kept, measured = int(found.table["kept"].sum()), int(found.table["error"].notna().sum())
    click.echo(f"{found.dataset.name}: {len(found.table)} crops")
    click.echo(f"  kept: {kept}, error up to {found.threshold:.4f}")
    click.echo(f"  dropped: {measured - kept}")
    click.echo(f"  dropped, without a surface: {len(found.table) - measured}")
