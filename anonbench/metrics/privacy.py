"""What an anonymized image gives away: retrieval by an attacker who breaks ties at random, attributes, pixels."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anonbench.metrics.ranking import DISTRACTOR_ID, JUNK_ID, UNKNOWN_CAMERA, expected_average_precision
from anonbench.metrics.uncertainty import Interval, percentile_bootstrap

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]

_VALUES_AT_ONCE = 1_000_000
"""Distances that are ranked together: about 100 MB of intermediate arrays."""


@dataclass(frozen=True)
class ExpectedRanking:
    """What each of Q queries finds on average when equally distant candidates come in random order.

    average_precision: float64 (Q,) in [0, 1], the expected mean precision at hits; nan without any match.
    first: float64 (Q,), probability that the nearest candidate is a match; nan without any match.
    relevant, candidates: int64 (Q,), matches and images left in the gallery.
    """

    average_precision: Floats
    first: Floats
    relevant: Integers
    candidates: Integers

    @property
    def scored(self) -> Mask:
        """bool (Q,): queries with at least one match."""
        return np.asarray(self.relevant > 0)

    @property
    def chance_average_precision(self) -> Floats:
        """float64 (Q,): average precision of a random order of the same candidates; nan without any match."""
        chance = np.full(len(self.relevant), np.nan)
        kept = self.scored
        chance[kept] = expected_average_precision(self.relevant[kept], self.candidates[kept])
        return chance

    @property
    def chance_first(self) -> Floats:
        """float64 (Q,): probability that a random candidate is a match; nan without any match."""
        return np.where(self.scored, self.relevant / np.maximum(self.candidates, 1), np.nan)


def removed_pairs(
    query_ids: ArrayLike, gallery_ids: ArrayLike, query_cameras: ArrayLike, gallery_cameras: ArrayLike
) -> Mask:
    """bool (Q, G): gallery images that Market-1501 removes for a query.

    Junk (id -1), and the same person from the same camera; camera -1 is unknown and equals no camera.
    """
    persons, gallery = np.asarray(query_ids)[:, None], np.asarray(gallery_ids)[None]
    camera, gallery_camera = np.asarray(query_cameras)[:, None], np.asarray(gallery_cameras)[None]
    same_shot = (persons == gallery) & (camera == gallery_camera) & (camera != UNKNOWN_CAMERA)
    return np.asarray((gallery == JUNK_ID) | same_shot)


def rank_with_ties(
    distances: ArrayLike, query_ids: ArrayLike, gallery_ids: ArrayLike, removed: ArrayLike
) -> ExpectedRanking:
    """Rank the gallery for every query; equally distant candidates in uniformly random order, exactly.

    distances: (Q, G), smaller = more alike, no nan. ids: integers (Q,) and (G,). removed: bool (Q, G).
    An attacker who cannot tell two images apart guesses: the expected value over all orders of a tie is what
    they get (McSherry & Najork, ECIR 2008). `metrics.ranking.rank` puts matches last instead, since there a
    tie must not make an anonymizer look consistent; here that would make a constant output look safer than
    chance. Without ties both give the same. A query of id 0 or -1 is nobody and is not scored.
    """
    matrix, dropped = np.asarray(distances), np.asarray(removed)
    queries, gallery = np.asarray(query_ids), np.asarray(gallery_ids)
    if matrix.shape != (len(queries), len(gallery)) or dropped.shape != matrix.shape or matrix.size == 0:
        raise ValueError(
            f"distances and removed must be (Q, G) = {(len(queries), len(gallery))} and not empty, "
            f"got {matrix.shape} and {dropped.shape}"
        )
    if np.isnan(matrix).any():
        raise ValueError("distances hold NaN")
    person = queries[:, None]
    hits = (gallery[None] == person) & (person > DISTRACTOR_ID) & ~dropped
    relevant, candidates = hits.sum(axis=1), (~dropped).sum(axis=1)
    precision, first = np.full((2, len(queries)), np.nan)
    rows = max(1, _VALUES_AT_ONCE // len(gallery))
    for start in range(0, len(queries), rows):
        part = slice(start, start + rows)
        precision[part], first[part] = _expected(matrix[part], hits[part], ~dropped[part])
    return ExpectedRanking(precision, first, relevant, candidates)


def _expected(distances: NDArray[np.generic], hits: Mask, kept: Mask) -> tuple[Floats, Floats]:
    """Per row (B, G): expected average precision and probability of a hit at rank 1; nan without a hit.

    In a tie of n candidates with m matches, behind N candidates with R matches, position i holds a match with
    probability m / n; then R + 1 + (i - 1)(m - 1) / (n - 1) matches are expected up to it, at rank N + i.
    """
    order = np.lexsort((distances, ~kept), axis=1)  # what is removed comes last
    distances = np.take_along_axis(distances, order, axis=1)
    kept, hits = np.take_along_axis(kept, order, axis=1), np.take_along_axis(hits, order, axis=1)
    position = np.arange(distances.shape[1])[None]
    changes = (distances[:, 1:] != distances[:, :-1]) | (kept[:, 1:] != kept[:, :-1])
    edge = np.ones((len(order), 1), dtype=bool)
    start = np.maximum.accumulate(np.where(np.hstack([edge, changes]), position, 0), axis=1)
    last = np.where(np.hstack([changes, edge]), position, distances.shape[1])
    end = np.minimum.accumulate(last[:, ::-1], axis=1)[:, ::-1] + 1
    matches = np.pad(np.cumsum(hits, axis=1), ((0, 0), (1, 0)))
    found = np.take_along_axis(matches, start, axis=1)
    n: Integers = end - start
    m: Integers = np.take_along_axis(matches, end, axis=1) - found
    expected = found + 1 + (position - start) * (m - 1) / np.maximum(n - 1, 1)
    total = np.where(kept, m / n * expected / (position + 1), 0.0).sum(axis=1)
    relevant = matches[:, -1].astype(np.float64)
    relevant[relevant == 0] = np.nan
    first = np.where(relevant > 0, m[:, 0] / n[:, 0], np.nan)
    return np.asarray(total / relevant), first


@dataclass(frozen=True)
class BalancedAccuracy:
    """Mean over classes of the share of their samples that is recognized; chance is 1 / classes."""

    value: float
    chance: float
    interval: Interval | None
    correct: Mask


def balanced_accuracy(
    truth: ArrayLike, predicted: ArrayLike, groups: ArrayLike, *, resamples: int = 2000, seed: int = 0
) -> BalancedAccuracy:
    """Balanced accuracy of predicted classes; the interval draws whole groups (persons).

    truth, predicted, groups: (N,); all samples of a group are of one class. A resample that misses a class
    averages the others; 0 resamples give no interval. ValueError for fewer than two classes: there is nothing
    to guess.
    """
    classes, member = np.unique(np.asarray(truth), return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"an attribute needs at least two classes, got {len(classes)}")
    correct = np.asarray(truth) == np.asarray(predicted)
    persons, person = np.unique(np.asarray(groups), return_inverse=True)
    hits, counts = np.zeros((2, len(classes), len(persons)))
    np.add.at(hits, (member, person), correct.astype(np.float64))
    np.add.at(counts, (member, person), 1.0)
    interval = None
    if len(persons) > 1 and resamples:
        interval = percentile_bootstrap((*hits, *counts), _mean_recall, resamples, seed, 0.95)
    return BalancedAccuracy(float(_mean_recall(*hits, *counts)), 1 / len(classes), interval, correct)


def _mean_recall(*columns: Floats, axis: int = -1) -> Floats:
    """columns: per class the hits of every group, then per class their counts."""
    totals = np.stack([column.sum(axis=axis) for column in columns])
    hits, counts = np.split(totals, 2)
    recall = np.divide(hits, counts, out=np.full_like(hits, np.nan), where=counts > 0)
    return np.asarray(np.nanmean(recall, axis=0))


def untouched_pixels(original: ArrayLike, anonymized: ArrayLike, person_mask: ArrayLike) -> Integers:
    """int64 (N,): person pixels whose three values are what they were.

    original, anonymized: uint8 (N, 3, H, W). person_mask: bool (N, 1, H, W).
    """
    before, after, mask = np.asarray(original), np.asarray(anonymized), np.asarray(person_mask)
    same = (before == after).all(axis=1) & mask[:, 0]
    return np.asarray(same.sum(axis=(1, 2), dtype=np.int64))
