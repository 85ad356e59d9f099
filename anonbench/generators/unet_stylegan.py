"""The generator: a U-Net encoder of the condition, a StyleGAN2 decoder modulated by z (thesis 4.4, 4.9)."""

import math

import torch
from torch import Tensor, nn

from anonbench.generators.config import CHANNELS, DEFAULT_LEVELS, GeneratorConfig
from anonbench.generators.layers import (
    ACTIVATION_GAIN,
    ActivatedConv2d,
    EqualizedLinear,
    MappingNetwork,
    ModulatedConv2d,
    ModulatedToRGB,
    activate,
    downsample,
    pyramid_channels,
    upsample,
)


class Encoder(nn.Module):
    """The StyleGAN2 decoder in reverse, without modulation: one feature map per resolution."""

    def __init__(self, condition_channels: int, channels: list[int]) -> None:
        super().__init__()
        self.from_condition = ActivatedConv2d(condition_channels, channels[0], 1)
        inputs = [channels[0], *channels[:-1]]
        self.blocks = nn.ModuleList(
            nn.Sequential(ActivatedConv2d(i, o), ActivatedConv2d(o, o)) if level else ActivatedConv2d(i, o)
            for level, (i, o) in enumerate(zip(inputs, channels, strict=True))
        )

    def forward(self, condition: Tensor) -> list[Tensor]:
        """(B, C, H, W) -> maps (B, C_l, H / 2^l, W / 2^l), finest first."""
        x = self.from_condition(condition)
        maps: list[Tensor] = []
        for level, block in enumerate(self.blocks):
            x = block(downsample(x) if level else x)
            maps.append(x)
        return maps


class CoModulation(nn.Module):
    """Makes the styles depend on the condition as well as on z (thesis 4.9, Zhao et al. arXiv:2103.10428).

    A small network at the lowest resolution describes the condition; a single linear layer merges its
    output with w.
    """

    def __init__(self, channels: int, style_dim: int) -> None:
        super().__init__()
        self.describe = EqualizedLinear(channels, style_dim, gain=ACTIVATION_GAIN)
        self.merge = EqualizedLinear(2 * style_dim, style_dim)

    def forward(self, coarsest: Tensor, styles: Tensor) -> Tensor:
        """(B, C, h, w) and (B, layers, style_dim) -> (B, layers, style_dim)."""
        description = activate(self.describe(coarsest.float().mean((2, 3))))
        description = description[:, None].expand(-1, styles.shape[1], -1)
        merged: Tensor = self.merge(torch.cat([styles, description], dim=2))
        return merged


class DecoderBlock(nn.Module):
    """One resolution of the decoder: two modulated convolutions, the encoder's map joined between them.

    Enlarges what comes from below. The first convolution runs before that, at a quarter of the cost.
    rgb: whether this resolution has a share in the image.
    """

    def __init__(
        self, in_channels: int, out_channels: int, style_dim: int, *, noise: bool, rgb: bool
    ) -> None:
        super().__init__()
        self.enter = ModulatedConv2d(in_channels, out_channels, style_dim, noise=noise)
        self.leave = ModulatedConv2d(out_channels, out_channels, style_dim, noise=noise)
        self.to_rgb = ModulatedToRGB(out_channels, style_dim) if rgb else None

    def forward(
        self, x: Tensor, skip: Tensor | None, styles: Tensor, noise: torch.Generator | None
    ) -> tuple[Tensor, Tensor | None]:
        """The map at this resolution, and its share of the RGB.

        x: (B, C, h, w) from below; skip: (B, out_channels, 2h, 2w), or None at the lowest resolution, where
        nothing is enlarged; styles: (B, 2, style_dim).
        """
        x = self.enter(x, styles[:, 0], noise)
        if skip is not None:
            x = (upsample(x) + skip) * math.sqrt(0.5)
        x = self.leave(x, styles[:, 1], noise)
        return x, None if self.to_rgb is None else self.to_rgb(x, styles[:, 1])


class UNetStyleGAN(nn.Module):
    """G(z | B, C, M): paints a person into the hole of a background, in the given pose.

    Fully convolutional: any height and width divisible by 2^(levels - 1).
    """

    def __init__(self, config: GeneratorConfig, levels: int = DEFAULT_LEVELS) -> None:
        super().__init__()
        channels = pyramid_channels(config.base_channels, levels)
        self.latent_dim = config.latent_dim
        self.mapping = MappingNetwork(config.latent_dim, config.style_dim, config.mapping_layers)
        self.encoder = Encoder(sum(CHANNELS[name] for name in config.conditions), channels)
        self.co_modulation = CoModulation(channels[-1], config.style_dim) if config.co_modulation else None
        outputs = channels[::-1]
        inputs = [outputs[0], *outputs[:-1]]
        self.decoder = nn.ModuleList(
            DecoderBlock(
                i, o, config.style_dim, noise=config.noise, rgb=config.skip_generator or level == levels - 1
            )
            for level, (i, o) in enumerate(zip(inputs, outputs, strict=True))
        )

    @property
    def style_layers(self) -> int:
        """Number of styles: two per resolution, coarsest first."""
        return 2 * len(self.decoder)

    def forward(self, condition: Tensor, latents: Tensor, noise: torch.Generator | None = None) -> Tensor:
        """Generated images, not composited: `paint` with the `styles_of` some latents."""
        return self.paint(condition, self.styles_of(latents), noise)

    def styles_of(self, latents: Tensor) -> Tensor:
        """w, which z alone decides: (B, style_layers, style_dim).

        latents: float (B, latent_dim), or (B, style_layers, latent_dim) for style mixing.
        """
        styles: Tensor = self.mapping(latents)
        return styles if styles.dim() == 3 else styles[:, None].expand(-1, self.style_layers, -1)

    def paint(self, condition: Tensor, styles: Tensor, noise: torch.Generator | None = None) -> Tensor:
        """Generated images, not composited.

        condition: float (B, C, H, W) of `conditions.generator_input`.
        styles: float (B, style_layers, style_dim) of `styles_of`.
        noise: source of the per-pixel noise, None for none.
        Returns float32 (B, 3, H, W), about [-1, 1].
        """
        maps = self.encoder(condition)
        x, skips = maps[-1], [None, *maps[-2::-1]]
        if self.co_modulation is not None:
            styles = self.co_modulation(x, styles)
        rgb: Tensor | None = None
        for block, skip, style in zip(
            self.decoder, skips, styles.chunk(len(self.decoder), dim=1), strict=True
        ):
            x, share = block(x, skip, style, noise)
            rgb = share if rgb is None else upsample(rgb) + share
        assert rgb is not None  # the finest block always has a share
        return rgb.float()
