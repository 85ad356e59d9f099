"""Attackers on frozen features: closed forms, trained on some people and tried on others.

Row i of `query` and of `gallery` shows the same image twice: anonymized and untouched, or anonymized both times.
An attacker who trains on anonymized images of known people sees far more than an off-the-shelf network (Newton,
Sweeney & Malin 2005; McPherson, Shokri & Shmatikov 2016), and the strongest one counts (Hanisch et al. 2023).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve

from anonbench.metrics.features import euclidean_distances
from anonbench.metrics.privacy import rank_with_ties, removed_pairs

Matrix = NDArray[np.float64]
Integers = NDArray[np.int64]
Distances = Callable[[Matrix, Matrix], NDArray[np.float32]]
"""Query features (Q, D) and gallery features (G, D) to distances (Q, G)."""

_NO_VARIANCE = 1e-18
"""What constant features are divided by: they stay zero."""
STRONGEST_CORRELATION = 0.99
"""A correlation of 1 would make every likelihood ratio infinite."""


def principal_components(features: Matrix, train: NDArray[np.generic], dims: int) -> Matrix:
    """(N, D) -> (N, at most `dims`): all rows in the leading components of the rows `train`, not scaled.

    Labels play no part, so people of `train` may be held out afterwards.
    """
    centred = features - features[train].mean(axis=0)
    rows = centred[train]
    small = len(rows) < rows.shape[1]
    values, vectors = np.linalg.eigh(rows @ rows.T if small else rows.T @ rows)
    kept = _carrying(values[::-1])[:dims]
    values, vectors = values[::-1][kept], vectors[:, ::-1][:, kept]
    directions = rows.T @ vectors / np.sqrt(np.maximum(values, _NO_VARIANCE)) if small else vectors
    return np.asarray(centred @ directions)


def _carrying(variances: Matrix) -> Integers:
    """Positions of what carries variance, of variances in descending order; at least the first."""
    return np.arange(max(1, int((variances > 1e-9 * variances[0]).sum())))


@dataclass(frozen=True)
class Whitening:
    """The leading principal components, each with variance 1. mean: (D,); components: (D, k)."""

    mean: Matrix
    components: Matrix

    @classmethod
    def fit(cls, features: Matrix, dims: int) -> "Whitening":
        """From features (N, D): at most `dims` components, those that carry variance."""
        mean = features.mean(axis=0)
        centred = features - mean
        values, vectors = np.linalg.eigh(centred.T @ centred / len(features))
        kept = _carrying(values[::-1])[:dims]
        values, vectors = values[::-1][kept], vectors[:, ::-1][:, kept]
        return cls(mean, vectors / np.sqrt(np.maximum(values, _NO_VARIANCE)))

    def __call__(self, features: Matrix) -> Matrix:
        """(N, D) -> (N, k)."""
        return np.asarray((features - self.mean) @ self.components)


@dataclass(frozen=True)
class Trained:
    """Training data of an attacker: features of N images of known people, as queries and as gallery.

    query, gallery: (N, D), of the same images. person: (N,). symmetric: both are the same features.
    """

    query: Matrix
    gallery: Matrix
    person: Integers
    symmetric: bool

    def select(self, rows: NDArray[np.generic]) -> "Trained":
        """The images at `rows`."""
        return Trained(self.query[rows], self.gallery[rows], self.person[rows], self.symmetric)


def untrained(data: Trained) -> Distances:
    """Euclidean distance of the features as they are: the off-the-shelf attacker."""
    return euclidean_distances


def restoration(data: Trained, penalty: float) -> Distances:
    """Undo in feature space what was done to the query: ridge regression from queries to gallery features.

    The regression predicts what has to be added, so that a heavy penalty leaves the features as they are but
    for their mean, which no anonymizer keeps. penalty: in units of the mean eigenvalue of the queries' scatter.
    """
    mean, target = data.query.mean(axis=0), data.gallery.mean(axis=0)
    centred = data.query - mean
    missing = (data.gallery - target) - centred
    ridge = penalty * float((centred**2).sum()) / centred.shape[1] + 1e-12
    if len(centred) < centred.shape[1]:  # the same weights from the smaller of two matrices
        weights = centred.T @ _ridge_solution(centred @ centred.T, ridge, missing)
    else:
        weights = _ridge_solution(centred.T @ centred, ridge, centred.T @ missing)

    def distances(query: Matrix, gallery: Matrix) -> NDArray[np.float32]:
        moved = query - mean
        return euclidean_distances(moved + moved @ weights, gallery - target)

    return distances


def _ridge_solution(matrix: Matrix, ridge: float, right: Matrix) -> Matrix:
    return np.asarray(solve(matrix + ridge * np.eye(len(matrix)), right, assume_a="pos"))


def likelihood_ratio(data: Trained, dims: int) -> Distances:
    """Minus the log likelihood ratio of "same person" to "different people" under a Gaussian model.

    Both sets are whitened, then rotated to the canonical correlations rho of pairs that show one person in two
    images. For such a pair (x, y) of one coordinate log p(x, y) / (p(x) p(y)) is, up to a constant,
    (rho x y - rho^2 (x^2 + y^2) / 2) / (1 - rho^2). With equal sets this is the two-covariance model of speaker
    verification (Brümmer & de Villiers 2010), the optimal use of linear discriminants for pairs; with different
    sets it learns which features of a person survive. ValueError if nobody has two images.
    """
    whiten_query = Whitening.fit(data.query, dims)
    whiten_gallery = whiten_query if data.symmetric else Whitening.fit(data.gallery, dims)
    shared = _same_person_correlation(whiten_query(data.query), whiten_gallery(data.gallery), data.person)
    if data.symmetric:
        values, left = np.linalg.eigh((shared + shared.T) / 2)
        right = left
    else:
        left, values, transposed = np.linalg.svd(shared, full_matrices=False)
        right = transposed.T
    rho = np.clip(values, 0.0, STRONGEST_CORRELATION)
    cross, own = rho / (1 - rho**2), rho**2 / (1 - rho**2) / 2

    def distances(query: Matrix, gallery: Matrix) -> NDArray[np.float32]:
        x, y = whiten_query(query) @ left, whiten_gallery(gallery) @ right
        alike = (x * cross) @ y.T - np.add.outer((x**2) @ own, (y**2) @ own)
        # Rounded, so that equal features are exactly tied (see `euclidean_distances`).
        return np.asarray(-alike, dtype=np.float32)

    return distances


def _same_person_correlation(query: Matrix, gallery: Matrix, person: Integers) -> Matrix:
    """Mean of x y^T over all ordered pairs of different images of one person: (k, l)."""
    _, member, count = np.unique(person, return_inverse=True, return_counts=True)
    pairs = float((count * (count - 1)).sum())
    if not pairs:
        raise ValueError("an attacker needs people with at least two training images each")
    sums = [np.zeros((len(count), matrix.shape[1])) for matrix in (query, gallery)]
    for total, matrix in zip(sums, (query, gallery), strict=True):
        np.add.at(total, member, matrix)
    return np.asarray((sums[0].T @ sums[1] - query.T @ gallery) / pairs)


HEADS: dict[str, Callable[[Trained], Distances]] = {
    "untrained": untrained,
    **{f"restoration {penalty:g}": partial(restoration, penalty=penalty) for penalty in (1.0, 3.0)},
    **{f"likelihood {dims}": partial(likelihood_ratio, dims=dims) for dims in (8, 16, 32, 64)},
}
"""What is tried, from nothing learnt to much learnt."""


def held_out_map(
    head: Callable[[Trained], Distances], data: Trained, cameras: Integers, folds: int = 3
) -> float:
    """mAP in [0, 1] of a head on people it was not trained on, by cross-validation over `data`'s people.

    cameras: (N,), -1 unknown. Each held-out image is a query among all other held-out images; its own and
    those of the same person from the same camera are removed.
    """
    people = np.unique(data.person)
    folds = min(folds, len(people) // 2)
    if folds < 2:
        raise ValueError(f"cross-validation needs at least 4 training people, got {len(people)}")
    found = []
    for fold in range(folds):
        out = np.isin(data.person, people[fold::folds])
        distances = head(data.select(~out))(data.query[out], data.gallery[out])
        person, camera = data.person[out], cameras[out]
        removed = removed_pairs(person, person, camera, camera) | np.eye(len(person), dtype=bool)
        result = rank_with_ties(distances, person, person, removed)
        found.append(result.average_precision[result.scored])
    values = np.concatenate(found)
    return float(values.mean()) if len(values) else 0.0


class GaussianClassifier:
    """Linear discriminant with equal priors: which class a feature vector shows (Fisher 1936).

    Fitted on whitened principal components, with the covariance within classes shrunk by a tenth.
    """

    SHRINKAGE = 0.1

    def __init__(self, features: Matrix, labels: NDArray[np.generic], dims: int) -> None:
        """features: (N, D). labels: (N,), two classes or more. dims: principal components used."""
        self._whiten = Whitening.fit(features, dims)
        white = self._whiten(features)
        self.classes, member = np.unique(labels, return_inverse=True)
        self._means = np.stack([white[member == c].mean(axis=0) for c in range(len(self.classes))])
        within = white - self._means[member]
        covariance = within.T @ within / len(white)
        scale = max(float(np.trace(covariance)) / len(covariance), _NO_VARIANCE)
        shrunk = (1 - self.SHRINKAGE) * covariance + self.SHRINKAGE * scale * np.eye(len(covariance))
        self._precision = np.linalg.inv(shrunk)

    def __call__(self, features: Matrix) -> NDArray[np.generic]:
        """(N, D) -> the most likely class of each."""
        white = self._whiten(features)
        projected = self._means @ self._precision
        scores = white @ projected.T - 0.5 * np.einsum("cd,cd->c", projected, self._means)
        return np.asarray(self.classes[scores.argmax(axis=1)])
