"""The losses of one micro-batch, and what they ask of the networks (thesis 4.5-4.8)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from anonbench.generators.appearance_mapper import sample_latents
from anonbench.generators.conditions import (
    Conditions,
    conditions_of,
    discriminator_condition,
    generator_input,
    mapper_input,
)
from anonbench.generators.config import ArchitectureConfig
from anonbench.template import SurfaceTemplate
from anonbench.training.batches import Batch
from anonbench.training.config import LossWeights, TrainingConfig
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

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Log = dict[str, Tensor]
"""Losses and statistics by name, scalars without gradient."""


@dataclass(frozen=True)
class Latents:
    """The z of one step: `z` as the generator takes it, mu and log_variance if the mapper made it."""

    z: Tensor
    mu: Tensor | None = None
    log_variance: Tensor | None = None


@dataclass(frozen=True)
class Judged:
    """One pass of a micro-batch through both networks.

    painted: generated images in their backgrounds, (B, 3, H, W); seen: the same without their history, as the
    discriminator sees them. Logits (B,) and feature maps of those, and of the real images.
    """

    painted: Tensor
    seen: Tensor
    fake_logits: Tensor
    fake_maps: list[Tensor]
    real_logits: Tensor
    real_maps: list[Tensor]


@dataclass
class Objective:
    """Equations 4.1 and 4.6 with their regularisers, as gradients of the networks' weights.

    path_mean: running mean of path lengths, a scalar; the trainer moves it.
    """

    networks: Networks
    architecture: ArchitectureConfig
    training: TrainingConfig
    template: SurfaceTemplate
    fabric: "Fabric"
    path_mean: Tensor

    def add_gradients(self, batch: Batch, images_seen: int) -> Log:
        """Adds the gradients of one micro-batch to those of all networks; its losses and statistics.

        images_seen: before the step; regularisers that come every few steps count from there.

        The generated images pass the discriminator once for both updates: the generator's gradient is taken
        with respect to the images, which leaves the discriminator's weights without one (thesis 4.6.1).
        """
        conditions = conditions_of(batch.crops.to(self.fabric.device), self.template)
        kind = self.architecture.discriminator.condition
        with self.fabric.autocast():
            condition = discriminator_condition(conditions, kind, batch.draw)
            latents = self._latents(conditions, batch.draw)
            judged = self.judge(conditions, condition, latents, batch.draw)
        log = self.generator_gradients(judged, latents, kl_weight(self.training.losses, images_seen))
        log |= self.discriminator_gradients(judged)
        step, weights = images_seen // self.training.batch_size, self.training.losses
        # Both in fp32: second derivatives of a bf16 network are too coarse.
        if weights.r1 > 0 and step % weights.r1_interval == 0:
            log |= self._r1_gradients(conditions, condition)
        if weights.path_length > 0 and step % weights.path_length_interval == 0:
            log |= self._path_length_gradients(conditions, latents, batch.draw)
        return log

    def judge(
        self, conditions: Conditions, condition: Tensor, latents: Latents, draw: torch.Generator
    ) -> Judged:
        """Generates, and asks the discriminator about generated and real images under one `condition`."""
        generated = self.networks.generator(self._seen(conditions), latents.z, draw)
        painted = conditions.composite(generated)
        seen = painted.detach().requires_grad_()
        fake_logits, fake_maps = self.networks.discriminator(seen, condition)
        real_logits, real_maps = self.networks.discriminator(conditions.image, condition)
        return Judged(painted, seen, fake_logits, fake_maps, real_logits, real_maps)

    def generator_gradients(self, judged: Judged, latents: Latents, weight_of_kl: float) -> Log:
        """Equation 4.6 for generator and mapper."""
        weights = self.training.losses
        adversarial = generator_loss(judged.fake_logits)
        log = {"generator": adversarial}
        on_images, on_latents = adversarial, torch.zeros(())
        if latents.mu is not None and latents.log_variance is not None:
            matching = feature_matching_loss(
                judged.real_maps,
                judged.fake_maps,
                weights.feature_matching_maps,
                normalized=weights.normalized_feature_matching,
            )
            kl = kl_divergence(latents.mu, latents.log_variance)
            on_images = adversarial + weights.feature_matching * matching
            on_latents = weight_of_kl * kl
            log |= {
                "feature_matching": matching,
                "kl_nats": kl,
                "mu_squared": latents.mu.square().mean(),
                "sigma_squared": latents.log_variance.exp().mean(),
            }
        # The chain rule is continued by hand from what was seen to what painted it.
        (gradient,) = torch.autograd.grad(on_images, judged.seen, retain_graph=True)
        total = (judged.painted * gradient).sum() + on_latents
        total.backward()  # type: ignore[no-untyped-call]
        return {name: value.detach() for name, value in log.items()}

    def discriminator_gradients(self, judged: Judged) -> Log:
        """Equation 4.1 for the discriminator, and the epsilon penalty."""
        adversarial = discriminator_loss(judged.real_logits, judged.fake_logits)
        total = adversarial + self.training.losses.epsilon * epsilon_penalty(judged.real_logits)
        parameters = list(self.networks.discriminator.parameters())
        total.backward(inputs=parameters)  # type: ignore[no-untyped-call]
        return {
            "discriminator": adversarial.detach(),
            "real_logit": judged.real_logits.detach().mean(),
            "fake_logit": judged.fake_logits.detach().mean(),
        }

    def _r1_gradients(self, conditions: Conditions, condition: Tensor) -> Log:
        """R1 of the discriminator, counted as often as there are steps between."""
        weights = self.training.losses
        penalty = r1_penalty(
            lambda images: self.networks.discriminator(images, condition)[0], conditions.image
        )
        scaled = penalty * weights.r1 / 2 * weights.r1_interval
        scaled.backward()  # type: ignore[no-untyped-call]
        return {"r1": penalty.detach()}

    def _path_length_gradients(self, conditions: Conditions, latents: Latents, draw: torch.Generator) -> Log:
        """Path length regularization of the generator, with a pass of its own, counted like R1."""
        weights = self.training.losses
        styles = self.networks.generator.styles_of(latents.z.detach())
        images = conditions.composite(self.networks.generator.paint(self._seen(conditions), styles, draw))
        noise = torch.randn(images.shape, generator=draw).to(images.device)
        lengths = path_length(images, styles, noise)
        scaled = (
            path_length_penalty(lengths, self.path_mean) * weights.path_length * weights.path_length_interval
        )
        scaled.backward()  # type: ignore[no-untyped-call]
        return {"path_length": lengths.detach().mean()}

    def _seen(self, conditions: Conditions) -> Tensor:
        """The conditions as the generator sees them."""
        return generator_input(conditions, self.architecture.generator.conditions)

    def _latents(self, conditions: Conditions, draw: torch.Generator) -> Latents:
        """From the appearance mapper if there is one (thesis 4.7), else from N(0, I)."""
        if self.networks.mapper is None:
            return Latents(self.drawn_latents(len(conditions.image), draw).to(self.fabric.device))
        mu, log_variance = self.networks.mapper(
            mapper_input(conditions, self.architecture.generator.conditions), conditions.person_mask
        )
        return Latents(sample_latents(mu, log_variance, draw), mu, log_variance)

    def drawn_latents(self, batch: int, draw: torch.Generator) -> Tensor:
        """One z per sample, or two that meet at a random layer: (B, style_layers, latent_dim)."""
        layers, dim = self.networks.generator.style_layers, self.networks.generator.latent_dim
        first, second = torch.randn(2, batch, 1, dim, generator=draw)
        meet = torch.randint(1, layers, (batch, 1, 1), generator=draw)
        mixes = torch.rand(batch, 1, 1, generator=draw) < self.training.style_mixing
        return torch.where(mixes & (torch.arange(layers)[:, None] >= meet), second, first)


def kl_weight(weights: LossWeights, images_seen: int) -> float:
    """lambda_kl after so many images: it grows linearly over the warm-up."""
    warmed = images_seen / weights.kl_warmup_images if weights.kl_warmup_images else 1.0
    return weights.kl * min(1.0, warmed)
