"""Building blocks of StyleGAN2 (Karras et al. 2020, arXiv:1912.04958) that all networks here share."""

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ACTIVATION_GAIN = math.sqrt(2)
"""Keeps the variance of a signal through `activate`.

It is folded into the weights before the activation: a leaky rectifier commutes with positive factors, so
this gives the same function as StyleGAN2's gain after the activation and saves one pass over the map.
"""


def activate(x: Tensor) -> Tensor:
    """Leaky rectifier with slope 0.2, as in StyleGAN2."""
    return F.leaky_relu(x, 0.2)


def downsample(x: Tensor) -> Tensor:
    """Half the height and width, by averaging: (B, C, H, W) -> (B, C, H/2, W/2)."""
    return F.avg_pool2d(x, 2)


def upsample(x: Tensor) -> Tensor:
    """Twice the height and width, bilinear: (B, C, H, W) -> (B, C, 2H, 2W)."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


MOST_CHANNELS = 512
"""As in StyleGAN2."""


def pyramid_channels(base: int, levels: int) -> list[int]:
    """Channels per level, finest first: doubled at every halving of the resolution, up to a limit."""
    return [min(base * 2**level, max(base, MOST_CHANNELS)) for level in range(levels)]


class EqualizedLinear(nn.Module):
    """Fully connected layer with equalised learning rate (Karras et al. 2018, section 4.1).

    Weights are stored with unit variance and scaled at run time, so Adam moves every layer equally fast.
    """

    def __init__(self, in_features: int, out_features: int, *, gain: float = 1.0, bias: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_features, in_features))
        self.bias = nn.Parameter(torch.full((out_features,), bias))
        self.scale = gain / math.sqrt(in_features)

    def forward(self, x: Tensor) -> Tensor:
        """(..., in_features) -> (..., out_features)."""
        return F.linear(x, self.weight * self.scale, self.bias)


class EqualizedConv2d(nn.Module):
    """Convolution with equalised learning rate, zero padded to keep height and width."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int = 3, *, gain: float = 1.0, bias: bool = True
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.scale = gain / math.sqrt(in_channels * kernel**2)
        self.padding = kernel // 2

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, out_channels, H, W)."""
        return F.conv2d(x, self.weight * self.scale, self.bias, padding=self.padding)


class ActivatedConv2d(EqualizedConv2d):
    """`EqualizedConv2d` followed by `activate`, with unit gain through both."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int = 3) -> None:
        super().__init__(in_channels, out_channels, kernel, gain=ACTIVATION_GAIN)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, out_channels, H, W), activated."""
        return activate(super().forward(x))


class ModulatedConv2d(nn.Module):
    """3x3 convolution whose input channels are scaled by a style, then demodulated (StyleGAN2, section 2.2).

    The weights are shared by the batch: scaling the input per sample before, and the output after the
    convolution equals a convolution with each sample's own modulated weights, without grouped convolutions.
    """

    def __init__(self, in_channels: int, out_channels: int, style_dim: int, *, noise: bool) -> None:
        super().__init__()
        self.affine = EqualizedLinear(style_dim, in_channels, bias=1.0)
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, 3, 3))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.scale = 1 / math.sqrt(in_channels * 9)
        self.noise_strength = nn.Parameter(torch.zeros(())) if noise else None

    def forward(self, x: Tensor, style: Tensor, noise: torch.Generator | None = None) -> Tensor:
        """(B, in_channels, H, W) and (B, style_dim) -> (B, out_channels, H, W), activated.

        noise: where the per-pixel noise is drawn from; None leaves it out (inference).
        """
        weight = self.weight * self.scale
        modulation = self.affine(style).float()
        demodulation = ACTIVATION_GAIN * self._demodulation(weight, modulation)
        x = F.conv2d(x * per_channel(modulation, x), weight, padding=1)
        x = torch.addcmul(self.bias.to(x.dtype)[:, None, None], x, per_channel(demodulation, x))
        if noise is not None and self.noise_strength is not None:
            pixels = torch.randn(len(x), 1, *x.shape[2:], generator=noise)
            x = x + (self.noise_strength * pixels.to(self.noise_strength.device)).to(x.dtype)
        return activate(x)

    @staticmethod
    def _demodulation(weight: Tensor, modulation: Tensor) -> Tensor:
        """Inverse norm of each sample's modulated filters: (B, out_channels). StyleGAN2, Equation 3."""
        power = weight.square().sum((2, 3))
        return torch.rsqrt((modulation.square()[:, None] * power).sum(2) + 1e-8)


class ModulatedToRGB(nn.Module):
    """1x1 convolution to RGB, modulated by a style but not demodulated (StyleGAN2, Figure 7b)."""

    def __init__(self, in_channels: int, style_dim: int) -> None:
        super().__init__()
        self.affine = EqualizedLinear(style_dim, in_channels, bias=1.0)
        self.conv = EqualizedConv2d(in_channels, 3, 1)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """(B, in_channels, H, W) and (B, style_dim) -> (B, 3, H, W)."""
        rgb: Tensor = self.conv(x * per_channel(self.affine(style), x))
        return rgb


class MappingNetwork(nn.Module):
    """z -> w, a stack of activated linear layers (StyleGAN, section 2.10.5 of the thesis).

    Unlike StyleGAN's, it does not normalise z: truncation scales z itself (thesis 2.11), and t = 0 has to be
    the zero vector, which has no direction to normalise.
    """

    def __init__(self, latent_dim: int, style_dim: int, layers: int) -> None:
        super().__init__()
        widths = [latent_dim] + [style_dim] * layers
        self.layers = nn.ModuleList(EqualizedLinear(i, o, gain=ACTIVATION_GAIN) for i, o in pairwise(widths))

    def forward(self, latents: Tensor) -> Tensor:
        """(..., latent_dim) -> (..., style_dim)."""
        for layer in self.layers:
            latents = activate(layer(latents))
        return latents


def per_channel(values: Tensor, like: Tensor) -> Tensor:
    """(B, C) factors as (B, C, 1, 1), in the dtype of the map that they scale."""
    return values.to(like.dtype)[:, :, None, None]
