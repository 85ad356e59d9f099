"""One training step, and the state that it moves (thesis 4.5-4.8)."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from anonbench.crops import PersonCrops
from anonbench.errors import UsageError
from anonbench.generators.appearance_mapper import sample_latents
from anonbench.generators.build import load_modules, module_tensors
from anonbench.generators.conditions import (
    Conditions,
    conditions_of,
    discriminator_condition,
    generator_input,
    mapper_input,
)
from anonbench.generators.config import ArchitectureConfig
from anonbench.template import SurfaceTemplate, body_template
from anonbench.training import checkpoints
from anonbench.training.batches import Batch, Batches, Crops
from anonbench.training.config import TrainingConfig
from anonbench.training.devices import average_gradients, mean_over_processes
from anonbench.training.ema import ema_decay
from anonbench.training.identity import require_same_run, run_identity
from anonbench.training.losses import (
    discriminator_loss,
    epsilon_penalty,
    feature_matching_loss,
    generator_loss,
    kl_divergence,
    path_length,
    path_length_penalty,
    r1_penalty,
)
from anonbench.training.networks import Networks
from anonbench.training.samples import sample_rows

if TYPE_CHECKING:
    from lightning_fabric import Fabric

PATH_LENGTH_DECAY = 0.01
"""Share of the newest lengths in the running mean of path lengths, as in StyleGAN2's official code."""

Log = dict[str, Tensor]
"""Losses and statistics by name, scalars without gradient."""


