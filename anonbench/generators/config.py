"""The `architecture:` section of a model card: everything that decides the shape of the networks."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field, field_validator, model_validator

from anonbench.cards import Strict
from anonbench.crops import PACKAGED_TEMPLATE

ConditionName = Literal["background", "person_mask", "surface_embedding", "surface_mask", "keypoints"]
CHANNELS: dict[ConditionName, int] = {
    "background": 3,
    "person_mask": 1,
    "surface_embedding": 16,
    "surface_mask": 1,
    "keypoints": 17,
}
"""Channels of each condition: RGB, 0 or 1, CSE's vector, 0 or 1, a map per COCO joint."""
DEFAULT_LEVELS = 4
SURFACES: tuple[ConditionName, ...] = ("background", "person_mask", "surface_embedding", "surface_mask")
"""The thesis' conditions (4.4), in the order of their channels."""


def beside_background(names: Sequence[ConditionName]) -> list[ConditionName]:
    """The conditions that an appearance mapper shares with its generator: it has the person for a background."""
    return [name for name in names if name != "background"]


class GeneratorConfig(Strict):
    """The U-Net with StyleGAN2 decoder (thesis 4.4)."""

    conditions: tuple[ConditionName, ...] = Field(
        default=SURFACES,
        min_length=1,
        description="what the encoder sees, in the order of its channels; with keypoints in place of the "
        "surface it knows the joints only (thesis 7.2.4)",
    )
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
    skip_generator: bool = Field(
        default=True,
        description="RGB is summed over all resolutions (StyleGAN2, Figure 7b); false: from the finest map only",
    )

    @field_validator("conditions")
    @classmethod
    def _different(cls, names: tuple[ConditionName, ...]) -> tuple[ConditionName, ...]:
        if len(set(names)) < len(names):
            raise ValueError(f"conditions must differ, got {', '.join(names)}")
        return names


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
        default=(72, 40), description="height and width trained at, multiples of 2^(levels - 1)"
    )
    levels: int = Field(
        default=DEFAULT_LEVELS,
        ge=1,
        le=8,
        description="resolutions of every pyramid: full, half, quarter, ...; 4 end at 9x5 for 72x40, 6 for 288x160",
    )
    surface_template: str = Field(
        default=PACKAGED_TEMPLATE,
        description="body template of the training data; the checkpoint carries the embedding of any but the "
        "packaged one",
    )
    generator: GeneratorConfig = GeneratorConfig()
    appearance_mapper: AppearanceMapperConfig | None = Field(
        default=None, description="absent: z is drawn from N(0, I) in training too (the baseline)"
    )
    discriminator: DiscriminatorConfig = DiscriminatorConfig()

    @model_validator(mode="after")
    def _divisible(self) -> "ArchitectureConfig":
        step = 2 ** (self.levels - 1)
        if any(side <= 0 or side % step for side in self.resolution):
            raise ValueError(
                f"resolution must be multiples of {step} with {self.levels} levels, got {self.resolution}"
            )
        return self
