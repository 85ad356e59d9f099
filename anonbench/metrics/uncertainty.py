"""Intervals, corrections and spreads: what a number is worth.

Samples of one person are alike, so people are resampled, not their images. Per-sample values that could not be
measured are nan and are left out. Two models on the same samples: `anonbench.metrics.paired`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Floats = NDArray[np.float64]

BATCH_VALUES = 4_000_000
"""Resampled values held in memory at once: 32 MB."""


@dataclass(frozen=True)
class Interval:
    """A two-sided confidence interval, low <= high."""

    low: float
    high: float
    confidence: float = 0.95

    def __contains__(self, value: float) -> bool:
        """True where `low <= value <= high`."""
        return self.low <= value <= self.high

    def overlaps(self, other: "Interval") -> bool:
        """True where the two share a value."""
        return self.low <= other.high and other.low <= self.high


@dataclass(frozen=True)
class SeedSpread:
    """One metric over several seeds. deviation: standard deviation with divisor n - 1, nan for one seed."""

    mean: float
    deviation: float
    low: float
    high: float


@dataclass(frozen=True)
class GroupSums:
    """Values added up per group. labels: (K,), ascending; sums, counts: float64 (K,), counts at least 1."""

    labels: NDArray[np.generic]
    sums: Floats
    counts: Floats


def finite_values(values: ArrayLike, name: str) -> Floats:
    """`values` flattened to float64 without its nan. ValueError for infinity or where nothing is left."""
    array = np.asarray(values, dtype=np.float64).ravel()
    if np.isinf(array).any():
        raise ValueError(f"{name} hold infinity")
    kept: NDArray[np.float64] = array[~np.isnan(array)]
    if len(kept) == 0:
        raise ValueError(f"{name}: no sample left to average ({len(array)} given, all nan)")
    return kept


def group_sums(values: ArrayLike, groups: ArrayLike) -> GroupSums:
    """Add up the non-nan values (N,) of each group (N,); groups without such a value are dropped."""
    array, labels = np.asarray(values, dtype=np.float64), np.asarray(groups)
    if array.ndim != 1 or labels.shape != array.shape:
        raise ValueError(f"every value needs a group, got {array.shape} values and {labels.shape} groups")
    finite = finite_values(array, "values")
    kept, member = np.unique(labels[~np.isnan(array)], return_inverse=True)
    sums, counts = np.bincount(member, weights=finite), np.bincount(member)
    return GroupSums(kept, sums.astype(np.float64), counts.astype(np.float64))


def percentile_bootstrap(
    columns: tuple[Floats, ...],
    statistic: Callable[..., Floats],
    resamples: int,
    seed: int,
    confidence: float,
) -> Interval:
    """Percentile bootstrap of a statistic of rows that are drawn together.

    columns: arrays (K,), the same row of each drawn with replacement.
    statistic: vectorized; takes the columns and `axis`.
    """
    result = stats.bootstrap(
        columns,
        statistic,
        paired=True,
        vectorized=True,
        n_resamples=resamples,
        batch=max(1, BATCH_VALUES // len(columns[0])),
        confidence_level=confidence,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    interval = result.confidence_interval
    return Interval(float(interval.low), float(interval.high), confidence)


def bootstrap_mean(
    values: ArrayLike, *, resamples: int = 2000, seed: int = 0, confidence: float = 0.95
) -> Interval:
    """Percentile bootstrap of the mean of independent samples (images, pairs). Needs at least 2."""
    array = np.asarray(values, dtype=np.float64).ravel()
    return bootstrap_over_groups(
        array, np.arange(len(array)), resamples=resamples, seed=seed, confidence=confidence
    )


def bootstrap_over_groups(
    values: ArrayLike, groups: ArrayLike, *, resamples: int = 2000, seed: int = 0, confidence: float = 0.95
) -> Interval:
    """Percentile bootstrap of the mean of all values, drawing whole groups with replacement.

    values: (N,), for re-ID the per-query average precision or hit; nan is left out.
    groups: (N,), the group of each value: its person. At least 2 groups must keep a value.
    The queries of a person succeed and fail together, so resampling queries would make intervals too narrow.
    """
    grouped = group_sums(values, groups)
    if len(grouped.labels) < 2:
        raise ValueError("an interval over groups needs at least 2 groups with a value, got 1")
    return percentile_bootstrap((grouped.sums, grouped.counts), mean_of_sums, resamples, seed, confidence)


def subsample_interval(
    statistic: Callable[[NDArray[np.int64]], float],
    n: int,
    *,
    fraction: float = 0.5,
    resamples: int = 50,
    seed: int = 0,
    confidence: float = 0.95,
) -> Interval:
    """Interval of a statistic of n samples from subsamples without replacement (Shao & Wu 1989).

    For Frechet distances, which a plain bootstrap overrates: duplicates shrink the effective sample.
    statistic: maps indices into the n samples to the value on them; let it index real and fake samples
    jointly where they are pairs. It is called resamples + 1 times.
    Subsamples of m = fraction * n scatter with variance s^2 (1/m - 1/n) where the value at n has s^2 / n, so
    the deviation is scaled by sqrt(m / (n - m)): the delete-d jackknife. The scatter is taken around the
    subsamples' own mean, which removes their larger bias; the interval is about the value at n, not about
    infinity. Student's t, since resamples are few. For Frechet distances the width is right where the two
    sets differ, and up to 1.7 times too wide where they hardly do or n is below the dimension.
    """
    m = round(n * fraction)
    if not 2 <= m < n:
        raise ValueError(f"subsamples must hold 2 to n - 1 of n={n} samples, fraction={fraction} gives {m}")
    if resamples < 2:
        raise ValueError(f"a deviation needs at least 2 resamples, got {resamples}")
    rng = np.random.default_rng(seed)
    values = np.array([statistic(rng.choice(n, m, replace=False)) for _ in range(resamples)])
    deviation = values.std(ddof=1) * np.sqrt(m / (n - m))
    half = float(stats.t.ppf((1.0 + confidence) / 2.0, resamples - 1) * deviation)
    value = statistic(np.arange(n))
    return Interval(value - half, value + half, confidence)


def holm(p_values: ArrayLike) -> Floats:
    """p values adjusted for a table of m comparisons (Holm 1979), in the given order, at most 1.

    Rejecting where the adjusted value is below alpha keeps the chance of any false finding below alpha.
    """
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or len(p) == 0 or not ((p >= 0) & (p <= 1)).all():
        raise ValueError("holm needs a list of p values in [0, 1]")
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)).clip(max=1.0)
    return adjusted


def p_from_intervals(a: float, a_interval: Interval, b: float, b_interval: Interval) -> float:
    """Two-sided p value that two independent, normal estimates estimate one value, from their intervals.

    For two models on the same samples it is too large: what the samples share is counted as noise.
    """
    quantile = float(stats.norm.ppf((1 + a_interval.confidence) / 2))
    error = np.hypot(a_interval.high - a_interval.low, b_interval.high - b_interval.low) / 2 / quantile
    if error == 0:
        return float(a == b)
    return float(2 * stats.norm.sf(abs(a - b) / error))


def p_from_seeds(a: Sequence[float], b: Sequence[float]) -> float:
    """Two-sided p value of Student's test that two metrics have one mean over seeds, at least 2 of each.

    Without any scatter p is 1 where the two are equal and 0 where they are not.
    """
    if min(len(a), len(b)) < 2:
        raise ValueError(f"a test over seeds needs 2 of each, got {len(a)} and {len(b)}")
    scale = float(np.abs([*a, *b]).max())
    if max(np.ptp(a), np.ptp(b)) <= 1e-9 * scale:  # deterministic, up to rounding
        return float(abs(a[0] - b[0]) <= 1e-9 * scale)
    moments = [(float(np.mean(values)), float(np.std(values, ddof=1)), len(values)) for values in (a, b)]
    # Not `ttest_ind`, which warns where one side is all but constant, as a model without latents is.
    return float(stats.ttest_ind_from_stats(*moments[0], *moments[1]).pvalue)


def wilson(successes: int, n: int, *, confidence: float = 0.95) -> Interval:
    """Wilson score interval of a share (Wilson 1927), for rates such as the detection outcomes."""
    if n < 1:
        raise ValueError("a share of 0 samples has no interval")
    if not 0 <= successes <= n:
        raise ValueError(f"successes must be 0 to n={n}, got {successes}")
    result = stats.binomtest(successes, n).proportion_ci(confidence, method="wilson")
    return Interval(float(result.low), float(result.high), confidence)


def seed_spread(values: Sequence[float]) -> SeedSpread:
    """Mean, deviation and range of one metric over seeds."""
    array = np.asarray(values, dtype=np.float64)
    if len(array) == 0 or not np.isfinite(array).all():
        raise ValueError(f"a seed spread needs finite values, got {list(values)}")
    deviation = float(array.std(ddof=1)) if len(array) > 1 else float("nan")
    return SeedSpread(float(array.mean()), deviation, float(array.min()), float(array.max()))


def tied(a: Sequence[float], b: Sequence[float]) -> bool:
    """True where the ranges of two metrics over seeds overlap: the difference is inside the seed spread."""
    spread_a, spread_b = seed_spread(a), seed_spread(b)
    return spread_a.low <= spread_b.high and spread_b.low <= spread_a.high


def mean_of_sums(sums: Floats, counts: Floats, axis: int = -1) -> Floats:
    """The mean of all values, or the ratio of two means, from sums per group along `axis`."""
    return np.asarray(sums.sum(axis=axis) / counts.sum(axis=axis))
