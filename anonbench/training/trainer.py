"""One training step, and the state that it moves (thesis 4.5-4.8)."""

import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from anonbench.crops import PersonCrops
from anonbench.errors import UsageError
from anonbench.generators.build import load_modules, module_tensors
from anonbench.generators.config import ArchitectureConfig
from anonbench.template import SurfaceTemplate, body_template
from anonbench.training import checkpoints
from anonbench.training.batches import Batch, Batches, Crops
from anonbench.training.config import TrainingConfig
from anonbench.training.devices import average_gradients, mean_over_processes
from anonbench.training.ema import ema_decay
from anonbench.training.identity import require_same_run, run_identity
from anonbench.training.networks import Networks
from anonbench.training.objective import Log, Objective, kl_weight
from anonbench.training.samples import sample_rows

if TYPE_CHECKING:
    from lightning_fabric import Fabric

PATH_LENGTH_DECAY = 0.01
"""Share of the newest lengths in the running mean of path lengths, as in StyleGAN2's official code."""


class Trainer:
    """Trains the networks of one architecture. `step` is the whole of it; everything else is bookkeeping.

    crops: what to train on; template: what their surfaces refer to, None: the packaged one.
    fabric: the devices, launched. The batch of an update is split evenly over them, and on each of them into
    `accumulate` micro-batches that are processed one after the other: N devices with M micro-batches each
    compute what one device with N * M does, up to the order of sums. Minibatch deviation sees a micro-batch.
    workers: processes that read batches ahead.
    Raises UsageError where the batch cannot be split evenly.
    """

    def __init__(
        self,
        architecture: ArchitectureConfig,
        training: TrainingConfig,
        crops: Crops,
        fabric: "Fabric",
        *,
        template: SurfaceTemplate | None = None,
        accumulate: int = 1,
        workers: int = 0,
    ) -> None:
        self.architecture = architecture
        self.training = training
        self.fabric = fabric
        self.images_seen = 0
        self.seconds = 0.0
        """Wall time of all steps, those before a resumption included."""
        self._accumulate = accumulate
        self._micro_batch = _evenly(training.batch_size, fabric.world_size, accumulate)
        template = template or body_template()
        self._batches = Batches(crops, training, template, self._micro_batch)
        self._workers = workers
        self._upcoming: Iterator[Batch] | None = None
        self.networks = Networks.build(architecture, training.seed, fabric.device)
        path_mean = torch.zeros((), device=fabric.device)
        self._objective = Objective(self.networks, architecture, training, template, fabric, path_mean)
        self._optimizers = {
            "generator_optimizer": self._adam(self.networks.generator_parameters()),
            "discriminator_optimizer": self._adam(list(self.networks.discriminator.parameters())),
        }

    def _adam(self, parameters: list[torch.nn.Parameter]) -> torch.optim.Adam:
        return torch.optim.Adam(
            parameters, self.training.learning_rate, betas=self.training.betas, eps=1e-8, fused=True
        )

    def step(self) -> Log:
        """One update of generator, mapper and discriminator on one batch.

        Returns the step's losses and statistics, means over this process' micro-batches.
        """
        began = time.monotonic()
        for optimizer in self._optimizers.values():
            optimizer.zero_grad()
        logs = [
            self._objective.add_gradients(next(self._batch_iterator()), self.images_seen)
            for _ in range(self._accumulate)
        ]
        for optimizer in self._optimizers.values():
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            average_gradients(parameters, self.fabric, self._accumulate)
            optimizer.step()
        log = _mean(logs)
        if "path_length" in log:
            self._move_path_mean(float(log["path_length"]))
        self.images_seen += self.training.batch_size
        self.networks.update_averages(self._decay())
        self.seconds += time.monotonic() - began
        return log

    def _move_path_mean(self, length: float) -> None:
        mean, newest = self._objective.path_mean, mean_over_processes({"length": length}, self.fabric)
        mean += PATH_LENGTH_DECAY * (newest["length"] - mean)

    def kl_weight(self) -> float:
        """lambda_kl now."""
        return kl_weight(self.training.losses, self.images_seen)

    def _batch_iterator(self) -> Iterator[Batch]:
        """This process' micro-batches from where the run stands."""
        if self._upcoming is None:
            self._upcoming = self._batches.read(self._positions(self.images_seen), self._workers)
        return self._upcoming

    def _positions(self, start: int) -> Iterator[int]:
        """The first images of this process' micro-batches, of the step that starts at `start` and all later."""
        mine = range(
            self._accumulate * self.fabric.global_rank, self._accumulate * (self.fabric.global_rank + 1)
        )
        for first in count(start, self.training.batch_size):
            yield from (first + part * self._micro_batch for part in mine)

    def _decay(self) -> float:
        config = self.training
        return ema_decay(config.batch_size, self.images_seen, config.ema_half_life, config.ema_ramp_up)

    def save(self, path: Path, progress: Mapping[str, Any] | None = None) -> None:
        """Writes everything that `resume` needs, atomically. progress: what else belongs to the run's state."""
        tensors = module_tensors(self.networks.modules)
        tensors |= checkpoints.optimizer_tensors(self._optimizers)
        state = {
            "images_seen": self.images_seen,
            "seconds": self.seconds,
            "path_mean": float(self._objective.path_mean),
            **(progress or {}),
        }
        checkpoints.save_tensors(path, tensors, state | run_identity(self.architecture, self.training))

    def resume(self, path: Path) -> dict[str, Any]:
        """Continues from a checkpoint of `save`, whose state it returns; DataError if it is of another run."""
        tensors, state = checkpoints.load_tensors(path)
        require_same_run(path, state, self.architecture, self.training)
        load_modules(self.networks.modules, tensors)
        checkpoints.load_optimizers(self._optimizers, tensors)
        self.images_seen, self.seconds = int(state["images_seen"]), float(state["seconds"])
        self._objective.path_mean.fill_(state.get("path_mean", 0.0))
        self._upcoming = None
        return state

    def samples(self, crops: PersonCrops) -> list[Tensor]:
        """Pictures of where the run stands (`sample_rows`)."""
        names = self.architecture.generator.conditions
        return sample_rows(self.networks, crops, names, self._objective.template)

    def is_finite(self) -> bool:
        """Whether every weight is a number. A loss that is not makes the weights so in the same step."""
        return all(bool(p.isfinite().all()) for m in self.networks.modules.values() for p in m.parameters())


def _mean(logs: Sequence[Log]) -> Log:
    """The mean of each value over micro-batches; all bring the same names."""
    return {name: torch.stack([log[name] for log in logs]).mean() for name in logs[0]}


def _evenly(batch_size: int, processes: int, accumulate: int) -> int:
    """Images of one micro-batch; UsageError where the batch cannot be split so."""
    parts = processes * accumulate
    if batch_size % parts:
        raise UsageError(
            f"a batch of {batch_size} cannot be split over {processes} devices x {accumulate} micro-batches; "
            f"choose a training.batch_size that {parts} divides, or another --accumulate"
        )
    return batch_size // parts
