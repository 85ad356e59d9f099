"""Ratios of two mean distances with an interval: controlled sensitivity and surface ratios.

Controlled sensitivity is D_factor / D_z: how much one swapped factor (pose, background) changes a person at
a fixed latent, over how much a new latent does. Below 1 the latent decides the look, near 1 the input does.
Print it beside D_z, the diversity.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anonbench.metrics.uncertainty import Interval, group_sums, percentile_bootstrap

Floats = NDArray[np.float64]


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
    `bootstrap_over_groups`; only groups with a value in both count, and there must be 2 of them.
    None where the denominator's mean is 0: a generator whose latents change nothing has no sensitivity,
    and would otherwise look perfectly consistent.
    """
    above, below = group_sums(numerator, numerator_groups), group_sums(denominator, denominator_groups)
    groups, i, j = np.intersect1d(above.labels, below.labels, return_indices=True)
    if len(groups) < 2:
        raise ValueError(f"a ratio over groups needs 2 groups with a value in both, found {len(groups)}")
    sums = (above.sums[i], above.counts[i], below.sums[j], below.counts[j])
    if sums[2].sum() <= 0:
        return None
    interval = percentile_bootstrap(sums, _ratio_of_means, resamples, seed, confidence)
    return Ratio(float(_ratio_of_means(*sums)), interval)


def _ratio_of_means(
    above: Floats, above_count: Floats, below: Floats, below_count: Floats, axis: int = -1
) -> Floats:
    denominator = below.sum(axis=axis) / below_count.sum(axis=axis)
    return np.asarray(above.sum(axis=axis) / above_count.sum(axis=axis) / denominator)