@dataclass(frozen=True)
class Latents:
    """The z of one step: `z` as the generator takes it, mu and log_variance if the mapper made it."""

    z: Tensor
    mu: Tensor | None = None
    log_variance: Tensor | None = None


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
        self._template = template or body_template()
        self._batches = Batches(crops, training, self._template, self._micro_batch)
        self._workers = workers
        self._upcoming: Iterator[Batch] | None = None
        self.networks = Networks.build(architecture, training.seed, fabric.device)
        self._path_mean = torch.zeros((), device=fabric.device)
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
        logs = [self._gradients(next(self._batch_iterator())) for _ in range(self._accumulate)]
        for optimizer in self._optimizers.values():
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            average_gradients(parameters, self.fabric, self._accumulate)
            optimizer.step()
        log = _mean(logs)
        if "path_length" in log:
            mean = mean_over_processes({"path_length": float(log["path_length"])}, self.fabric)
            self._path_mean += PATH_LENGTH_DECAY * (mean["path_length"] - self._path_mean)
        self.images_seen += self.training.batch_size
        self.networks.update_averages(self._decay())
        self.seconds += time.monotonic() - began
        return log

    def _gradients(self, batch: Batch) -> Log:
        """Adds the gradients of one micro-batch to those of all networks.

        The generated images pass the discriminator once for both updates: the generator's gradient is taken
        with respect to the images, which leaves the discriminator's weights without one (thesis 4.6.1).
        """
        draw = batch.draw
        conditions = conditions_of(batch.crops, self._template).to(self.fabric.device)
        with self.fabric.autocast():
            condition = discriminator_condition(conditions, self.architecture.discriminator.condition, draw)
            latents = self._latents(conditions, draw)
            generated = self.networks.generator(self._seen(conditions), latents.z, draw)
            images = conditions.composite(generated)
            judged = images.detach().requires_grad_()
            fake_logits, fake_maps = self.networks.discriminator(judged, condition)
            real_logits, real_maps = self.networks.discriminator(conditions.image, condition)
        log = self._generator_gradients(images, judged, latents, fake_logits, fake_maps, real_maps)
        log |= self._path_length_gradients(conditions, latents, draw)
        return log | self._discriminator_gradients(conditions, condition, real_logits, fake_logits)

    def _generator_gradients(
        self,
        images: Tensor,
        judged: Tensor,
        latents: Latents,
        fake_logits: Tensor,
        fake_maps: list[Tensor],
        real_maps: list[Tensor],
    ) -> Log:
        """Equation 4.6 for generator and mapper."""
        weights = self.training.losses
        adversarial = generator_loss(fake_logits)
        log = {"generator": adversarial}
        on_images, on_latents = adversarial, torch.zeros(())
        if latents.mu is not None and latents.log_variance is not None:
            matching = feature_matching_loss(
                real_maps,
                fake_maps,
                weights.feature_matching_maps,
                normalized=weights.normalized_feature_matching,
            )
            kl = kl_divergence(latents.mu, latents.log_variance)
            on_images = adversarial + weights.feature_matching * matching
            on_latents = self.kl_weight() * kl
            log |= {
                "feature_matching": matching,
                "kl_nats": kl,
                "mu_squared": latents.mu.square().mean(),
                "sigma_squared": latents.log_variance.exp().mean(),
            }
        # `judged` is cut off from the generator: the chain rule is continued by hand.
        (gradient,) = torch.autograd.grad(on_images, judged, retain_graph=True)
        total = (images * gradient).sum() + on_latents
        total.backward()  # type: ignore[no-untyped-call]
        return {name: value.detach() for name, value in log.items()}

    def _path_length_gradients(self, conditions: Conditions, latents: Latents, draw: torch.Generator) -> Log:
        """Path length regularization (StyleGAN2, section 3.2) every few steps, if it has a weight."""
        weights = self.training.losses
        if weights.path_length == 0 or self._steps_done() % weights.path_length_interval:
            return {}
        # In fp32, and with a pass of its own, like R1: second derivatives of a bf16 network are too coarse.
        styles = self.networks.generator.styles_of(latents.z.detach())
        images = conditions.composite(self.networks.generator.paint(self._seen(conditions), styles, draw))
        noise = torch.randn(images.shape, generator=draw).to(images.device)
        lengths = path_length(images, styles, noise)
        penalty = path_length_penalty(lengths, self._path_mean)
        scaled = penalty * weights.path_length * weights.path_length_interval
        scaled.backward()  # type: ignore[no-untyped-call]
        return {"path_length": lengths.mean().detach()}

    def _discriminator_gradients(
        self, conditions: Conditions, condition: Tensor, real_logits: Tensor, fake_logits: Tensor
    ) -> Log:
        """Equation 4.1 for the discriminator, epsilon penalty, and R1 every few steps."""
        weights = self.training.losses
        adversarial = discriminator_loss(real_logits, fake_logits)
        log = {
            "discriminator": adversarial,
            "real_logit": real_logits.mean(),
            "fake_logit": fake_logits.mean(),
        }
        parameters = list(self.networks.discriminator.parameters())
        total = adversarial + weights.epsilon * epsilon_penalty(real_logits)
        total.backward(inputs=parameters)  # type: ignore[no-untyped-call]
        if self._steps_done() % weights.r1_interval == 0 and weights.r1 > 0:
            # In fp32: second derivatives of a bf16 network are too coarse.
            penalty = r1_penalty(
                lambda images: self.networks.discriminator(images, condition)[0], conditions.image
            )
            scaled = penalty * weights.r1 / 2 * weights.r1_interval
            scaled.backward()  # type: ignore[no-untyped-call]
            log["r1"] = penalty
        return {name: value.detach() for name, value in log.items()}

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

    def _seen(self, conditions: Conditions) -> Tensor:
        """The conditions as the generator sees them."""
        return generator_input(conditions, self.architecture.generator.conditions)

    def _latents(self, conditions: Conditions, draw: torch.Generator) -> Latents:
        """From the appearance mapper if there is one (thesis 4.7), else from N(0, I)."""
        if self.networks.mapper is None:
            return Latents(self._drawn_latents(draw).to(self.fabric.device))
        mu, log_variance = self.networks.mapper(
            mapper_input(conditions, self.architecture.generator.conditions), conditions.person_mask
        )
        return Latents(sample_latents(mu, log_variance, draw), mu, log_variance)

    def _drawn_latents(self, draw: torch.Generator) -> Tensor:
        """One z per sample, or two that meet at a random layer: (B, style_layers, latent_dim)."""
        batch, layers = self._micro_batch, self.networks.generator.style_layers
        first, second = torch.randn(2, batch, 1, self.networks.generator.latent_dim, generator=draw)
        meet = torch.randint(1, layers, (batch, 1, 1), generator=draw)
        mixes = torch.rand(batch, 1, 1, generator=draw) < self.training.style_mixing
        return torch.where(mixes & (torch.arange(layers)[:, None] >= meet), second, first)

    def kl_weight(self) -> float:
        """lambda_kl now: it grows linearly over the warm-up."""
        weights = self.training.losses
        warmed = self.images_seen / weights.kl_warmup_images if weights.kl_warmup_images else 1.0
        return weights.kl * min(1.0, warmed)

    def _steps_done(self) -> int:
        return self.images_seen // self.training.batch_size

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
            "path_mean": float(self._path_mean),
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
        self._path_mean.fill_(state.get("path_mean", 0.0))
        self._upcoming = None
        return state

    def samples(self, crops: PersonCrops) -> list[Tensor]:
        """Pictures of where the run stands (`sample_rows`)."""
        names = self.architecture.generator.conditions
        return sample_rows(self.networks, crops, names, self._template)

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
