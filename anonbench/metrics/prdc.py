"""Precision, recall, density, coverage: quality and diversity apart, from balls around samples.

Precision and recall after Kynkäänniemi et al. 2019 (arXiv 1904.06991), density and coverage after Naeem et al.
2020 (arXiv 2002.09797), who show that precision and recall overrate outliers, whose balls are large. The ball
of a sample reaches to its k-th nearest other sample of its own set, border included. All four depend on the
sizes of both sets: compare equal sizes. Exchanging real and fake exchanges precision and recall.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anonbench.metrics.features import Matrix, euclidean_distances, feature_pair

_CHUNK_ROWS = 1024


@dataclass(frozen=True)
class Prdc:
    """The four per sample; each number is the mean over the samples.

    fake_inside: bool (M,), the fake sample is in the ball of a real one. fake_density: float64 (M,), in how many
    such balls, over k. real_inside: bool (N,), the real sample is in the ball of a fake one.
    real_covered: bool (N,), the ball of the real sample holds a fake one.
    """

    fake_inside: NDArray[np.bool_]
    fake_density: NDArray[np.float64]
    real_inside: NDArray[np.bool_]
    real_covered: NDArray[np.bool_]

    @property
    def precision(self) -> float:
        """Share of fake samples that look real, in [0, 1]."""
        return float(self.fake_inside.mean())

    @property
    def recall(self) -> float:
        """Share of real samples that the generator could have made, in [0, 1]."""
        return float(self.real_inside.mean())

    @property
    def density(self) -> float:
        """How densely real samples lie where fake ones are: 0 upwards, about 1 for equal distributions."""
        return float(self.fake_density.mean())

    @property
    def coverage(self) -> float:
        """Share of real samples that have a fake one near, in [0, 1]."""
        return float(self.real_covered.mean())


def prdc(*, real: ArrayLike, fake: ArrayLike, k_precision: int = 3, k_coverage: int = 5) -> Prdc:
    """All four of (M, D) fake against (N, D) real features.

    k_precision: of precision and recall, k_coverage: of density and coverage; the defaults are the papers'.
    N must exceed both, M the former. Memory is linear in N and M.
    """
    if min(k_precision, k_coverage) < 1:
        raise ValueError(f"k must be at least 1, got k_precision={k_precision}, k_coverage={k_coverage}")
    real, fake = feature_pair(real, fake)
    near, far = _radii(real, "real", k_precision, k_coverage)
    (fake_near,) = _radii(fake, "fake", k_precision)

    fake_inside, balls = np.zeros(len(fake), dtype=bool), np.zeros(len(fake))
    real_inside, covered = np.zeros(len(real), dtype=bool), np.zeros(len(real), dtype=bool)
    for start in range(0, len(real), _CHUNK_ROWS):
        rows = slice(start, start + _CHUNK_ROWS)
        distances = euclidean_distances(real[rows], fake)
        fake_inside |= (distances <= near[rows, None]).any(axis=0)
        real_inside[rows] = (distances <= fake_near).any(axis=1)
        holds = distances <= far[rows, None]
        balls += holds.sum(axis=0)
        covered[rows] = holds.any(axis=1)
    return Prdc(fake_inside, balls / k_coverage, real_inside, covered)


def _radii(samples: Matrix, name: str, *ks: int) -> list[NDArray[np.float32]]:
    """For each k the distance (N,) of every sample to its k-th nearest other one."""
    if len(samples) <= max(ks):
        raise ValueError(f"{max(ks)} neighbours need more than {max(ks)} {name} samples, got {len(samples)}")
    radii = np.empty((len(ks), len(samples)), dtype=np.float32)
    for start in range(0, len(samples), _CHUNK_ROWS):
        rows = slice(start, start + _CHUNK_ROWS)
        # Column 0 of the sorted distances is the sample itself.
        radii[:, rows] = np.partition(euclidean_distances(samples[rows], samples), ks, axis=1)[:, ks].T
    return list(radii)
