"""The discriminator of StyleGAN2, conditioned on the background and a mask (thesis 4.5, 4.10)."""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from anonbench.generators.config import DEFAULT_LEVELS, DiscriminatorConfig
from anonbench.generators.layers import (
    ACTIVATION_GAIN,
    ActivatedConv2d,
    EqualizedConv2d,
    EqualizedLinear,
    activate,
    downsample,
    pyramid_channels,
)

DISCRIMINATOR_CONDITION_CHANNELS = 3 + 1
MINIBATCH_GROUP = 4


class ResidualBlock(nn.Module):
    """Halves the resolution: two convolutions beside a linear shortcut."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.first = ActivatedConv2d(in_channels, in_channels)
        self.second = ActivatedConv2d(in_channels, out_channels)
        self.shortcut = EqualizedConv2d(in_channels, out_channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C_in, H, W) -> (B, C_out, H/2, W/2)."""
        shortcut = self.shortcut(downsample(x))
        result: Tensor = (self.second(downsample(self.first(x))) + shortcut) * math.sqrt(0.5)
        return result


class Discriminator(nn.Module):
    """D(x | condition): one logit per image, and the feature maps for feature matching (thesis 4.6.1)."""

    def __init__(
        self, config: DiscriminatorConfig, resolution: tuple[int, int], levels: int = DEFAULT_LEVELS
    ) -> None:
        super().__init__()
        channels = pyramid_channels(config.base_channels, levels)
        height, width = (side // 2 ** (levels - 1) for side in resolution)
        self.from_image = ActivatedConv2d(3 + DISCRIMINATOR_CONDITION_CHANNELS, channels[0], 1)
        self.blocks = nn.ModuleList(ResidualBlock(i, o) for i, o in pairwise(channels))
        self.coarsest = ActivatedConv2d(channels[-1], channels[-1])
        self.judge = ActivatedConv2d(channels[-1] + 1, channels[-1])
        self.hidden = EqualizedLinear(channels[-1] * height * width, channels[-1], gain=ACTIVATION_GAIN)
        self.logit = EqualizedLinear(channels[-1], 1)

    def forward(self, image: Tensor, condition: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Logits float32 (B,) and feature maps, finest first.

        image: float (B, 3, H, W) in [-1, 1]; condition: float (B, 4, H, W) of
        `conditions.discriminator_condition`. The maps number 1 to levels + 1 in the thesis' way: 1 has the
        highest resolution; the last two share the lowest.
        """
        x = self.from_image(torch.cat([image, condition], dim=1))
        maps = [x]
        for block in self.blocks:
            x = block(x)
            maps.append(x)
        x = self.coarsest(x)
        maps.append(x)
        x = self.judge(torch.cat([x, minibatch_deviation(x)], dim=1))
        x = activate(self.hidden(x.flatten(1)))
        return self.logit(x)[:, 0].float(), maps


def minibatch_deviation(x: Tensor, group: int = MINIBATCH_GROUP) -> Tensor:
    """Mean standard deviation within groups of samples, as a map (Karras et al. 2018, section 3).

    Lets the discriminator see that a generator produces too little variety. x: (B, C, H, W); groups of
    `group` samples, or one group where B is not divisible by it. Returns (B, 1, H, W).
    """
    group = group if len(x) % group == 0 else len(x)
    grouped = x.float().reshape(group, len(x) // group, -1)
    variance = (grouped - grouped.mean(0)).square().mean(0)
    deviation = (variance + 1e-8).sqrt().mean(1)
    return deviation.repeat(group)[:, None, None, None].expand(-1, 1, *x.shape[2:]).to(x.dtype)
