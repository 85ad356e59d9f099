"""Re-identification as retrieval under the rules of Market-1501 (Zheng et al. 2015): mAP, CMC, chance."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import digamma
from scipy.stats import hypergeom

from anonbench.metrics.features import euclidean_distances

__all__ = [
    "RankingResult", "chance_map", "chance_rank_k", "cmc", "euclidean_distances",
    "expected_average_precision", "hits_within", "mean_average_precision", "rank",
]  # fmt: skip

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

JUNK_ID = -1
"""Market-1501: a bad detection, ignored wherever it ranks."""
DISTRACTOR_ID = 0
"""Market-1501: background and strangers; never a match, always in the way."""
UNKNOWN_CAMERA = -1

_FEW = 64
"""Up to so many comparisons with all distances are faster than sorting them."""


@dataclass(frozen=True)
class RankingResult:
    """What each of Q queries found. Queries without any match in the gallery are not scored.

    average_precision: float64 (Q,) in [0, 1], mean of the precision at each hit; nan where not scored.
    first_hit_rank: int64 (Q,), 1 = the nearest candidate is a match; 0 where not scored.
    relevant: int64 (Q,), matches in the gallery. candidates: int64 (Q,), gallery images left for the query.
    person_id: int64 (Q,), the queried person: resample these, not the queries, for an interval.
    """

    average_precision: Floats
    first_hit_rank: Integers
    relevant: Integers
    candidates: Integers
    person_id: Integers

    @property
    def scored(self) -> NDArray[np.bool_]:
        """bool (Q,): queries with at least one match."""
        return np.asarray(self.relevant > 0)


def rank(
    distances: ArrayLike,
    query_ids: ArrayLike,
    gallery_ids: ArrayLike,
    query_cameras: ArrayLike,
    gallery_cameras: ArrayLike,
) -> RankingResult:
    """Rank the gallery for every query by distance, nearest first.

    distances: (Q, G), smaller = more alike, no NaN. ids and cameras: integers (Q,) and (G,).
    Per query, gallery images of the same person from the same camera are removed; camera -1 is unknown and
    equals no camera. Gallery id -1 is dropped, id 0 stays as distractor; a query of id -1 is not scored, of
    id 0 is an error. Ties are broken pessimistically, matches last: an anonymizer that makes everybody
    equal must not gain from the sort. AP is the mean precision at hits, as in torchreid, not the trapezoid
    of the first Market-1501 code.
    """
    matrix = np.asarray(distances)
    queries, gallery = _integers(query_ids, "query_ids"), _integers(gallery_ids, "gallery_ids")
    query_camera = _integers(query_cameras, "query_cameras")
    gallery_camera = _integers(gallery_cameras, "gallery_cameras")
    _check_input(matrix, queries, gallery, (query_camera, gallery_camera))

    valid = gallery != JUNK_ID
    if not valid.all():
        matrix, gallery, gallery_camera = matrix[:, valid], gallery[valid], gallery_camera[valid]
    images_of = _images_by_person(gallery)
    nobody = np.empty(0, dtype=np.int64)

    average_precision = np.full(len(queries), np.nan)
    first_hit_rank, relevant, candidates = np.zeros((3, len(queries)), dtype=np.int64)
    for i, (person, camera) in enumerate(zip(queries, query_camera, strict=True)):
        own = images_of.get(int(person), nobody)
        removed = (gallery_camera[own] == camera) & (camera != UNKNOWN_CAMERA)
        positions = _hit_positions(matrix[i], matrix[i, own], ~removed)
        candidates[i], relevant[i] = len(gallery) - removed.sum(), len(positions)
        if len(positions):
            first_hit_rank[i] = positions[0]
            average_precision[i] = np.mean(np.arange(1, len(positions) + 1) / positions)
    return RankingResult(average_precision, first_hit_rank, relevant, candidates, queries)


def mean_average_precision(result: RankingResult) -> float:
    """mAP in [0, 1] over the scored queries. ValueError if there are none."""
    return float(result.average_precision[_scored(result)].mean())


def cmc(result: RankingResult, k: int) -> float:
    """Rank-k accuracy in [0, 1]: share of scored queries with a match among the k nearest candidates."""
    return float(hits_within(result, k)[_scored(result)].mean())


def hits_within(result: RankingResult, k: int) -> Floats:
    """Per query 1.0 with a match among the k nearest candidates, 0.0 without, nan where not scored: (Q,)."""
    if k < 1:
        raise ValueError(f"rank-k needs k >= 1, got {k}")
    return np.where(result.scored, (result.first_hit_rank <= k).astype(np.float64), np.nan)


def chance_map(result: RankingResult) -> float:
    """The mAP that a uniformly random order of the same candidates has on average: exact, not simulated."""
    scored = _scored(result)
    return float(expected_average_precision(result.relevant[scored], result.candidates[scored]).mean())


def chance_rank_k(result: RankingResult, k: int) -> float:
    """The rank-k accuracy of a uniformly random order of the same candidates: 1 - C(n-m, k) / C(n, k)."""
    scored = _scored(result)
    relevant, candidates = result.relevant[scored], result.candidates[scored]
    return float(np.mean(hypergeom.sf(0, candidates, relevant, np.minimum(k, candidates))))


def expected_average_precision(relevant: ArrayLike, candidates: ArrayLike) -> Floats:
    """Expected AP of m relevant among n candidates in uniformly random order, elementwise (Bestgen 2015).

    A hit at position i has expected precision (1 + (i-1)(m-1)/(n-1)) / i, and every position is as likely:
    E[AP] = (H_n + (n - H_n)(m-1)/(n-1)) / n, with H_n the n-th harmonic number.
    """
    m, n = np.asarray(relevant, dtype=np.float64), np.asarray(candidates, dtype=np.float64)
    if np.any(m < 1) or np.any(m > n):
        raise ValueError("expected average precision needs 1 <= relevant <= candidates")
    harmonic = digamma(n + 1.0) + np.euler_gamma
    others_relevant = (m - 1.0) / np.maximum(n - 1.0, 1.0)
    return np.asarray((harmonic + (n - harmonic) * others_relevant) / n)


def _images_by_person(gallery: Integers) -> dict[int, Integers]:
    """The indices of everybody's images."""
    order = np.argsort(gallery, kind="stable")
    persons, starts = np.unique(gallery[order], return_index=True)
    return dict(zip(persons.tolist(), np.split(order, starts[1:]), strict=True))


