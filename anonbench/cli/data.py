"""`anonbench data`: list, render, detect and check data."""

from pathlib import Path

import click

from anonbench.errors import DataError, UsageError


@click.group("data")
def command() -> None:
    """List, render, detect and check data."""


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
def render_command(split: str, size: tuple[int, int], count: int | None, out: Path | None) -> None:
    """Render a split of the synthetic people into the cache.

    \b
    anonbench data render reid --size 128 64 --out people
    """
    from anonbench.datasets.synthetic.dataset import SyntheticDataset

    dataset = SyntheticDataset(split, size=size, count=count)
    dataset.prepare()
    click.echo(f"{dataset.name}: {len(dataset)} crops of {size[0]}x{size[1]} in the cache", err=True)
    if out:
        from anonbench.datasets.export import export_crops

        click.echo(f"wrote {export_crops(dataset, out)} crops to {out}", err=True)


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

    if "=" not in data:
        raise UsageError(f"data '{data}': only files need detections; give market1501=PATH or folder=PATH")
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
    """
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
