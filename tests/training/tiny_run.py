"""A training run small enough for a test: random crops of 16x16, networks with two base channels."""

import torch

from anonbench import template
from anonbench.crops import Outcome, PersonCrops
from anonbench.generators.config import (
    AppearanceMapperConfig,
    ArchitectureConfig,
    DiscriminatorConfig,
    GeneratorConfig,
)
from anonbench.training.config import LossWeights, TrainingConfig, TrainingData
from anonbench.training.trainer import InMemoryCrops, Trainer

SIZE = (16, 16)
GENERATOR = {"base_channels": 2, "latent_dim": 4, "style_dim": 8}
BASELINE = ArchitectureConfig(
    resolution=SIZE,
    generator=GeneratorConfig(**GENERATOR),
    discriminator=DiscriminatorConfig(base_channels=2),
)
FINAL = ArchitectureConfig(
    resolution=SIZE,
    generator=GeneratorConfig(**GENERATOR, co_modulation=True),
    appearance_mapper=AppearanceMapperConfig(base_channels=2),
    discriminator=DiscriminatorConfig(base_channels=2, condition="surface_mask"),
)


def crops(count: int = 12) -> PersonCrops:
    """Noise with a square person in the middle."""
    draw = torch.Generator().manual_seed(0)
    mask = torch.zeros(count, 1, *SIZE, dtype=torch.bool)
    mask[:, :, 3:13, 4:12] = True
    surface = torch.randint(0, template.VERTICES, (count, *SIZE), generator=draw).int()
    return PersonCrops(
        image=torch.randint(0, 256, (count, 3, *SIZE), generator=draw).to(torch.uint8),
        person_mask=mask,
        surface=torch.where(mask[:, 0], surface, -1),
        keypoints=torch.zeros(count, 17, 3),
        person_id=torch.arange(count),
        camera_id=torch.zeros(count, dtype=torch.int64),
        outcome=torch.full((count,), int(Outcome.SURFACE)),
        key=tuple(f"crop/{i}" for i in range(count)),
    )


def training(images: int = 32, **changes: object) -> TrainingConfig:
    """A configuration with R1 on every other step and a warm-up that ends within the run."""
    values: dict[str, object] = {
        "data": TrainingData(version=1, count=12, context_correlation=0.7),
        "images": images,
        "batch_size": 4,
        "precision": "fp32",
        "losses": LossWeights(r1_interval=2, kl_warmup_images=16),
    }
    return TrainingConfig.model_validate(values | changes)


def trainer(architecture: ArchitectureConfig, **changes: object) -> Trainer:
    """A trainer at its first step."""
    return Trainer(architecture, training(**changes), InMemoryCrops(crops()))