def _hit_positions(row: Floats, own: Floats, kept: NDArray[np.bool_]) -> Integers:
    """1-based rank of each hit, ascending, when every equally distant non-match comes before it.

    row: distances of the whole gallery; own: those of the queried person, of which `kept` may be found.
    Nothing is sorted but the hits: how many others are at most as far is counted.
    """
    hits = np.sort(own[kept])
    others_before = _count_up_to(row, hits) - _count_up_to(own, hits)
    return np.asarray(others_before + np.arange(1, len(hits) + 1))


def _count_up_to(values: Floats, limits: Floats) -> Integers:
    """How many of `values` are at most each limit."""
    if len(limits) <= _FEW:
        return np.asarray(np.count_nonzero(values <= limits[:, None], axis=1))
    return np.asarray(np.searchsorted(np.sort(values), limits, side="right"))


def _scored(result: RankingResult) -> NDArray[np.bool_]:
    if not result.scored.any():
        raise ValueError(f"none of the {len(result.relevant)} queries has a match in the gallery")
    return result.scored


def _integers(values: ArrayLike, name: str) -> Integers:
    array = np.asarray(values)
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"{name} must be a list of integers, got {array.dtype} {array.shape}")
    return array.astype(np.int64)


def _check_input(
    matrix: NDArray[np.generic], queries: Integers, gallery: Integers, cameras: tuple[Integers, Integers]
) -> None:
    if matrix.shape != (len(queries), len(gallery)):
        raise ValueError(f"distances must be (Q, G) = {(len(queries), len(gallery))}, got {matrix.shape}")
    if (len(cameras[0]), len(cameras[1])) != matrix.shape:
        raise ValueError("every query and every gallery image needs one camera id")
    if matrix.size == 0:
        raise ValueError(f"nothing to rank: {len(queries)} queries, {len(gallery)} gallery images")
    if np.isnan(matrix.min()):
        raise ValueError("distances hold NaN")
    if np.any(queries == DISTRACTOR_ID):
        raise ValueError(f"id {DISTRACTOR_ID} marks distractors and cannot be queried: number persons from 1")
