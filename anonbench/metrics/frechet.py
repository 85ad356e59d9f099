"""Frechet distance between feature distributions (Heusel et al. 2017, arXiv 1706.08500, equation 6).

Features -> Gaussian statistics -> number. FID is this distance on InceptionV3 features; the value depends on
the extractor and on n, so it is only comparable where both are equal.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import ArrayLike

from anonbench.metrics.features import Matrix, feature_matrix, feature_pair

_SMALLEST_FIT_SAMPLE = 5000
"""Where Chong & Forsyth start their fit: below it the bias is not yet linear in 1/n for 2048 dimensions."""

_CLOSE = 1e-3
"""Share of the traces. A distance below it is the difference of nearly equal numbers, so it is computed by `svd`."""


@dataclass(frozen=True)
class GaussianStats:
    """Mean and covariance of N feature vectors of D dimensions.

    mean: float64 (D,). covariance: float64 (D, D), divisor N - 1. n: number of samples.
    """

    mean: Matrix
    covariance: Matrix
    n: int

    def __post_init__(self) -> None:
        d = len(self.mean)
        if self.mean.shape != (d,) or self.covariance.shape != (d, d):
            raise ValueError(
                f"mean (D,) and covariance (D, D) do not fit: {self.mean.shape} and {self.covariance.shape}"
            )
        if self.n < 2:
            raise ValueError(f"a covariance needs at least 2 samples, got {self.n}")
        if not (np.isfinite(self.mean).all() and np.isfinite(self.covariance).all()):
            raise ValueError("mean or covariance holds NaN or infinity")

    @property
    def rank_deficient(self) -> bool:
        """True when N - 1 < D: the covariance has null directions and the distance a large bias."""
        return self.n - 1 < len(self.mean)


@dataclass(frozen=True)
class Moments:
    """What is known of features seen so far: batches and shards add up, in any order, up to rounding.

    mean: float64 (D,). scatter: float64 (D, D), sum of the outer products of the centred features. n: samples.
    """

    mean: Matrix
    scatter: Matrix
    n: int

    @classmethod
    def of(cls, features: ArrayLike) -> "Moments":
        """The moments of one batch (N, D), N >= 1, in float64."""
        matrix = feature_matrix(features, "Frechet")
        mean = matrix.mean(axis=0)
        centred = matrix - mean
        return cls(mean, centred.T @ centred, len(matrix))

    def merged(self, other: "Moments") -> "Moments":
        """Both together (Chan, Golub and LeVeque 1979): no difference of large sums, so no digits are lost."""
        if len(self.mean) != len(other.mean):
            raise ValueError(_of_one_extractor(len(self.mean), len(other.mean)))
        n = self.n + other.n
        shift = other.mean - self.mean
        scatter = self.scatter + other.scatter + np.outer(shift, shift) * (self.n * other.n / n)
        return Moments(self.mean + shift * (other.n / n), scatter, n)

    def stats(self) -> GaussianStats:
        """Mean and unbiased covariance. ValueError below 2 samples."""
        return GaussianStats(self.mean, self.scatter / max(self.n - 1, 1), self.n)


def gaussian_stats(features: ArrayLike) -> GaussianStats:
    """Statistics of (N, D) features, N >= 2, in float64, the covariance unbiased (divisor N - 1)."""
    return Moments.of(feature_matrix(features, "Frechet", at_least=2)).stats()


def gaussian_stats_of_batches(batches: Iterable[ArrayLike]) -> GaussianStats:
    """The same of features that come in batches (B, D) of any sizes, of which one is held at a time."""
    parts = (Moments.of(batch) for batch in batches)
    first = next(parts, None)
    if first is None:
        raise ValueError("a covariance needs at least 2 samples, got 0")
    return reduce(Moments.merged, parts, first).stats()


def frechet_distance(*, real: GaussianStats, fake: GaussianStats) -> float:
    """|m1 - m2|^2 + Tr(C1 + C2 - 2 (C1 C2)^(1/2)): at least 0, lower is better.

    With C = A A^T the trace of the root is the sum of the singular values of A1^T A2. That needs no matrix
    square root, holds for covariances of any rank and cannot turn complex. What is within rounding of 0, D
    float64 steps of the traces, is 0: so it is for equal sets, in whatever order and batches they came.
    """
    if len(real.mean) != len(fake.mean):
        raise ValueError(_of_one_extractor(len(real.mean), len(fake.mean)))
    return _distance(real.mean - fake.mean, _root(real.covariance), _root(fake.covariance))


def frechet_distance_of_features(*, real: ArrayLike, fake: ArrayLike) -> float:
    """The same distance straight from (N, D) features, much faster where a set has fewer samples than D.

    Centred features are themselves a root of their covariance, so there nothing D x D is ever built.
    """
    real, fake = feature_pair(real, fake, at_least=2)
    return _distance(real.mean(axis=0) - fake.mean(axis=0), _feature_root(real), _feature_root(fake))


def frechet_at_infinity(
    *, real: ArrayLike, fake: ArrayLike, generator_seed: int, sizes: int = 15
) -> tuple[float, float]:
    """The distance extrapolated to infinitely many fake samples (Chong & Forsyth 2020, arXiv 1911.07023).

    The bias of a Frechet distance is linear in 1/n with a slope that differs between generators, so equal n
    does not make a ranking fair. The distance is computed on `sizes` random subsets of the fake features,
    from 5000 (half of them where there are fewer than 10,000) to all; a line through the values over
    1/n gives (intercept, slope). The line holds where every subset has more samples than dimensions. The bias
    in the real statistics stays. generator_seed: picks the subsets.
    """
    real, fake = feature_pair(real, fake, at_least=2)
    n = len(fake)
    smallest = max(2, min(_SMALLEST_FIT_SAMPLE, n // 2))
    counts = np.unique(np.linspace(smallest, n, sizes).astype(np.int64))
    if len(counts) < 3:
        raise ValueError(
            f"a line needs at least 3 subset sizes; {n} fake samples and sizes={sizes} give {len(counts)}"
        )
    rng = np.random.default_rng(generator_seed)
    real_mean, real_root = real.mean(axis=0), _feature_root(real)
    distances = []
    for count in counts:
        subset = fake[rng.choice(n, count, replace=False)]
        distances.append(_distance(real_mean - subset.mean(axis=0), real_root, _feature_root(subset)))
    slope, intercept = np.polyfit(1.0 / counts, distances, 1)
    return float(intercept), float(slope)


def _of_one_extractor(first: int, second: int) -> str:
    return f"statistics must come from one extractor, got {first} and {second} dimensions"


def _distance(shift: Matrix, root_real: Matrix, root_fake: Matrix) -> float:
    """`shift`: difference of the means (D,). Roots: (D, any) with root root^T = covariance."""
    traces = np.square(root_real).sum() + np.square(root_fake).sum()
    product = root_real.T @ root_fake
    distance = float(shift @ shift + traces - 2.0 * _sum_of_singular_values(product))
    if distance < _CLOSE * traces:
        distance = float(shift @ shift + traces - 2.0 * np.linalg.svd(product, compute_uv=False).sum())
    rounding = len(shift) * np.finfo(np.float64).eps * traces
    return distance if distance > rounding else 0.0


def _sum_of_singular_values(matrix: Matrix) -> float:
    """As roots of eigenvalues, a quarter of the work of `svd`; singular values below 1e-8 of the largest drown."""
    gram = matrix @ matrix.T if len(matrix) < matrix.shape[1] else matrix.T @ matrix
    return float(np.sqrt(np.maximum(np.linalg.eigvalsh(gram), 0.0)).sum())


def _root(covariance: Matrix) -> Matrix:
    """A (D, rank) with A A^T = covariance: the Cholesky factor, or eigenvectors below full rank."""
    try:
        return np.asarray(np.linalg.cholesky(covariance))
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(covariance)
        kept = values > values[-1] * len(values) * np.finfo(np.float64).eps
        return np.asarray(vectors[:, kept] * np.sqrt(values[kept]))


def _feature_root(features: Matrix) -> Matrix:
    """A (D, min(N, D)) with A A^T = the covariance of (N, D) features."""
    n, d = features.shape
    if n > d:
        return _root(gaussian_stats(features).covariance)
    return np.asarray((features - features.mean(axis=0)).T / np.sqrt(n - 1))
