"""Kernel distance: unbiased squared MMD, cubic polynomial kernel (Binkowski et al. 2018, arXiv 1801.01401).

KID is this distance on InceptionV3 features. Unlike the Frechet distance it is unbiased, so it serves small
sets; being unbiased it can fall slightly below 0, and is not clipped.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from anonbench.metrics.features import Matrix, feature_pair
from anonbench.metrics.uncertainty import Interval

_CHUNK_ROWS = 1024


@dataclass(frozen=True)
class SubsetKernelDistance:
    """Mean and standard deviation over subsets. The deviation describes a subset, not the mean's error."""

    mean: float
    standard_deviation: float


def kernel_distance(*, real: ArrayLike, fake: ArrayLike) -> float:
    """Unbiased MMD^2 between all (N, D) real and all (M, D) fake features; lower is better, may be negative.

    Kernel (x . y / D + 1)^3. N and M are at least 2 and need not be equal. Memory is linear in N.
    """
    real, fake = feature_pair(real, fake, at_least=2)
    n, m = len(real), len(fake)
    within_real = _sum_within(real) / (n * (n - 1))
    within_fake = _sum_within(fake) / (m * (m - 1))
    across = _sum_across(real, fake) / (n * m)
    return within_real + within_fake - 2.0 * across


def kernel_distance_interval(
    *, real: ArrayLike, fake: ArrayLike, confidence: float = 0.95
) -> tuple[float, Interval]:
    """`kernel_distance` of (N, D) pairs, each an original and what was made of it, and its interval.

    The jackknife over pairs: N exact values, each without one pair, from one pass over the kernel. It fits
    N = M alone, since the two of a pair are left out together. Where both distributions are equal it is
    conservative.
    """
    real, fake = feature_pair(real, fake, at_least=3)
    n = len(real)
    if len(fake) != n:
        raise ValueError(f"pairs need as many real as fake samples, got {n} and {len(fake)}")
    real_sums, fake_sums = _row_sums_within(real), _row_sums_within(fake)
    to_fake, to_real, own = _row_sums_across(real, fake)
    pairs, fewer = n * (n - 1), (n - 1) * (n - 2)
    value = (real_sums.sum() + fake_sums.sum()) / pairs - 2.0 * to_fake.sum() / n**2
    within = (real_sums.sum() - 2.0 * real_sums + fake_sums.sum() - 2.0 * fake_sums) / fewer
    across = (to_fake.sum() - to_fake - to_real + own) / (n - 1) ** 2
    without_one = within - 2.0 * across
    deviation = np.sqrt((n - 1) / n * np.square(without_one - without_one.mean()).sum())
    half = float(stats.t.ppf((1.0 + confidence) / 2.0, n - 1) * deviation)
    return float(value), Interval(float(value) - half, float(value) + half, confidence)


def kernel_distance_over_subsets(
    *, real: ArrayLike, fake: ArrayLike, subsets: int = 100, subset_size: int = 1000, seed: int = 2020
) -> SubsetKernelDistance:
    """KID as torch-fidelity 0.4.0 prints it: mean over random subsets of equal size.

    The defaults, the legacy random stream and the order of draws (fake first) are torch-fidelity's, so that
    the numbers agree digit for digit. Prefer `kernel_distance`, which uses every pair once.
    """
    real, fake = feature_pair(real, fake, at_least=2)
    available = min(len(real), len(fake))
    if not 2 <= subset_size <= available:
        raise ValueError(f"subset_size must be 2 to {available}, the samples there are; got {subset_size}")
    rng = np.random.RandomState(seed)
    values = np.empty(subsets)
    for i in range(subsets):
        fake_subset = fake[rng.choice(len(fake), subset_size, replace=False)]
        real_subset = real[rng.choice(len(real), subset_size, replace=False)]
        values[i] = kernel_distance(real=real_subset, fake=fake_subset)
    return SubsetKernelDistance(float(values.mean()), float(values.std()))


def _row_sums_within(a: Matrix) -> Matrix:
    """For each row the sum of the kernel with every other row: (N,)."""
    sums = np.empty(len(a))
    for start in range(0, len(a), _CHUNK_ROWS):
        rows = slice(start, start + _CHUNK_ROWS)
        sums[rows] = _kernel(a[rows], a).sum(axis=1)
    return sums - _kernel_of_pairs(a, a)


def _row_sums_across(a: Matrix, b: Matrix) -> tuple[Matrix, Matrix, Matrix]:
    """Sums of the kernel from each row of `a` to all of `b` (N,), from `b` to all of `a` (N,), and a_i with b_i."""
    to_b, to_a = np.empty(len(a)), np.zeros(len(b))
    for start in range(0, len(a), _CHUNK_ROWS):
        rows = slice(start, start + _CHUNK_ROWS)
        kernel = _kernel(a[rows], b)
        to_b[rows] = kernel.sum(axis=1)
        to_a += kernel.sum(axis=0)
    return to_b, to_a, _kernel_of_pairs(a, b)


def _kernel_of_pairs(a: Matrix, b: Matrix) -> Matrix:
    linear = np.einsum("nd,nd->n", a, b) / a.shape[1] + 1.0
    return np.asarray(linear**3)


def _sum_across(a: Matrix, b: Matrix) -> float:
    """Sum of the kernel over all pairs of a row of `a` and a row of `b`."""
    chunks = (a[start : start + _CHUNK_ROWS] for start in range(0, len(a), _CHUNK_ROWS))
    return float(sum(_kernel(chunk, b).sum() for chunk in chunks))


def _sum_within(a: Matrix) -> float:
    """Sum of the kernel over all ordered pairs of two different rows."""
    total = 0.0
    for start in range(0, len(a), _CHUNK_ROWS):
        chunk, rest = a[start : start + _CHUNK_ROWS], a[start + _CHUNK_ROWS :]
        among = _kernel(chunk, chunk)
        total += among.sum() - np.trace(among) + 2.0 * _kernel(chunk, rest).sum()
    return float(total)


def _kernel(a: Matrix, b: Matrix) -> Matrix:
    linear = a @ b.T / a.shape[1] + 1.0
    return np.asarray(linear * linear * linear)
