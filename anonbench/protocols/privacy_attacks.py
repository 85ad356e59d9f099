"""One attack: choose the strongest attacker on the training people, then try it on the others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anonbench.metrics.attackers import HEADS, Distances, Trained, held_out_map
from anonbench.metrics.features import euclidean_distances
from anonbench.metrics.privacy import ExpectedRanking, rank_with_ties, removed_pairs
from anonbench.protocols.privacy_people import People

Matrix = NDArray[np.float64]
Views = Mapping[str, Matrix]
"""View name -> (N, D) features of all images."""


@dataclass(frozen=True)
class Pair:
    """What queries and gallery are looked at as, for one seed. symmetric: both are the same images."""

    query: Views
    gallery: Views

    @property
    def symmetric(self) -> bool:
        """Whether both sides are the same features."""
        return self.query is self.gallery


@dataclass(frozen=True)
class Attacker:
    """A view and a head (`metrics.attackers.HEADS`)."""

    view: str
    head: str


def attackers(views: Views) -> list[Attacker]:
    """Every attacker that is tried.

    The first view is a space that means something by itself: what stays in it (nothing learnt, restoration) works
    there. Likelihood ratios are learnt from the others, or from the first where it is the only one.
    """
    first, *others = views
    learnt = [head for head in HEADS if head.startswith("likelihood")]
    kept = [head for head in HEADS if head not in learnt]
    return [Attacker(first, h) for h in kept] + [Attacker(v, h) for v in others or [first] for h in learnt]


def strongest(pair: Pair, people: People) -> Attacker:
    """The attacker with the highest mAP in cross-validation over the training people (the first of equals)."""
    cameras = people.labels.camera[people.train]
    found = {
        attacker: held_out_map(HEADS[attacker.head], _training(pair, people, attacker.view), cameras)
        for attacker in attackers(pair.query)
    }
    return max(found, key=lambda attacker: found[attacker])


def trained(pair: Pair, people: People, attacker: Attacker) -> ExpectedRanking:
    """The tested people ranked by an attacker that was trained on the training people."""
    distances = HEADS[attacker.head](_training(pair, people, attacker.view))
    return _search(pair, people, attacker.view, distances)


def untrained(pair: Pair, people: People) -> ExpectedRanking:
    """The tested people ranked by distance in the first view, the network as it is."""
    return _search(pair, people, next(iter(pair.query)), euclidean_distances)


def attack(pairs: Sequence[Pair], people: People) -> list[ExpectedRanking]:
    """The strongest attacker on every seed; it is chosen on the first, and trained on each."""
    attacker = strongest(pairs[0], people)
    return [trained(pair, people, attacker) for pair in pairs]


def _training(pair: Pair, people: People, view: str) -> Trained:
    rows = people.train
    person = people.labels.person[rows]
    return Trained(pair.query[view][rows], pair.gallery[view][rows], person, pair.symmetric)


def _search(pair: Pair, people: People, view: str, distances: Distances) -> ExpectedRanking:
    labels = people.labels
    q, g = labels.query, labels.gallery
    person, camera = labels.person, labels.camera
    removed = removed_pairs(person[q], person[g], camera[q], camera[g])
    return rank_with_ties(
        distances(pair.query[view][q], pair.gallery[view][g]), person[q], person[g], removed
    )
