"""The `architecture:` section of a model card: everything that decides the shape of the networks."""

from typing import Literal

from pydantic import Field, model_validator

from anonbench.cards import Strict

CONDITION_CHANNELS = 3 + 1 + 16 + 1
"""Background RGB, person mask, surface embedding, surface mask (thesis 4.4)."""


class GeneratorConfig(Strict):
    """The U-Net with StyleGAN2 decoder (thesis 4.4)."""

    base_channels: int = Field(
        default=16, ge=1, description="channels at full resolution, doubled at every halving"
    )
    latent_dim: int = Field(default=64, ge=1, description="dimensions of z")
    style_dim: int = Field(default=128, ge=1, description="dimensions of w")
    mapping_layers: int = Field(default=2, ge=1, description="layers from z to w")
    noise: bool = Field(
        default=True, description="per-pixel noise after every modulated convolution, in training"
    )
    co_modulation: bool = Field(default=False, description="styles depend on the condition too (thesis 4.9)")


class AppearanceMapperConfig(Strict):
    """The network from a person's pixels to z (thesis 4.7)."""

    base_channels: int = Field(
        default=16, ge=1, description="channels at full resolution, doubled at every halving"
    )


class DiscriminatorConfig(Strict):
    """The critic, used in training only."""

    base_channels: int = Field(
        default=16, ge=1, description="channels at full resolution, doubled at every halving"
    )
    condition: Literal["person_mask", "surface_mask"] = Field(
        default="person_mask",
        description="what it sees beside the image: the person mask and the background with a hole, or the "
        "surface mask and the background with the hole filled with noise (thesis 4.10)",
    )


class ArchitectureConfig(Strict):
    """All networks of one model."""

    resolution: tuple[int, int] = Field(
        default=(72, 40), description="height and width trained at, multiples of 8"
    )
    generator: GeneratorConfig = GeneratorConfig()
    appearance_mapper: AppearanceMapperConfig | None = Field(
        default=None, description="absent: z is drawn from N(0, I) in training too (the baseline)"
    )
    discriminator: DiscriminatorConfig = DiscriminatorConfig()

    @model_validator(mode="after")
    def _divisible(self) -> "ArchitectureConfig":
        if any(side <= 0 or side % DOWNSAMPLING for side in self.resolution):
            raise ValueError(f"resolution must be multiples of {DOWNSAMPLING}, got {self.resolution}")
        return self


LEVELS = 4
"""Resolutions of every pyramid: full, half, quarter, eighth."""
DOWNSAMPLING = 2 ** (LEVELS - 1)
"""Height and width must be divisible by this."""
