"""Precision and coverage: quality and diversity as two numbers, from balls around the real samples.

Precision after Kynkaanniemi et al. 2019 (arXiv 1904.06991), coverage after Naeem et al. 2020
(arXiv 2002.09797), who show that recall overrates outliers where coverage does not.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anonbench.metrics.features import euclidean_distances, feature_pair

_CHUNK_ROWS = 1024


@dataclass(frozen=True)
class PrecisionCoverage:
    """Both in [0, 1], higher is better.

    precision: share of fake samples inside the ball of at least one real sample (realism).
    coverage: share of real samples whose ball holds at least one fake sample (diversity).
    """

    precision: float
    coverage: float


def precision_coverage(
    *, real: ArrayLike, fake: ArrayLike, k_precision: int = 3, k_coverage: int = 5
) -> PrecisionCoverage:
    """Precision and coverage of (M, D) fake against (N, D) real features.

    The ball of a real sample reaches to its k-th nearest other real sample, border included; the defaults of
    k are those of the two papers. N must exceed both k. Both values depend on N and M: compare equal sizes.
    Memory is linear in N and M.
    """
    neighbours = max(k_precision, k_coverage)
    if min(k_precision, k_coverage) < 1:
        raise ValueError(f"k must be at least 1, got k_precision={k_precision}, k_coverage={k_coverage}")
    real, fake = feature_pair(real, fake)
    if len(real) <= neighbours:
        raise ValueError(f"{neighbours} neighbours need more than {neighbours} real samples, got {len(real)}")

    inside_any = np.zeros(len(fake), dtype=bool)
    covered = np.zeros(len(real), dtype=bool)
    for start in range(0, len(real), _CHUNK_ROWS):
        chunk = real[start : start + _CHUNK_ROWS]
        # Column 0 of the sorted distances is the sample itself.
        nearest = np.partition(euclidean_distances(chunk, real), [k_precision, k_coverage], axis=1)
        to_fake = euclidean_distances(chunk, fake)
        inside_any |= _within(to_fake, nearest[:, k_precision]).any(axis=0)
        covered[start : start + _CHUNK_ROWS] = _within(to_fake, nearest[:, k_coverage]).any(axis=1)
    return PrecisionCoverage(float(inside_any.mean()), float(covered.mean()))


def _within(distances: NDArray[np.float32], radius: NDArray[np.float32]) -> NDArray[np.bool_]:
    return np.asarray(distances <= radius[:, None])
