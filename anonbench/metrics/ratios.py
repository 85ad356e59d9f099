"""Ratios of two means with an interval: controlled sensitivity and surface ratios."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anonbench.metrics.uncertainty import Interval


@dataclass(frozen=True)
class Ratio:
    """mean(numerator) / mean(denominator) and its interval."""

    value: float
    interval: Interval


def ratio_over_groups(
    numerator: ArrayLike,
    numerator_groups: ArrayLike,
    denominator: ArrayLike,
    denominator_groups: ArrayLike,
    *,
    resamples: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Ratio | None:
    """The ratio of two means, groups (persons) resampled as wholes for both at once.

    numerator, denominator: (N,) and (M,) non-negative distances; nan is left out. Groups as in
    `bootstrap_over_groups`; only groups with a value in both count. None where the denominator's mean is 0:
    a generator whose latents change nothing has no sensitivity.
    """
    above, above_groups = _finite(numerator, numerator_groups)
    below, below_groups = _finite(denominator, denominator_groups)
    groups = np.intersect1d(above_groups, below_groups)
    if len(groups) == 0:
        raise ValueError("numerator and denominator share no group with a value")
    if below.mean() <= 0:
        return None
    sums = np.stack(
        [
            _per_group(above, above_groups, groups),
            _per_group(np.ones_like(above), above_groups, groups),
            _per_group(below, below_groups, groups),
            _per_group(np.ones_like(below), below_groups, groups),
        ]
    )
    rng = np.random.default_rng(seed)
    draws = rng.integers(len(groups), size=(resamples, len(groups)))
    total = sums[:, draws].sum(axis=2)
    ratios = (total[0] / total[1]) / (total[2] / total[3])
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(ratios[np.isfinite(ratios)], [tail, 1.0 - tail])
    all_groups = sums.sum(axis=1)
    value = (all_groups[0] / all_groups[1]) / (all_groups[2] / all_groups[3])
    return Ratio(float(value), Interval(float(low), float(high), confidence))


def _finite(values: ArrayLike, groups: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    array, labels = np.asarray(values, dtype=np.float64), np.asarray(groups, dtype=np.int64)
    if array.shape != labels.shape or array.ndim != 1:
        raise ValueError(f"every value needs a group, got {array.shape} values and {labels.shape} groups")
    kept = ~np.isnan(array)
    if not kept.any():
        raise ValueError("no sample left to average, all are nan")
    return array[kept], labels[kept]


def _per_group(
    values: NDArray[np.float64], labels: NDArray[np.int64], groups: NDArray[np.int64]
) -> NDArray[np.float64]:
    member = np.searchsorted(groups, labels)
    known = (member < len(groups)) & (groups[np.minimum(member, len(groups) - 1)] == labels)
    return np.bincount(member[known], weights=values[known], minlength=len(groups))
