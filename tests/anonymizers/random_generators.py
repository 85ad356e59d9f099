"""Generators of random weights as cards with checkpoints, and crops for them."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from anonbench import template
from anonbench.cards import ModelCard
from anonbench.crops import Outcome, PersonCrops
from anonbench.generators.build import build_anonymizer, module_tensors, published_modules
from anonbench.generators.config import ArchitectureConfig
from anonbench.training.checkpoints import save_tensors
from anonbench.weights import file_sha256
from tests.anonymizers.crop_batches import random_crops

GENERATOR = {"base_channels": 2, "latent_dim": 6, "style_dim": 8, "co_modulation": True}
ARCHITECTURE = {
    "resolution": [32, 16],
    "generator": GENERATOR,
    "appearance_mapper": {"base_channels": 2},
}
NATIVE, LARGER = (32, 16), (64, 40)


def publish_random(
    folder: Path,
    architecture: Mapping[str, Any],
    dtype: torch.dtype = torch.float32,
    **extra: Tensor,
) -> ModelCard:
    """A card whose checkpoint lies in `folder`: weights of `dtype`, and tensors a__b as "a/b"."""
    torch.manual_seed(0)
    modules = published_modules(*build_anonymizer(ArchitectureConfig.model_validate(architecture)))
    tensors = {name: tensor.to(dtype) for name, tensor in module_tensors(modules).items()}
    tensors |= {name.replace("__", "/"): tensor for name, tensor in extra.items()}
    path = folder / "random.safetensors"
    save_tensors(path, tensors, {"made": "by a test"})
    return ModelCard(
        name="random",
        kind="generator",
        description="Random weights.",
        latent_dim=6,
        can_reconstruct=architecture.get("appearance_mapper") is not None,
        architecture=dict(architecture),
        checkpoint={"file": path.name, "sha256": file_sha256(path)},
    )


def people(count: int, size: tuple[int, int], vertices: int = template.VERTICES) -> PersonCrops:
    """Random crops, all with a surface and keypoints."""
    crops = random_crops(count, size)
    surface = torch.arange(count * size[0] * size[1]).reshape(count, *size) % vertices
    joints = torch.rand(count, 17, 3, generator=torch.Generator().manual_seed(0))
    return replace(
        crops,
        surface=torch.where(crops.person_mask[:, 0], surface, -1).to(torch.int32),
        keypoints=joints * torch.tensor([size[1], size[0], 1.0]),
        outcome=torch.full((count,), int(Outcome.SURFACE)),
    )
