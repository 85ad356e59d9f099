"""A training run small enough for a test: random crops of 16x16, networks with two base channels."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch

from anonbench import template
from anonbench.cards import ModelCard
from anonbench.crops import Outcome, PersonCrops
from anonbench.generators.config import (
    AppearanceMapperConfig,
    ArchitectureConfig,
    DiscriminatorConfig,
    GeneratorConfig,
)
from anonbench.training.batches import InMemoryCrops
from anonbench.training.config import LossWeights, TrainingConfig, TrainingData
from anonbench.training.devices import fabric_of
from anonbench.training.model_files import ModelFiles
from anonbench.training.run import Intervals, Run
from anonbench.training.trainer import Trainer

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


def trainer(
    architecture: ArchitectureConfig, *, accumulate: int = 1, workers: int = 0, **changes: object
) -> Trainer:
    """A trainer at its first step."""
    config, fabric = training(**changes), fabric_of(str(changes.get("precision", "fp32")))
    data = InMemoryCrops(crops())
    return Trainer(architecture, config, data, fabric, accumulate=accumulate, workers=workers)


def model_files(folder: Path, run: Trainer) -> ModelFiles:
    """Where a run leaves its model, called "tiny"."""
    content = {"name": "tiny", "kind": "generator", "description": "A test."}
    card = ModelCard.model_validate(content)
    return ModelFiles(folder, card, run.architecture, run.training, "a test machine", {})


class Silent:
    """Progress that nobody looks at."""

    def aside(self) -> AbstractContextManager[None]:
        return nullcontext()

    def begin(self, images_seen: int, seconds: float) -> None:
        pass

    def at(self, images_seen: int) -> None:
        pass

    def report(self, images_seen: int, seconds: float, means: Mapping[str, float]) -> None:
        pass


def run_in(folder: Path, trainer: Trainer, intervals: Intervals, **others: Any) -> None:
    """Trains to the end, in `folder`."""
    Run(trainer, model_files(folder, trainer), intervals, crops(2), Silent(), **others).train()
