"""The appearance mapper: a person's pixels -> the distribution of z (thesis 4.6.2 and 4.7)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anonbench.generators.config import (
    CHANNELS,
    DEFAULT_LEVELS,
    SURFACES,
    AppearanceMapperConfig,
    ConditionName,
    beside_background,
)
from anonbench.generators.layers import ActivatedConv2d, EqualizedLinear, downsample, pyramid_channels

PERSON_CHANNELS = 3
INITIAL_LOG_VARIANCE = -2.0
"""Starts with z that carry information: at unit variance the generator would learn to ignore them."""
LOG_VARIANCE_RANGE = (-8.0, 4.0)


class AppearanceMapper(nn.Module):
    """Encoder of a variational autoencoder: q(z | person pixels, mask, surface) = N(mu, sigma^2).

    The last map is averaged and maximised over the person only, so that z does not depend on how much of the
    crop the person fills. Fully convolutional: any height and width divisible by 2^(levels - 1).
    conditions: those of the generator; the mapper sees the person in place of the background.
    """

    def __init__(
        self,
        config: AppearanceMapperConfig,
        latent_dim: int,
        conditions: Sequence[ConditionName] = SURFACES,
        levels: int = DEFAULT_LEVELS,
    ) -> None:
        super().__init__()
        channels = pyramid_channels(config.base_channels, levels)
        seen = PERSON_CHANNELS + sum(CHANNELS[name] for name in beside_background(conditions))
        self.from_person = ActivatedConv2d(seen, channels[0], 1)
        inputs = [channels[0], *channels[:-1]]
        self.convs = nn.ModuleList(ActivatedConv2d(i, o) for i, o in zip(inputs, channels, strict=True))
        self.mix = ActivatedConv2d(channels[-1], channels[-1])
        self.head = EqualizedLinear(2 * channels[-1], 2 * latent_dim)

    def forward(self, person: Tensor, person_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of z, each float32 (B, latent_dim).

        person: float (B, C, H, W) of `conditions.mapper_input`; person_mask: float (B, 1, H, W).
        """
        x = self.from_person(person)
        for level, conv in enumerate(self.convs):
            x = conv(downsample(x) if level else x)
        x = self.mix(x).float()
        mu, log_variance = self.head(pool_person(x, person_mask)).float().chunk(2, dim=1)
        return mu, (log_variance + INITIAL_LOG_VARIANCE).clamp(*LOG_VARIANCE_RANGE)


def pool_person(x: Tensor, person_mask: Tensor) -> Tensor:
    """Mean and maximum of a map (B, C, h, w) over the person: (B, 2C). Zero for an empty mask."""
    share = F.adaptive_avg_pool2d(person_mask, (x.shape[2], x.shape[3]))
    mean = (x * share).sum((2, 3)) / share.sum((2, 3)).clamp_min(1e-6)
    maximum = (x * (share > 0)).amax((2, 3))
    return torch.cat([mean, maximum], dim=1)


def sample_latents(mu: Tensor, log_variance: Tensor, generator: torch.Generator) -> Tensor:
    """z = mu + sigma * epsilon, the reparametrisation of Kingma and Welling (thesis 2.9.1)."""
    epsilon = torch.randn(mu.shape, generator=generator).to(mu.device)
    return mu + torch.exp(0.5 * log_variance) * epsilon
