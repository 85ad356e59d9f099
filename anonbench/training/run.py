"""Runs a trainer to its end, and keeps what comes of it in a folder.

    checkpoint.safetensors            everything needed to go on
    NAME.yaml, NAME.safetensors       the model as it stands: averaged weights, usable with every command
    log.jsonl, tensorboard/           losses, and what protocols measured
    samples/                          pictures

The same command goes on with a run that was stopped, and gives the same losses as one that was not.
"""

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from anonbench.crops import PersonCrops
from anonbench.errors import AnonbenchError
from anonbench.training.devices import mean_over_processes
from anonbench.training.logbook import Logbook, Meter, final_losses
from anonbench.training.model_files import ModelFiles
from anonbench.training.stopping import StopRequest
from anonbench.training.trainer import Trainer

CHECKPOINT = "checkpoint.safetensors"
SAMPLE_COLUMNS = 12

Evaluate = Callable[[Path], Mapping[str, float]]
"""From the card of a model to the values that protocols measure on it."""


@dataclass(frozen=True)
class Intervals:
    """How often a run reports, saves, paints and measures, in images."""

    log: int = 1_600
    checkpoint: int = 9_600
    samples: int = 9_600
    protocols: int = 96_000


class Progress(Protocol):
    """Shows how far a run is."""

    def begin(self, images_seen: int, seconds: float) -> None:
        """Before the first step; seconds: wall time of the steps before a resumption."""
        ...

    def at(self, images_seen: int) -> None:
        """After every step."""
        ...

    def aside(self) -> AbstractContextManager[None]:
        """Around what draws bars of its own."""
        ...

    def report(self, images_seen: int, seconds: float, means: Mapping[str, float]) -> None:
        """With the losses since the last report; seconds: wall time of all steps so far."""
        ...


class Run:
    """One training run in its folder.

    preview: crops of the sample pictures. evaluate: measures the model at the intervals of `protocols`.
    Of several processes, the first one writes; all of them must call `train`.
    """

    def __init__(
        self,
        trainer: Trainer,
        files: ModelFiles,
        intervals: Intervals,
        preview: PersonCrops,
        progress: Progress,
        evaluate: Evaluate | None = None,
    ) -> None:
        self._trainer = trainer
        self._files = files
        self._folder = files.folder
        self._intervals = intervals
        self._preview = preview
        self._progress = progress
        self._evaluate = evaluate
        self._fabric = trainer.fabric
        self._meter = Meter()
        self._log: Logbook | None = None

    def train(self) -> None:
        """Trains to the configured number of images, from the folder's checkpoint if there is one.

        Raises AnonbenchError when a loss or a weight is no longer finite: the checkpoint is then from before
        that. Raises KeyboardInterrupt after SIGINT or SIGTERM, with a checkpoint of the last whole step.
        """
        self._resume()
        self._log = Logbook(self._folder, self._trainer.images_seen) if self._writes else None
        self._progress.begin(self._trainer.images_seen, self._trainer.seconds)
        try:
            with StopRequest() as stop:
                while not self._finished:
                    self._meter.add(self._trainer.step())
                    self._progress.at(self._trainer.images_seen)
                    self._do_what_is_due()
                    if self._stopped_by(stop):
                        self._save()
                        raise KeyboardInterrupt
        finally:
            if self._log:
                self._log.close()

    @property
    def _writes(self) -> bool:
        return self._fabric.global_rank == 0

    @property
    def _finished(self) -> bool:
        return self._trainer.images_seen >= self._trainer.training.images

    def _resume(self) -> None:
        checkpoint = self._folder / CHECKPOINT
        if checkpoint.exists():
            state = self._trainer.resume(checkpoint)
            self._meter.restore(state.get("meter", {}), self._fabric.device)
            self._publish()  # again: the process may have been killed between the two files
        self._fabric.barrier()  # nobody writes before everybody has read

    def _do_what_is_due(self) -> None:
        if self._due(self._intervals.log):
            self._report()
        if self._due(self._intervals.checkpoint):
            self._save()
        if self._log and self._due(self._intervals.samples):
            self._log.samples(self._trainer.images_seen, self._trainer.samples(self._preview))
        if self._evaluate and self._due(self._intervals.protocols):
            self._measure(self._evaluate)

    def _due(self, interval: int) -> bool:
        """Whether the last step crossed a multiple of `interval` images, or was the last one."""
        return self._finished or self._trainer.images_seen % interval < self._trainer.training.batch_size

    def _stopped_by(self, stop: StopRequest) -> bool:
        """Several processes agree at every report only: asking one another after every step costs time."""
        if self._finished or (self._fabric.world_size > 1 and not self._due(self._intervals.log)):
            return False
        return stop.agreed(self._fabric)

    def _report(self) -> None:
        trainer, means = self._trainer, mean_over_processes(self._meter.means(), self._fabric)
        if self._log:
            self._log.losses(trainer.images_seen, trainer.seconds, trainer.kl_weight(), means)
        self._progress.report(trainer.images_seen, trainer.seconds, means)
        broken = [name for name, value in means.items() if not math.isfinite(value)]
        if broken:
            raise AnonbenchError(self._diverged(f"the loss {broken[0]} is not finite"))

    def _save(self) -> None:
        """Everything needed to go on, and the model, which is never of a later step than the checkpoint."""
        trainer = self._trainer
        if not trainer.is_finite():
            raise AnonbenchError(self._diverged("a weight is not finite"))
        meter = self._meter.state(lambda sums: mean_over_processes(sums, self._fabric))
        if self._writes:
            trainer.save(self._folder / CHECKPOINT, {"meter": meter})
            self._publish()
        self._fabric.barrier()  # a process that ends makes Fabric end the others

    def _publish(self) -> None:
        trainer = self._trainer
        if self._writes:
            final = final_losses(self._folder)
            self._files.write(trainer.networks, trainer.images_seen, trainer.seconds, final)

    def _measure(self, evaluate: Evaluate) -> None:
        """By the first process; the others wait."""
        if self._log:
            self._publish()
            with self._progress.aside():
                values = evaluate(self._files.path)
            self._log.protocols(self._trainer.images_seen, values)
        self._fabric.barrier()

    def _diverged(self, what: str) -> str:
        kept = self._folder / CHECKPOINT
        state = f"{kept} is from before that" if kept.exists() else "there is no checkpoint yet"
        return (
            f"{self._folder}: {what} after {self._trainer.images_seen} images; {state}. Lower "
            "training.learning_rate or raise training.losses.r1 (--set), in another folder"
        )
