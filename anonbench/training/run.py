"""Trains the model of a card: `python -m anonbench.training.run final --out runs/final`.

The same command resumes a run that was stopped. The run's folder holds

    checkpoint.safetensors   everything needed to go on, and to publish (`anonbench.training.publish`)
    log.jsonl                one line per interval: images, seconds, mean losses
    samples/                 pictures
"""

import json
import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import click
import torch
from torch import Tensor

from anonbench.cache import write_atomic
from anonbench.cards import ModelCard, read_card, validate_section
from anonbench.crops import PersonCrops
from anonbench.errors import AnonbenchError, DataError
from anonbench.generators.config import ArchitectureConfig
from anonbench.resources import resource_dir
from anonbench.training.config import TrainingConfig, TrainingData
from anonbench.training.samples import sample_rows, write_grid
from anonbench.training.trainer import InMemoryCrops, Trainer

CHECKPOINT = "checkpoint.safetensors"
LOG = "log.jsonl"
SAMPLE_COLUMNS = 12


@dataclass(frozen=True)
class Intervals:
    """How often a run reports and saves, in images."""

    log: int = 1_600
    checkpoint: int = 9_600
    samples: int = 9_600


@dataclass
class Meter:
    """Means of what the steps since the last report returned."""

    sums: dict[str, Tensor] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, values: Mapping[str, Tensor]) -> None:
        """One step's values, scalars."""
        for name, value in values.items():
            self.sums[name] = self.sums[name] + value if name in self.sums else value.clone()
            self.counts[name] += 1

    def means(self) -> dict[str, float]:
        """Means since the last call."""
        means = {name: float(total) / self.counts[name] for name, total in self.sums.items()}
        self.sums.clear()
        self.counts.clear()
        return means


def train(trainer: Trainer, out: Path, intervals: Intervals, preview: PersonCrops) -> None:
    """Runs `trainer` to its configured number of images, resuming from `out` if it holds a checkpoint.

    Raises AnonbenchError when a loss is no longer finite; the last checkpoint before that is kept.
    """
    (out / "samples").mkdir(parents=True, exist_ok=True)
    checkpoint = out / CHECKPOINT
    if checkpoint.exists():
        trainer.resume(checkpoint)
        _forget_later_lines(out / LOG, trainer.images_seen)
    meter = Meter()
    while trainer.images_seen < trainer.training.images:
        meter.add(trainer.step())
        last = trainer.images_seen >= trainer.training.images
        if last or _due(trainer, intervals.log):
            report(out / LOG, trainer, meter.means())
        if last or _due(trainer, intervals.checkpoint):
            trainer.save(checkpoint)
        if last or _due(trainer, intervals.samples):
            rows = sample_rows(trainer.networks, preview)
            write_grid(out / "samples" / f"{trainer.images_seen:09d}.png", rows)


def report(log: Path, trainer: Trainer, means: Mapping[str, float]) -> None:
    """Appends one line to the log; AnonbenchError if the run has diverged."""
    line = {
        "images": trainer.images_seen,
        "seconds": round(trainer.seconds, 1),
        "kl_weight": round(trainer.kl_weight(), 5),
        **{name: round(value, 5) for name, value in means.items()},
    }
    with log.open("a") as file:
        file.write(json.dumps(line) + "\n")
    click.echo(json.dumps(line), err=True)
    if not all(math.isfinite(value) for value in means.values()):
        raise AnonbenchError(
            f"{log.parent}: a loss is not finite after {trainer.images_seen} images; "
            "the checkpoint is from before that: go on from it with a lower learning_rate"
        )


def load_crops(data: TrainingData, size: tuple[int, int]) -> PersonCrops:
    """The training set of a card, rendered or read from the cache, in memory."""
    from anonbench.datasets.synthetic.dataset import VERSION, SyntheticDataset

    if data.name != "synthetic":
        raise DataError(f"no training data '{data.name}'; there is: synthetic")
    if data.version != VERSION:
        raise DataError(
            f"synthetic people have version {VERSION} now, the card asks for {data.version}; write a new card"
        )
    dataset = SyntheticDataset(data.split, size, data.count, data.seed, correlation=data.context_correlation)
    return dataset.load(range(data.count))


def _forget_later_lines(log: Path, images_seen: int) -> None:
    """Drops what was logged after the checkpoint: those steps are about to be done again."""
    lines = log.read_text().splitlines(keepends=True) if log.exists() else []
    kept = "".join(line for line in lines if json.loads(line)["images"] <= images_seen)
    write_atomic(log, lambda partial: _write_text(partial, kept))


def _write_text(path: Path, text: str) -> None:
    path.write_text(text)


def _due(trainer: Trainer, interval: int) -> bool:
    """Whether the last step crossed a multiple of `interval` images."""
    return trainer.images_seen % interval < trainer.training.batch_size


@click.command()
@click.argument("model")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Run folder.")
@click.option("--images", type=click.IntRange(min=1), help="Length of the run instead of the card's.")
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, help="CPU threads.")
@click.option("--device", default="cpu", show_default=True)
def main(model: str, out: Path, images: int | None, threads: int, device: str) -> None:
    """Train the generator that the card MODEL (a packaged name or a file) describes."""
    path = Path(model) if model.endswith(".yaml") else resource_dir("models") / f"{model}.yaml"
    torch.set_num_threads(threads)
    try:
        card = read_card(path, ModelCard)
        architecture = validate_section(ArchitectureConfig, card.architecture, f"{path}: architecture")
        training = validate_section(TrainingConfig, card.training, f"{path}: training")
        training = training.model_copy(update={"images": images or training.images, "record": None})
        crops = load_crops(training.data, architecture.resolution)
        trainer = Trainer(architecture, training, InMemoryCrops(crops), device)
        train(trainer, out, Intervals(), crops.select(range(min(SAMPLE_COLUMNS, len(crops)))))
    except AnonbenchError as error:
        click.echo(f"Error: {error}", err=True)
        raise SystemExit(error.exit_code) from error


if __name__ == "__main__":
    main()
