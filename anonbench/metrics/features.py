"""Feature matrices: checked once where they enter a metric, and the distances between their rows."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Matrix = NDArray[np.float64]

_CHUNK_ROWS = 128
"""So that a chunk of distances stays in the processor's cache: twice as fast as ten times as many."""
_SAME_POINT = 1e-12
"""Squared distance, relative to the squared norms, below which two rows are one point: four orders above the
rounding of float64, and far below what float32 features can tell apart."""


def feature_matrix(values: ArrayLike, name: str, *, at_least: int = 1) -> Matrix:
    """`values` as float64 (N, D). ValueError unless it is a finite matrix with `at_least` rows.

    float64, since sums over thousands of float32 features lose the small eigenvalues of a covariance.
    """
    matrix = np.asarray(values, dtype=np.float64)
    if matrix.ndim != 2:
        raise ValueError(f"{name} features must be a matrix (N, D), got shape {matrix.shape}")
    if len(matrix) < at_least:
        raise ValueError(f"{name} features need at least {at_least} samples, got {len(matrix)}")
    if not np.isfinite(matrix).all():
        bad = int((~np.isfinite(matrix)).any(axis=1).sum())
        raise ValueError(f"{name} features hold NaN or infinity in {bad} of {len(matrix)} samples")
    return matrix


def feature_pair(real: ArrayLike, fake: ArrayLike, *, at_least: int = 1) -> tuple[Matrix, Matrix]:
    """Real and fake features, checked alone and against each other: they must share D."""
    real_matrix = feature_matrix(real, "real", at_least=at_least)
    fake_matrix = feature_matrix(fake, "fake", at_least=at_least)
    if real_matrix.shape[1] != fake_matrix.shape[1]:
        raise ValueError(
            f"real and fake features must come from one extractor, "
            f"got {real_matrix.shape[1]} and {fake_matrix.shape[1]} dimensions"
        )
    return real_matrix, fake_matrix


def euclidean_distances(query: ArrayLike, gallery: ArrayLike) -> NDArray[np.float32]:
    """Distance of each query row to each gallery row: (Q, D), (G, D) -> float32 (Q, G).

    Computed in float64 and then rounded, so that equal features are exactly tied and a point has distance 0
    to itself; the float32 expansion leaves noise there, which would break ties by chance.
    """
    query, gallery = feature_matrix(query, "query"), feature_matrix(gallery, "gallery")
    if query.shape[1] != gallery.shape[1]:
        raise ValueError(f"query has {query.shape[1]} dimensions, gallery {gallery.shape[1]}")
    distances = np.empty((len(query), len(gallery)), dtype=np.float32)
    for start in range(0, len(query), _CHUNK_ROWS):
        rows = slice(start, start + _CHUNK_ROWS)
        distances[rows] = np.sqrt(_squared_distances(query[rows], gallery))
    return distances


def _squared_distances(a: Matrix, b: Matrix) -> Matrix:
    norms = np.add.outer(np.einsum("nd,nd->n", a, a), np.einsum("nd,nd->n", b, b))
    squared = norms - 2.0 * (a @ b.T)
    squared[squared < _SAME_POINT * norms] = 0.0
    return np.asarray(squared)
