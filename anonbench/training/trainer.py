"""One training step, and the state that it moves (thesis 4.5-4.8).

Every random draw of a step comes from a stream keyed by the run's seed and the images seen so far. A run
that is stopped and resumed therefore sees the same batches, latents and noise as one that was not, without
any generator state in the checkpoint.
"""

import hashlib
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from anonbench.crops import PersonCrops
from anonbench.errors import DataError
from anonbench.generators.appearance_mapper import sample_latents
from anonbench.generators.build import load_modules, module_tensors
from anonbench.generators.conditions import (
    Conditions,
    conditions_of,
    discriminator_condition,
    flip,
    generator_input,
    mapper_input,
)
from anonbench.generators.config import ArchitectureConfig
from anonbench.training import checkpoints
from anonbench.training.config import TrainingConfig
from anonbench.training.ema import ema_decay
from anonbench.training.losses import (
    discriminator_loss,
    epsilon_penalty,
    feature_matching_loss,
    generator_loss,
    kl_divergence,
    r1_penalty,
)
from anonbench.training.networks import Networks


class BatchSource(Protocol):
    """Where training batches come from."""

    def sample(self, count: int, generator: torch.Generator) -> PersonCrops:
        """`count` crops that depend on the generator's state only."""
        ...


@dataclass(frozen=True)
class InMemoryCrops:
    """A training set that fits into memory; batches are drawn with replacement."""

    crops: PersonCrops

    def sample(self, count: int, generator: torch.Generator) -> PersonCrops:
        """`count` crops, uniformly."""
        return self.crops.select(torch.randint(len(self.crops), (count,), generator=generator))


@dataclass(frozen=True)
class Latents:
    """The z of one step: `z` as the generator takes it, mu and log_variance if the mapper made it."""

    z: Tensor
    mu: Tensor | None = None
    log_variance: Tensor | None = None


