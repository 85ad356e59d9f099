"""`anonbench train`: from a request to a run. Everything that can be wrong is found before a process starts."""

import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
import torch

from anonbench.datasets.base import CropDataset, PreparedDataset, template_of
from anonbench.datasets.fdh import FDHDataset
from anonbench.datasets.folder import ImageFolder
from anonbench.datasets.market1501 import Market1501
from anonbench.datasets.synthetic.dataset import VERSION, SyntheticDataset
from anonbench.errors import AnonbenchError, DataError, UsageError
from anonbench.progress import track
from anonbench.training.data import TrainingSet, described, rows_to_train_on, training_set
from anonbench.training.devices import fabric_of, hardware, launch
from anonbench.training.model_files import ModelFiles, template_tensors
from anonbench.training.progress_bar import TrainingBar
from anonbench.training.run import SAMPLE_COLUMNS, Evaluate, Intervals, Run
from anonbench.training.settings import Settings, read_settings
from anonbench.training.trainer import Trainer

if TYPE_CHECKING:
    from lightning_fabric import Fabric

READERS: dict[str, Callable[[Path], CropDataset]] = {
    "fdh": FDHDataset,
    "market1501": Market1501,
    "folder": ImageFolder,
}
"""Data sets on disk, at the size in which they are stored."""


@dataclass(frozen=True)
class TrainingRequest:
    """What the user asked for; None: as the card says, or as fits the machine.

    data: NAME=PATH of a data set on disk, or "synthetic". changes: `path.to.key=value` in the card.
    """

    model: str
    out: Path
    data: str | None = None
    keep: Path | None = None
    images: int | None = None
    changes: Sequence[str] = ()
    precision: str | None = None
    accelerator: str = "auto"
    devices: int | str = "auto"
    nodes: int = 1
    accumulate: int = 1
    workers: int | None = None
    threads: int | None = None
    intervals: Intervals = field(default_factory=Intervals)


def train(request: TrainingRequest, evaluate: Evaluate | None = None) -> None:
    """Trains a model in the folder `request.out`, or goes on with it. See `Run.train` for how it ends.

    evaluate: called with the card of the model as it stands, to measure it; its values are logged.
    """
    _require_writable(request.out)
    settings, dataset, crops = _prepare(request)
    fabric = fabric_of(settings.training.precision, request.accelerator, request.devices, request.nodes)
    launch(fabric)
    if request.threads:
        torch.set_num_threads(request.threads)
    if fabric.device.type == "cuda":
        torch.backends.cudnn.benchmark = True  # all batches have one shape
    try:
        _run(request, settings, dataset, crops, fabric, evaluate)
    except (AnonbenchError, KeyboardInterrupt) as error:
        if fabric.is_global_zero:
            raise
        # All processes meet the same end; the first one tells of it.
        raise SystemExit(getattr(error, "exit_code", 0)) from error


def _run(
    request: TrainingRequest,
    settings: Settings,
    dataset: CropDataset,
    data: TrainingSet,
    fabric: "Fabric",
    evaluate: Evaluate | None,
) -> None:
    """The run itself, in every process."""
    template = template_of(dataset)
    trainer = Trainer(
        settings.architecture, settings.training, data.crops, fabric,
        template=template, accumulate=request.accumulate, workers=data.workers,
    )  # fmt: skip
    files = ModelFiles(
        request.out, settings.card, settings.architecture, settings.training,
        hardware(fabric), template_tensors(template),
    )  # fmt: skip
    if fabric.is_global_zero:
        left_out = f", {data.without_surface} without a surface left out" if data.without_surface else ""
        click.echo(f"{dataset.name}: {len(data.crops)} crops to train on{left_out}", err=True)
    preview = data.crops.load(range(min(SAMPLE_COLUMNS, len(data.crops))))
    with TrainingBar(settings.training.images, shown=fabric.is_global_zero) as bar:
        Run(trainer, files, request.intervals, preview, bar, evaluate).train()


def _prepare(request: TrainingRequest) -> tuple[Settings, CropDataset, TrainingSet]:
    """The card with the user's changes, and the crops."""
    on_disk = None if request.data in (None, "synthetic") else _open(str(request.data))
    named = described(on_disk, str(request.data).partition("=")[0]) if on_disk is not None else None
    settings = read_settings(request.model, _changes(request), named)
    dataset = _synthetic(settings) if on_disk is None else on_disk
    rows, kept = rows_to_train_on(dataset, request.keep)
    if isinstance(dataset, PreparedDataset):
        dataset.prepare()
    settings = _completed(settings, kept, template_of(dataset).name)
    crops = training_set(dataset, rows, settings.architecture.resolution, request.workers, _track)
    return settings, dataset, crops


def _changes(request: TrainingRequest) -> list[str]:
    """The options that have a key of the card, as changes to it; the user's own come last."""
    options = {"training.images": request.images, "training.precision": request.precision}
    return [f"{key}={value}" for key, value in options.items() if value is not None] + list(request.changes)


def _open(spec: str) -> CropDataset:
    """A data set on disk: NAME=PATH."""
    name, _, path = spec.partition("=")
    if name not in READERS or not path:
        names = ", ".join(f"{name}=PATH" for name in READERS)
        raise UsageError(f"unknown training data '{spec}'; there are: synthetic, {names}")
    return READERS[name](Path(path).expanduser())


def _synthetic(settings: Settings) -> SyntheticDataset:
    """The synthetic people that a card asks for."""
    data = settings.training.data
    if data.name != "synthetic":
        raise UsageError(
            f"the card is to be trained on {data.name}: say where it lies, --data {data.name}=PATH"
        )
    if data.version != VERSION:
        raise DataError(
            f"synthetic people have version {VERSION} now, the card asks for {data.version}; write a new card"
        )
    size, tie = settings.architecture.resolution, data.context_correlation
    return SyntheticDataset(data.split, size, data.count, data.seed, correlation=tie)


def _completed(settings: Settings, kept: str | None, template: str) -> Settings:
    """The settings with what only the data can tell; what is as it always was is not written down."""
    training, architecture = settings.training, settings.architecture
    if kept is not None:
        training = training.model_copy(update={"data": training.data.model_copy(update={"kept": kept})})
    if template != architecture.surface_template:
        architecture = architecture.model_copy(update={"surface_template": template})
    return replace(settings, training=training, architecture=architecture)


def _require_writable(folder: Path) -> None:
    """UsageError now rather than an error after hours of work."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UsageError(
            f"--out {folder}: cannot be written ({error.strerror}); choose another folder"
        ) from error


def _track(items: Sequence[int], description: str) -> Iterable[int]:
    return track(items, description, len(items))
