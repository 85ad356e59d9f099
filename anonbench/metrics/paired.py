"""Two models on the same samples: tests and intervals of the difference of their means, or of ratios of means.

Per-sample values come in pairs, one from each model; what is nan in one counts in neither. Samples of one group (a
person, a clip) are alike: groups change sides and are drawn as wholes.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from anonbench.metrics.uncertainty import (
    BATCH_VALUES,
    Interval,
    group_sums,
    mean_of_sums,
    percentile_bootstrap,
)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PairedT:
    """mean(a) - mean(b): its standard error over groups, their number, and the two-sided p value."""

    difference: float
    standard_error: float
    groups: int
    p: float

    def interval(self, confidence: float = 0.95) -> Interval:
        """By Student's t over the groups."""
        half = float(stats.t.ppf((1 + confidence) / 2, self.groups - 1)) * self.standard_error
        return Interval(self.difference - half, self.difference + half, confidence)


def paired_bootstrap(
    a: ArrayLike,
    b: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    over: tuple[ArrayLike, ArrayLike] | None = None,
    resamples: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Interval:
    """Interval of mean(a) - mean(b) for two models on the same samples; 0 outside it means they differ.

    a, b: (N,), value of the same sample under each model; a sample that is nan in one counts in neither.
    groups: (N,), resampled as wholes; None = every sample by itself. At least 2 must keep a value.
    over: what each model's values are divided by, (N,) each, for ratios: mean(a) / mean(over[0]) -
    mean(b) / mean(over[1]).
    """
    columns = _paired_sums(a, b, groups, over)
    if len(columns[0]) < 2:
        raise ValueError("an interval over groups needs at least 2 groups with a value, got 1")
    return percentile_bootstrap(columns, _difference_of_means, resamples, seed, confidence)


def paired_permutation(
    a: ArrayLike,
    b: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    over: tuple[ArrayLike, ArrayLike] | None = None,
    resamples: int = 9999,
    seed: int = 0,
) -> float:
    """Two-sided p value of the sign-flip test that mean(a) - mean(b) is 0.

    If the models are alike, their labels may be swapped within each group (person) without effect. All swaps
    are tried where there are at most `resamples` of them, else a random selection; the smallest p is then
    1 / (resamples + 1). Inputs as in `paired_bootstrap`.
    """
    above_a, below_a, above_b, below_b = _paired_sums(a, b, groups, over)
    exchanged = np.stack([above_b - above_a, below_b - below_a], axis=1)
    whole = np.array([above_a.sum(), below_a.sum()]), np.array([above_b.sum(), below_b.sum()])
    observed = _absolute_difference(*whole)
    # The swaps that change nothing must count, whatever the order of summation.
    least = observed - 1e-12 * float(np.abs(whole).max())
    as_extreme = tried = 0
    for swaps in _swaps(len(above_a), resamples, seed):
        moved = swaps.astype(np.float64) @ exchanged
        as_extreme += int((_absolute_difference(whole[0] + moved, whole[1] - moved) >= least).sum())
        tried += len(swaps)
    everything = 2 ** len(above_a) <= resamples
    return as_extreme / tried if everything else (as_extreme + 1) / (tried + 1)


def paired_t(
    a: ArrayLike,
    b: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    over: tuple[ArrayLike, ArrayLike] | None = None,
) -> PairedT:
    """Student's test over groups that mean(a) - mean(b) is 0, with ratios linearized (the delta method).

    Beside the permutation it has a tail: eight people can speak as clearly as a large drop deserves, where all their
    256 swaps cannot. It trusts sums over groups to be near normal. Inputs as in `paired_bootstrap`; at least 2 groups.
    Without any scatter p is 1 for no difference and 0 for one.
    """
    above_a, below_a, above_b, below_b = _paired_sums(a, b, groups, over)
    count = len(above_a)
    if count < 2:
        raise ValueError("a standard error over groups needs at least 2 groups with a value, got 1")
    of_a, of_b = above_a.sum() / below_a.sum(), above_b.sum() / below_b.sum()
    influence = (above_a - of_a * below_a) / below_a.sum() - (above_b - of_b * below_b) / below_b.sum()
    error = float(np.sqrt(count / (count - 1) * np.square(influence).sum()))
    difference = float(of_a - of_b)
    if error <= 1e-12 * max(abs(of_a), abs(of_b)):
        return PairedT(difference, 0.0, count, float(difference == 0))
    return PairedT(difference, error, count, float(2 * stats.t.sf(abs(difference) / error, count - 1)))


def _paired_sums(
    a: ArrayLike, b: ArrayLike, groups: ArrayLike | None, over: tuple[ArrayLike, ArrayLike] | None
) -> tuple[Floats, Floats, Floats, Floats]:
    """Per group: the values of the first model added up, what they are divided by, and both of the second."""
    values = [np.asarray(v, dtype=np.float64) for v in (a, b)]
    below = [np.asarray(v, dtype=np.float64) for v in over] if over else [np.ones_like(v) for v in values]
    if values[0].ndim != 1 or len({v.shape for v in (*values, *below)}) > 1:
        shapes = ", ".join(str(v.shape) for v in (*values, *below))
        raise ValueError(f"pairs need one value per sample from each model, got {shapes}")
    absent = np.isnan([*values, *below]).any(axis=0)
    columns = [np.where(absent, np.nan, v) for v in (values[0], below[0], values[1], below[1])]
    members = np.arange(len(absent)) if groups is None else groups
    first, second, third, fourth = (group_sums(column, members).sums for column in columns)
    return first, second, third, fourth


def _swaps(groups: int, resamples: int, seed: int) -> Iterator[NDArray[np.bool_]]:
    """Which groups change sides, (some, groups) at a time: every selection, or `resamples` random ones."""
    if 2**groups <= resamples:
        yield (np.arange(2**groups)[:, None] >> np.arange(groups)) & 1 == 1
        return
    rng = np.random.default_rng(seed)
    batch = max(1, BATCH_VALUES // groups)
    for start in range(0, resamples, batch):
        count = min(batch, resamples - start)
        yield rng.integers(0, 2, (count, groups), dtype=np.uint8).astype(np.bool_)


def _absolute_difference(a: Floats, b: Floats) -> Floats:
    """|a[0] / a[1] - b[0] / b[1]| along the last axis; infinite where a divisor is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        difference = np.abs(a[..., 0] / a[..., 1] - b[..., 0] / b[..., 1])
    return np.where(np.isnan(difference), np.inf, difference)


def _difference_of_means(
    above_a: Floats, below_a: Floats, above_b: Floats, below_b: Floats, axis: int = -1
) -> Floats:
    return mean_of_sums(above_a, below_a, axis) - mean_of_sums(above_b, below_b, axis)
