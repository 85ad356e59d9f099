"""Crops that are changed a little: what an anonymizer should not take notice of, or should follow exactly."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from anonbench.crops import NO_VERTEX, PersonCrops
from anonbench.generators.conditions import flip
from anonbench.protocols.crops import CropSource

Integers = NDArray[np.int64]


class ChangedCrops:
    """Some crops of a source, each changed in the same way: a `CropDataset`.

    positions: which; change: what happens to them; name: tells the change in names and digests.
    """

    notes: tuple[str, ...] = ()

    def __init__(
        self, source: CropSource, positions: Integers, name: str, change: Callable[[PersonCrops], PersonCrops]
    ) -> None:
        self._source = source
        self._positions = positions
        self._change = change
        self.name = f"{source.dataset.name}, {name}"
        self.size = source.dataset.size
        chosen = hashlib.sha256(positions.astype(np.int64).tobytes()).hexdigest()
        self.digest = f"{source.digest}/{name}/{chosen}"
        self.samples: pd.DataFrame = source.samples.iloc[positions].reset_index(drop=True)

    def __len__(self) -> int:
        return len(self._positions)

    def load(self, indices: Sequence[int]) -> PersonCrops:
        """The changed crops at these positions of the selection."""
        return self._change(self._source.load(self._positions[np.asarray(indices)].tolist()))


def changed(
    source: CropSource,
    positions: Integers,
    name: str,
    change: Callable[[PersonCrops], PersonCrops] = lambda crops: crops,
) -> CropSource:
    """`ChangedCrops` as a source of their own; they are detected already."""
    return CropSource(ChangedCrops(source, positions, name, change), lambda crops: crops, "as they are")


def shifted(crops: PersonCrops) -> PersonCrops:
    """One pixel to the right. What enters on the left repeats the rim and is nobody."""
    keypoints = crops.keypoints.clone()
    keypoints[..., 0] += keypoints.any(dim=2)
    return replace(
        crops,
        image=shifted_images(crops.image),
        person_mask=_moved(crops.person_mask, False),
        surface=_moved(crops.surface, NO_VERTEX),
        keypoints=keypoints,
    )


def shifted_images(image: Tensor) -> Tensor:
    """uint8 (B, 3, H, W), one pixel to the right; the left column stays."""
    moved = image.roll(1, dims=-1)
    moved[..., 0] = image[..., 0]
    return moved


def flipped(crops: PersonCrops) -> PersonCrops:
    """Mirrored: left and right of the body swap with the pixels."""
    return flip(crops, torch.ones(len(crops), dtype=torch.bool))


def flipped_images(image: Tensor) -> Tensor:
    """uint8 (B, 3, H, W), mirrored."""
    return image.flip(-1)


def grown_mask(crops: PersonCrops, pixels: int = 1) -> PersonCrops:
    """The mask wider on all sides, diagonals too, as a detector's may be; the surface stays."""
    grown = F.max_pool2d(crops.person_mask.float(), 2 * pixels + 1, stride=1, padding=pixels) > 0
    return replace(crops, person_mask=grown)


def _moved(values: Tensor, entering: float) -> Tensor:
    moved = values.roll(1, dims=-1)
    moved[..., 0] = entering
    return moved
