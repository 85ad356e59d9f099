"""Cards and crops for the tests of DeepPrivacy2's generators."""

import hashlib
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file

from anonbench.cards import ModelCard
from anonbench.crops import Outcome, PersonCrops
from tests.anonymizers.crop_batches import random_crops

NATIVE = (32, 16)
CONFIGS = {"surface": "cse", "keypoints": "keypoints", "mask": "mask"}


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def embed_map(folder: Path) -> torch.Tensor:
    """FDH's file with the embedding of SMPL's vertices, with other numbers."""
    table = torch.randn(27554, 16, generator=torch.Generator().manual_seed(0))
    torch.save(table, folder / "embed_map.torch")
    return table


def card(folder: Path, inputs: str, tensors=None, **changes) -> ModelCard:
    """A card of the stand-in, whose checkpoint lies in `folder`."""
    state = {"weight": torch.linspace(-1, 1, 18).reshape(6, 3), "w_avg": torch.full((3,), 0.5)}
    if inputs == "keypoints":
        state["old_weight"] = state.pop("weight")
    save_file(tensors or state, folder / "model.safetensors")
    architecture = {"config": f"configs/fdh/{CONFIGS[inputs]}.py", "inputs": inputs, "resolution": NATIVE}
    if inputs == "surface":
        embed_map(folder)
        architecture["embed_map"] = digest(folder / "embed_map.torch")
    values = {
        "name": "theirs",
        "kind": "deep_privacy2",
        "description": "d",
        "latent_dim": 6,
        "architecture": architecture,
        "checkpoint": {"file": "model.safetensors", "sha256": digest(folder / "model.safetensors")},
    }
    return ModelCard.model_validate(values | changes)


def people(count: int, size: tuple[int, int]) -> PersonCrops:
    """Random crops of people with SMPL surfaces and keypoints, all detected."""
    crops = random_crops(count, size)
    draw = torch.Generator().manual_seed(1)
    surface = torch.randint(0, 27554, (count, *size), generator=draw)
    position = torch.rand(count, 17, 2, generator=draw) * torch.tensor([size[1], size[0]])
    return replace(
        crops,
        surface=torch.where(crops.person_mask[:, 0], surface, -1).to(torch.int32),
        template="smpl_27554",
        keypoints=torch.cat([position, torch.ones(count, 17, 1)], dim=2),
        outcome=torch.full((count,), int(Outcome.SURFACE)),
    )
