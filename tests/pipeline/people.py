"""People as plain masks, and anonymizers for them, for tests of the pipeline."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from anonbench.anonymizers.base import Anonymizer
from anonbench.anonymizers.generator import load_generator
from anonbench.anonymizers.registry import load_anonymizer
from anonbench.cards import ModelCard
from anonbench.crops import PersonCrops
from anonbench.detection.people import Person, PersonDetections
from tests.anonymizers.random_generators import ARCHITECTURE, publish_random

SIZE = (48, 32)
"""(H, W) of crops, small for speed."""
BLIND = ("blackout", "noise", "generator")
"""Anonymizers that need not know what anybody looks like."""


def anonymizer_of(name: str, folder: Path) -> Anonymizer:
    """One of the packaged anonymizers, or "generator", of random weights."""
    if name != "generator":
        return load_anonymizer(name)
    return load_generator(publish_random(folder, ARCHITECTURE), folder)


def block(
    size: tuple[int, int], top: int, left: int, bottom: int, right: int, surface: bool = True
) -> Person:
    """A person whose mask is a rectangle, cut by the image's border."""
    mask = torch.zeros(size, dtype=torch.bool)
    mask[max(top, 0) : bottom, max(left, 0) : right] = True
    vertices = torch.where(mask, torch.arange(mask.numel()).reshape(size) % 13000, -1).to(torch.int32)
    found = Person.of_mask(mask, 0.9, surface=vertices if surface else None)
    assert found is not None
    return found


def detections(size: tuple[int, int], *people: Person) -> PersonDetections:
    return PersonDetections(size, people)


def noise_image(size: tuple[int, int], seed: int = 0) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (3, *size), generator=rng, dtype=torch.uint8)


class Painter:
    """Paints every person in one colour of their own, and remembers the crops."""

    def __init__(self, *levels: int, kind: str = "painter") -> None:
        self.card = ModelCard(name="painter", kind=kind, description="One grey level each.")
        self.levels = levels
        self.seen: list[PersonCrops] = []

    def anonymize(self, crops: PersonCrops, latents: Tensor | None = None, truncation: float = 1.0) -> Tensor:
        self.seen.append(crops)
        levels: Any = self.levels or (255,) * len(crops)
        grey = torch.tensor(levels, dtype=torch.uint8)[:, None, None, None]
        return torch.where(crops.person_mask, grey, crops.image)
