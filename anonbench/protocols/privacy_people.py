"""Whom attackers train on and whom they are tried on: never the same people."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anonbench.errors import DataError
from anonbench.metrics.ranking import DISTRACTOR_ID, UNKNOWN_CAMERA
from anonbench.protocols.reid_labels import Labels

Integers = NDArray[np.int64]

LEAST_TRAINED = 4
"""Training people with two images each: fewer cannot be cross-validated."""


@dataclass(frozen=True)
class People:
    """labels: the tested people as queries and gallery. train: positions of the training images.

    notes: what a reader of the record must know about the split.
    """

    labels: Labels
    train: Integers
    notes: tuple[str, ...] = ()

    @property
    def tested(self) -> Integers:
        """Positions of the images that queries and gallery consist of."""
        return np.concatenate([self.labels.query, self.labels.gallery])


def split_people(samples: pd.DataFrame) -> People:
    """Training images are those of role "train"; without any, every second known person is tried.

    Gallery images of strangers and junk stay in the gallery. Raises DataError for too few people.
    """
    labels = Labels.of(samples)
    listed = np.flatnonzero((samples["role"] == "train").to_numpy() & (labels.person > DISTRACTOR_ID))
    searched = np.concatenate([labels.query, labels.gallery])
    if len(listed):
        # Whoever is tried must be new to the attacker.
        train = listed[~np.isin(labels.person[listed], labels.person[searched])]
        people = People(labels, train)
    else:
        people = _halves(labels, searched)
    _require_enough(people)
    return people


def split_cameras(people: People) -> People | None:
    """Training from one half of the cameras, queries and gallery from the other; none where that leaves nothing.

    The attacker then knows neither the people nor how the cameras see. Two cameras at least are needed on the
    tested side, since images of one person from one camera do not count.
    """
    labels = people.labels
    used = np.concatenate([people.train, people.tested])
    cameras = np.unique(labels.camera[used])
    cameras = cameras[cameras != UNKNOWN_CAMERA]
    if len(cameras) < 4:
        return None
    known = np.isin(labels.camera, cameras[: len(cameras) // 2])
    other = np.isin(labels.camera, cameras[len(cameras) // 2 :])
    split = replace(
        people, labels=labels.restricted(query=other, gallery=other), train=people.train[known[people.train]]
    )
    try:
        split.labels.require_matches()
        _require_enough(split)
    except DataError:
        return None
    return split


def _halves(labels: Labels, searched: Integers) -> People:
    known = np.unique(labels.person[searched])
    known = known[known > DISTRACTOR_ID]
    trained = known[1::2]
    on_train = np.isin(labels.person, trained)
    note = (
        f"privacy: the data has no training people, so attackers train on {len(trained)} of {len(known)} "
        "identities, every second one, and are tried on the others"
    )
    tried = labels.restricted(query=~on_train, gallery=~on_train)
    return People(tried, searched[on_train[searched]], (note,))


def _require_enough(people: People) -> None:
    _, count = np.unique(people.labels.person[people.train], return_counts=True)
    if (count >= 2).sum() < LEAST_TRAINED:
        raise DataError(
            f"attackers need at least {LEAST_TRAINED} training people with two images each, found "
            f"{int((count >= 2).sum())}: give more identities, or add bounding_box_train/"
        )
    people.labels.require_matches()
