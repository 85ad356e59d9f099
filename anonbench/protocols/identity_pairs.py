"""Natural pairs: two images of one person from different cameras, and who stands in for them."""

import hashlib
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anonbench.errors import UsageError

Integers = NDArray[np.int64]

PAIRS_PER_PERSON = 10
"""More pairs of one person tell little more, and people with many images would outweigh the others."""


@dataclass(frozen=True)
class IdentityPairs:
    """K pairs of images of one person: positions `first` and `second`, (K,) each.

    other: an image of another person, from the camera of `second` where there is one. person: person id.
    """

    first: Integers
    second: Integers
    other: Integers
    person: Integers


def searchable(samples: pd.DataFrame) -> Integers:
    """Positions of the images of known people that are queries or in the gallery; all where nobody has a role."""
    role, person = samples["role"].to_numpy(), samples["person_id"].to_numpy()
    evaluated = np.isin(role, ("query", "gallery"))
    return np.flatnonzero((person > 0) & (evaluated if evaluated.any() else True))


def identity_pairs(samples: pd.DataFrame, per_person: int = PAIRS_PER_PERSON) -> IdentityPairs:
    """At most `per_person` pairs of every known person, chosen by a hash of the samples' keys.

    Pairs cross cameras; people who were seen by one camera alone have pairs within it. Raises UsageError unless
    two people have a pair.
    """
    images = images_of_people(samples)
    people = [person for person, own in images.items() if len(own) > 1]
    if len(people) < 2:
        raise UsageError(
            f"pairs need at least two people with two images each, found {len(people)} in {len(samples)} samples: "
            "use synthetic or market1501=PATH"
        )
    keys, camera = samples["key"].to_numpy(), samples["camera_id"].to_numpy()
    rows = []
    for number, person in enumerate(people):
        stranger = images[people[(number + 1) % len(people)]]
        for first, second in _pairs_of(images[person], keys, camera)[:per_person]:
            other = pick(_from_camera(stranger, camera, camera[second]), f"{keys[first]}|{keys[second]}")
            rows.append((first, second, other, person))
    return IdentityPairs(*np.array(rows, dtype=np.int64).T)


def images_of_people(samples: pd.DataFrame) -> dict[int, Integers]:
    """Positions of each known person's images, by person id in ascending order."""
    positions = searchable(samples)
    person = samples["person_id"].to_numpy()[positions]
    return {int(p): positions[person == p] for p in np.unique(person)}


def pick(candidates: Integers, token: str) -> int:
    """One of the candidates, which depends on the token alone."""
    return int(candidates[_hash(token) % len(candidates)])


def _pairs_of(own: Integers, keys: NDArray[np.object_], camera: Integers) -> list[tuple[int, int]]:
    """Pairs of these images in the order of their hashes, across cameras where there are several."""
    left, right = np.triu_indices(len(own), k=1)
    across = camera[own[left]] != camera[own[right]]
    if across.any():
        left, right = left[across], right[across]
    pairs = list(zip(own[left].tolist(), own[right].tolist(), strict=True))
    return sorted(pairs, key=lambda pair: _hash("|".join(sorted((keys[pair[0]], keys[pair[1]])))))


def _from_camera(images: Integers, camera: Integers, wanted: int) -> Integers:
    same = images[camera[images] == wanted]
    return same if len(same) else images


def _hash(token: str) -> int:
    return int.from_bytes(hashlib.sha256(token.encode()).digest()[:8], "little")
