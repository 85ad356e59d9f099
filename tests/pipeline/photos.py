"""Photos of scenes whose people are known, and a detector that knows them."""

import hashlib
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from anonbench.detection.people import PersonDetections
from tests.detection.scenes import scene

SIZE = (160, 200)


class Known:
    """Gives the people of images that it was told of; counts how often it was asked."""

    name = "known"
    digest = hashlib.sha256(b"known").hexdigest()

    def __init__(self) -> None:
        self.asked: list[str | None] = []
        self._people: dict[bytes, PersonDetections] = {}

    def require(self) -> None:
        """Nothing is missing."""

    def tell(self, image: Tensor, people: PersonDetections) -> None:
        self._people[image.numpy().tobytes()] = people

    def detect(self, image: Tensor, name: str | None = None) -> PersonDetections:
        self.asked.append(name)
        nobody = PersonDetections((image.shape[1], image.shape[2]), ())
        return self._people.get(image.numpy().tobytes(), nobody)


def photo_album(root: Path, people: dict[str, int]) -> Known:
    """Photos below `root`, by name, with so many people each."""
    detector = Known()
    for seed, (name, count) in enumerate(people.items()):
        image, found = scene(count, SIZE, seed)
        detector.tell(image, found)
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(path)
    return detector


def grey_image() -> Tensor:
    return torch.full((3, *SIZE), 128, dtype=torch.uint8)
