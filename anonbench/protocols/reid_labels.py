"""Who is searched for where: queries and gallery under the rules of Market-1501, and who gets which latent."""

import hashlib
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anonbench.crops import Outcome
from anonbench.errors import DataError
from anonbench.latents import person_tokens
from anonbench.metrics.ranking import DISTRACTOR_ID, UNKNOWN_CAMERA

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Labels:
    """Who is on which of N images, from which camera, and where the queries and the gallery are.

    key: (N,) names. person, camera: int64 (N,). outcome: int64 (N,), values of `Outcome`; none where not known.
    query, gallery: positions among the N images.
    """

    key: NDArray[np.str_]
    person: Integers
    camera: Integers
    query: Integers
    gallery: Integers
    outcome: Integers | None = None

    @classmethod
    def of(cls, samples: pd.DataFrame, outcome: Integers | None = None) -> "Labels":
        """From a dataset's sample table. Raises DataError where there is nobody to search for."""
        role = samples["role"].to_numpy()
        labels = cls(
            key=samples["key"].to_numpy(np.str_),
            person=samples["person_id"].to_numpy(np.int64),
            camera=samples["camera_id"].to_numpy(np.int64),
            query=np.flatnonzero(role == "query"),
            gallery=np.flatnonzero(role == "gallery"),
            outcome=outcome,
        )
        labels.require_matches()
        return labels

    def relabelled(self, person: Integers) -> "Labels":
        """The same images under other identities."""
        return replace(self, person=person)

    def restricted(self, query: Flags | None = None, gallery: Flags | None = None) -> "Labels":
        """Only the queries and the gallery images where a flag (N,) is true."""
        asked = self.query if query is None else self.query[query[self.query]]
        shown = self.gallery if gallery is None else self.gallery[gallery[self.gallery]]
        return replace(self, query=asked, gallery=shown)

    def by_outcome(self) -> dict[str, Flags]:
        """Which images have each outcome that occurs; empty unless outcomes are mixed."""
        if self.outcome is None:
            return {}
        found = {o.name.lower(): self.outcome == o for o in reversed(Outcome) if np.any(self.outcome == o)}
        return found if len(found) > 1 else {}

    def require_matches(self) -> None:
        """Raise DataError, with the reason, where no query can find its person."""
        if not len(self.query) or not len(self.gallery):
            raise DataError(
                f"re-identification needs queries and a gallery, found {len(self.query)} and {len(self.gallery)} "
                "images: give data in Market-1501 layout, market1501=PATH"
            )
        asked, shown = self.person[self.query], self.person[self.gallery]
        if np.any(asked == DISTRACTOR_ID):
            name = self.key[self.query[np.argmax(asked == DISTRACTOR_ID)]]
            raise DataError(
                f"query {name} has id {DISTRACTOR_ID}, which marks strangers: number people from 1"
            )
        people = np.unique(np.concatenate([asked, shown]))
        people = people[people > DISTRACTOR_ID]
        if len(people) < 2 and not np.any(shown == DISTRACTOR_ID):
            raise DataError(
                f"re-identification needs at least two people to tell apart, found {len(people)}: with nobody else "
                "in the gallery every model finds everybody"
            )
        if not self._some_match():
            raise DataError(
                f"none of the {len(self.query)} queries has an image of the same person from another camera in the "
                "gallery, and images from the same camera do not count: give people seen by two cameras or more"
            )

    def _some_match(self) -> bool:
        asked = zip(self.person[self.query].tolist(), self.camera[self.query].tolist(), strict=True)
        shown = list(zip(self.person[self.gallery].tolist(), self.camera[self.gallery].tolist(), strict=True))
        everywhere, same_camera = Counter(person for person, _ in shown), Counter(shown)
        return any(
            everywhere[person] > (0 if camera == UNKNOWN_CAMERA else same_camera[person, camera])
            for person, camera in asked
            if person > DISTRACTOR_ID
        )


def latent_tokens(samples: pd.DataFrame) -> list[str]:
    """One token per identity; distractors (id 0) and unknown people (id -1) get a latent of their own."""
    person = samples["person_id"].where(samples["person_id"] != DISTRACTOR_ID, -1)
    return person_tokens(person.tolist(), samples["key"].tolist())


def assigned_identities(samples: pd.DataFrame, seed: int) -> Integers:
    """A random known identity for every image, depending on the image's key and the seed only."""
    known: Integers = np.unique(samples["person_id"].to_numpy(np.int64))
    known = known[known > DISTRACTOR_ID]
    draws = [_uniform(seed, key) for key in samples["key"]]
    assigned: Integers = known[(np.array(draws) * len(known)).astype(np.int64)]
    return assigned


def _uniform(seed: int, key: str) -> float:
    """One number in [0, 1) that depends on the seed and the key only."""
    digest = hashlib.sha256(f"assigned/{seed}/{key}".encode()).digest()
    return int.from_bytes(digest[:8], "little") / 2**64
