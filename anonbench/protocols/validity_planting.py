"""Planted inconsistency: each image of a person gets a z of its own with probability p, else the person's z.

No image is made for it. Two sets are stored, one z per person and a fresh z per image, and the fault is a choice
between them: image i is fresh where u_i < p. u_i is uniform and depends on the image's name and the repeat only,
so that the faults of a smaller p are among those of a larger one. Two images of a person share z with probability
(1 - p)^2. Each of two halves has latents and faults of its own, which nothing but the people joins.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from anonbench.latents import sample_tokens
from anonbench.protocols.generation import Generation, ImageSet, Sampling
from anonbench.protocols.reid_labels import latent_tokens
from anonbench.protocols.scoring import Floats
from anonbench.records import Direction

Integers = NDArray[np.int64]
Faults = NDArray[np.bool_]
HALVES = (0, 1)
SHARES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.21, 0.22, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Levels of p: tenths, and small steps above 0 and 0.2, from which differences are measured."""

Role = Literal["consistency", "control", "quality"]


@dataclass(frozen=True)
class Quantity:
    """A measure under study.

    key: as in records, `<protocol>[.<setting>].<statistic>.<extractor>`. title: what plots call it. role: what it
    ought to do with the fault: tell about consistency, stay where it is, or tell about quality.
    """

    key: str
    title: str
    role: Role
    unit: str
    direction: Direction


@dataclass(frozen=True)
class Samples:
    """Per-sample values of one measure and the person of each: what a paired test takes."""

    values: Floats
    person: Integers


class Sweep(ABC):
    """Some data with a planted fault, and measures of it on any part of the people.

    data: name of the data. axis: what a level is. levels: ascending. groups: how many people there are.
    images_per_group: images of one person. quantities: what is measured. halves: 2 where latents and faults can be
    drawn anew, 1 where nothing is drawn. least: fewest people of a benchmark.
    """

    data: str
    axis: str
    levels: tuple[float, ...]
    groups: int
    images_per_group: float
    quantities: tuple[Quantity, ...]
    halves: int = len(HALVES)
    least: int = 4

    @abstractmethod
    def measure(self, members: Integers, half: int, repeat: int, level: int) -> Mapping[str, float]:
        """Each quantity by key in a benchmark of the people `members`, positions in ascending order."""

    def samples(self, members: Integers, half: int, repeat: int, level: int) -> Mapping[str, Samples]:
        """The same for quantities that are means over samples, in one order whatever half, repeat and level."""
        return {}


@dataclass(frozen=True)
class Pair:
    """The two sets that one half mixes: one z per person, and a fresh z per image."""

    same: ImageSet
    fresh: ImageSet


class Mixer:
    """Chooses the images that get a z of their own. keys: names of the N samples."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = tuple(keys)
        self._drawn: dict[tuple[int, int], Floats] = {}

    def faults(self, half: int, repeat: int, share: float) -> Faults:
        """bool (N,): true where the image is fresh; about `share` of them."""
        if (half, repeat) not in self._drawn:
            self._drawn[half, repeat] = np.array([_uniform(key, half, repeat) for key in self._keys])
        return np.asarray(self._drawn[half, repeat] < share)


def planted_pairs(generation: Generation) -> tuple[Pair, Pair]:
    """The sets of both halves: four times as many images as there are crops."""
    samples = generation.crops.samples
    person, image = tuple(latent_tokens(samples)), tuple(sample_tokens(samples["key"].tolist()))
    first, second = (
        Pair(
            generation.anonymized(Sampling("one z per identity", half, person)),
            generation.anonymized(Sampling("one z per image", half, image)),
        )
        for half in HALVES
    )
    return first, second


def _uniform(key: str, half: int, repeat: int) -> float:
    """One number in [0, 1) that depends on its arguments only."""
    digest = hashlib.sha256(f"fault/{half}/{repeat}/{key}".encode()).digest()
    return int.from_bytes(digest[:8], "little") / 2**64