class Trainer:
    """Trains the networks of one architecture. `step` is the whole of it; everything else is bookkeeping."""

    def __init__(
        self,
        architecture: ArchitectureConfig,
        training: TrainingConfig,
        source: BatchSource,
        device: torch.device | str = "cpu",
    ) -> None:
        self.architecture = architecture
        self.training = training
        self.source = source
        self.device = torch.device(device)
        self.images_seen = 0
        self.seconds = 0.0
        """Wall time of all steps, those before a resumption included."""
        self.networks = Networks.build(architecture, training.seed, self.device)
        self._optimizers = {
            "generator_optimizer": self._adam(self.networks.generator_parameters()),
            "discriminator_optimizer": self._adam(list(self.networks.discriminator.parameters())),
        }

    def _adam(self, parameters: list[torch.nn.Parameter]) -> torch.optim.Adam:
        return torch.optim.Adam(
            parameters, self.training.learning_rate, betas=self.training.betas, eps=1e-8, fused=True
        )

    def step(self) -> dict[str, Tensor]:
        """One update of generator, mapper and discriminator on one batch; the step's losses and statistics.

        The generated images pass the discriminator once for both updates: the generator's gradient is taken
        with respect to the images, which leaves the discriminator's weights without one (thesis 4.6.1).
        """
        began = time.monotonic()
        draw = stream(self.training.seed, self.images_seen)
        conditions = self._batch(draw)
        with self._autocast():
            condition = discriminator_condition(conditions, self.architecture.discriminator.condition, draw)
            latents = self._latents(conditions, draw)
            generated = self.networks.generator(generator_input(conditions), latents.z, draw)
            images = conditions.composite(generated)
            judged = images.detach().requires_grad_()
            fake_logits, fake_maps = self.networks.discriminator(judged, condition)
            real_logits, real_maps = self.networks.discriminator(conditions.image, condition)
        log = self._update_generator(images, judged, latents, fake_logits, fake_maps, real_maps)
        log |= self._update_discriminator(conditions, condition, real_logits, fake_logits)
        self.images_seen += self.training.batch_size
        self.networks.update_averages(self._decay())
        self.seconds += time.monotonic() - began
        return log

    def _update_generator(
        self,
        images: Tensor,
        judged: Tensor,
        latents: Latents,
        fake_logits: Tensor,
        fake_maps: list[Tensor],
        real_maps: list[Tensor],
    ) -> dict[str, Tensor]:
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
        optimizer = self._optimizers["generator_optimizer"]
        optimizer.zero_grad()
        # `judged` is cut off from the generator: the chain rule is continued by hand.
        (gradient,) = torch.autograd.grad(on_images, judged, retain_graph=True)
        total = (images * gradient).sum() + on_latents
        total.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return {name: value.detach() for name, value in log.items()}

    def _update_discriminator(
        self, conditions: Conditions, condition: Tensor, real_logits: Tensor, fake_logits: Tensor
    ) -> dict[str, Tensor]:
        """Equation 4.1 for the discriminator, epsilon penalty, and R1 every few steps."""
        weights = self.training.losses
        adversarial = discriminator_loss(real_logits, fake_logits)
        log = {
            "discriminator": adversarial,
            "real_logit": real_logits.mean(),
            "fake_logit": fake_logits.mean(),
        }
        optimizer = self._optimizers["discriminator_optimizer"]
        optimizer.zero_grad()
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
        optimizer.step()
        return {name: value.detach() for name, value in log.items()}

    def _batch(self, draw: torch.Generator) -> Conditions:
        size = self.training.batch_size
        crops = self.source.sample(size, draw)
        crops = flip(crops, torch.rand(size, generator=draw) < self.training.flip_probability)
        return conditions_of(crops).to(self.device)

    def _latents(self, conditions: Conditions, draw: torch.Generator) -> Latents:
        """From the appearance mapper if there is one (thesis 4.7), else from N(0, I)."""
        if self.networks.mapper is None:
            return Latents(self._drawn_latents(draw).to(self.device))
        mu, log_variance = self.networks.mapper(mapper_input(conditions), conditions.person_mask)
        return Latents(sample_latents(mu, log_variance, draw), mu, log_variance)

    def _drawn_latents(self, draw: torch.Generator) -> Tensor:
        """One z per sample, or two that meet at a random layer: (B, style_layers, latent_dim)."""
        batch, layers = self.training.batch_size, self.networks.generator.style_layers
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

    def _autocast(self) -> AbstractContextManager[Any]:
        if self.training.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    def save(self, path: Path) -> None:
        """Writes everything that `resume` needs, atomically."""
        tensors = module_tensors(self.networks.modules)
        tensors |= checkpoints.optimizer_tensors(self._optimizers)
        progress = {"images_seen": self.images_seen, "seconds": self.seconds}
        checkpoints.save_tensors(path, tensors, progress | run_identity(self.architecture, self.training))

    def resume(self, path: Path) -> None:
        """Continues from a checkpoint of `save`; DataError if it belongs to another run."""
        tensors, state = checkpoints.load_tensors(path)
        for name, value in run_identity(self.architecture, self.training).items():
            if state.get(name) != value:
                raise DataError(f"{path}: was written with another `{name}`; choose another folder")
        load_modules(self.networks.modules, tensors)
        checkpoints.load_optimizers(self._optimizers, tensors)
        self.images_seen, self.seconds = int(state["images_seen"]), float(state["seconds"])


def run_identity(architecture: ArchitectureConfig, training: TrainingConfig) -> dict[str, Any]:
    """What must not change when a run goes on, as it stands in checkpoints. Its length may."""
    return {
        "architecture": architecture.model_dump(mode="json"),
        "training": training.model_dump(mode="json", exclude={"images", "record"}),
    }


def stream(seed: int, images_seen: int) -> torch.Generator:
    """The generator of all random draws of the step that starts after `images_seen` images."""
    digest = hashlib.sha256(f"training/{seed}/{images_seen}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
