"""Distances between images of two sets, taken by position: what swaps, natural pairs and small steps share."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anonbench.crops import PersonCrops
from anonbench.features.base import Extractor, PerceptualExtractor
from anonbench.metrics.similarity import absolute_difference, blanked, cosine_similarity, pair_distance
from anonbench.protocols.crops import BATCH, CropSource
from anonbench.protocols.generation import ImageSet
from anonbench.protocols.scoring import Floats, features_of
from anonbench.protocols.surface_pairs import REGIONS, Cells, surface_comparison

Integers = NDArray[np.int64]
Distance = Callable[[ImageSet, Integers, ImageSet, Integers], Floats]
"""a, i, b, j -> (K,): the distance of a[i[k]] and b[j[k]], nan where it cannot be measured."""


@dataclass(frozen=True)
class Measure:
    """A way to compare two samples: a name for its statistics, the extractor behind it, and the unit.

    part: what of the body it sees, a suffix of its statistics; empty: all of it.
    """

    name: str
    extractor: str
    distance: Distance
    unit: str
    part: str = ""

    def statistic(self, name: str) -> str:
        """The name of one of its statistics in metric keys: "surface_ratio_torso"."""
        return "_".join(word for word in (self.name, name, self.part) if word)


def surface_measures(crops: CropSource, cells: Cells) -> list[Measure]:
    """Surface distance over the whole body, then by region."""

    def column(k: int) -> Distance:
        return lambda a, i, b, j: surface_comparison(a, i, b, j, crops, cells).distance[:, k]

    parts = enumerate(("", *REGIONS))
    return [Measure("surface", cells.name, column(k), "colour distance", part) for k, part in parts]


def reid_measure(extractor: Extractor) -> Measure:
    """1 - cosine of re-ID features."""

    def distance(a: ImageSet, i: Integers, b: ImageSet, j: Integers) -> Floats:
        first, second = features_of(a, extractor)[i], features_of(b, extractor)[j]
        similarity = cosine_similarity(torch.from_numpy(first), torch.from_numpy(second))
        return (1.0 - similarity).numpy()

    return Measure("reid", extractor.name, distance, "cosine distance")


def body(crops: PersonCrops) -> Tensor:
    """bool (B, 1, H, W): pixels that show the body."""
    return crops.surface_mask


def surroundings(crops: PersonCrops) -> Tensor:
    """bool (B, 1, H, W): pixels that nobody anonymizes."""
    return ~crops.person_mask


def perceptual_measure(
    crops: CropSource, extractor: PerceptualExtractor, area: Callable[[PersonCrops], Tensor] = body
) -> Measure:
    """Perceptual distance over the pixels that lie in the area in both images, which must be aligned.

    All other pixels are made grey in both: a network looks around each pixel, and the rim of a mask is
    background.
    """

    def map_of(first: Tensor, second: Tensor, mask: Tensor) -> Tensor:
        return extractor.distance_map(blanked(first, mask), blanked(second, mask))

    return Measure("perceptual", extractor.key, _aligned(crops, area, map_of), "distance")


def pixel_measure(crops: CropSource, area: Callable[[PersonCrops], Tensor]) -> Measure:
    """Mean absolute RGB difference, in [0, 1], over the pixels that lie in the area in both images."""
    return Measure(
        "pixels",
        "pixels",
        _aligned(crops, area, lambda a, b, _: absolute_difference(a, b)),
        "colour distance",
    )


def _aligned(
    crops: CropSource,
    area: Callable[[PersonCrops], Tensor],
    map_of: Callable[[Tensor, Tensor, Tensor], Tensor],
) -> Distance:
    """The mean of a distance map over an area; map_of: images uint8 (B, 3, H, W) twice and the area."""

    def distance(a: ImageSet, i: Integers, b: ImageSet, j: Integers) -> Floats:
        # A sample is the first of several pairs, and then its own latent pair repeats.
        pairs, position = np.unique(np.stack([i, j]), axis=1, return_inverse=True)
        parts = []
        for start in range(0, pairs.shape[1], BATCH):
            left, right = pairs[:, start : start + BATCH]
            mask = area(crops.load(left.tolist())) & area(crops.load(right.tolist()))
            first, second = torch.from_numpy(a.images[left]), torch.from_numpy(b.images[right])
            parts.append(pair_distance(map_of(first, second, mask), mask).inside.numpy())
        distances: Floats = np.concatenate(parts)[position]
        return distances

    return distance
