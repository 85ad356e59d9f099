"""Metrics on the same numbers as the original packages."""

import contextlib
import io
import warnings

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

from anonbench.metrics.frechet import (
    frechet_distance,
    frechet_distance_of_features,
    gaussian_stats,
    gaussian_stats_of_batches,
)
from anonbench.metrics.kernel import (
    kernel_distance,
    kernel_distance_interval,
    kernel_distance_over_subsets,
)
from anonbench.metrics.prdc import prdc
from anonbench.metrics.ranking import cmc, mean_average_precision, rank
from tests.parity.conftest import Agree

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # torchreid tells that its compiled version is absent
    from torchreid.reid.metrics.rank import eval_market1501

pytestmark = pytest.mark.parity
Floats = NDArray[np.float64]


def features(n: int, d: int, seed: int, shift: float = 0.0) -> Floats:
    """As after a network's last ReLU and pooling: correlated, not negative, of unequal scale."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(0).normal(size=(d, d)) * np.logspace(0, -2, d)
    return np.maximum(rng.normal(size=(n, d)) @ mixing + shift, 0)


@pytest.mark.parametrize(("n", "d"), [(2500, 256), (300, 20), (60, 20), (40, 96)])
def test_frechet_distance_equals_torch_fidelity(n: int, d: int, agree: Agree) -> None:
    real, fake = features(n, d, seed=1), features(n + 7, d, seed=2, shift=0.3)
    statistics = [fid_features_to_statistics(torch.from_numpy(x)) for x in (real, fake)]
    theirs = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    streamed = [gaussian_stats_of_batches(np.array_split(x, 9)) for x in (real, fake)]
    for ours in (
        frechet_distance(real=gaussian_stats(real), fake=gaussian_stats(fake)),
        frechet_distance(real=streamed[0], fake=streamed[1]),
        frechet_distance_of_features(real=real, fake=fake),
    ):
        agree(ours, theirs, bound=1e-4, against="torch-fidelity", quantity="distance, relative")


def test_kernel_distance_equals_torch_fidelity(agree: Agree) -> None:
    """One subset of everything, which is `kernel_distance`, and its random subsets, draw for draw."""
    bound = {"bound": 1e-9, "against": "torch-fidelity", "quantity": "distance, relative"}
    real, fake = features(150, 24, seed=1), features(150, 24, seed=2, shift=0.3)
    pair = torch.from_numpy(fake), torch.from_numpy(real)
    whole = kid_features_to_metric(*pair, kid_subsets=1, kid_subset_size=150, verbose=False)
    for ours in (kernel_distance(real=real, fake=fake), kernel_distance_interval(real=real, fake=fake)[0]):
        agree(ours, whole["kernel_inception_distance_mean"], **bound)
    theirs = kid_features_to_metric(*pair, kid_subsets=20, kid_subset_size=80, verbose=False)
    subsets = kernel_distance_over_subsets(real=real, fake=fake, subsets=20, subset_size=80)
    agree(subsets.mean, theirs["kernel_inception_distance_mean"], **bound)
    agree(subsets.standard_deviation, theirs["kernel_inception_distance_std"], **bound)


@pytest.mark.parametrize(("n", "m"), [(200, 200), (250, 120)])
def test_precision_and_recall_equal_torch_fidelity(n: int, m: int, agree: Agree) -> None:
    real, fake = features(n, 12, seed=1), features(m, 12, seed=2, shift=0.3)
    theirs = prc_features_to_metric(
        torch.from_numpy(fake), torch.from_numpy(real), prc_neighborhood=3, verbose=False
    )
    found = prdc(real=real, fake=fake)
    assert 0.1 < found.precision < 0.99 or 0.1 < found.recall < 0.99
    agree(
        [found.precision, found.recall], [theirs["precision"], theirs["recall"]],
        bound=1e-6, against="torch-fidelity", quantity="fraction", relative=False,
    )  # fmt: skip


@pytest.mark.parametrize(("n", "m"), [(200, 200), (250, 120)])
def test_density_and_coverage_equal_their_definition(n: int, m: int, agree: Agree) -> None:
    """Naeem et al. 2020, equations 5 and 6, on SciPy's distances. Their package asks for < where we have <=."""
    real, fake = features(n, 12, seed=1), features(m, 12, seed=2, shift=0.3)
    radius = np.sort(cdist(real, real), axis=1)[:, 5]
    inside = cdist(real, fake) < radius[:, None]
    found = prdc(real=real, fake=fake)
    agree(
        [found.density, found.coverage], [inside.sum() / (5 * m), inside.any(axis=1).mean()],
        bound=1e-12, against="their definition", quantity="fraction", relative=False,
    )  # fmt: skip


def random_market(seed: int, q: int = 60, g: int = 300, people: int = 12) -> tuple[NDArray[np.generic], ...]:
    """Untied distances, ids with distractors (0) and junk (-1), six cameras."""
    rng = np.random.default_rng(seed)
    distances = rng.permutation(q * g).reshape(q, g).astype(np.float64)
    labels = rng.integers(1, people, q), rng.integers(-1, people, g)
    return (distances, *labels, rng.integers(0, 6, q), rng.integers(0, 6, g))


def one_match_last() -> tuple[NDArray[np.generic], ...]:
    """Every query's only match ranks last, behind distractors."""
    people = np.arange(1, 21)
    distances = 1.0 + np.arange(20 * 60).reshape(20, 60) % 59
    gallery = np.concatenate([people, np.zeros(40, dtype=int)])
    distances = np.argsort(np.argsort(distances + 1e-3 * np.arange(60), axis=1), axis=1).astype(float)
    distances[people - 1, people - 1] = 100.0
    return distances, people, gallery, np.zeros(20, dtype=int), np.ones(60, dtype=int)


def nearest_is_the_same_camera() -> tuple[NDArray[np.generic], ...]:
    """The nearest images are of the same person from the same camera, and have to go."""
    people, cameras = np.repeat(np.arange(1, 11), 4), np.tile(np.arange(4), 10)
    rng = np.random.default_rng(0)
    distances = 10 + rng.permutation(1600).reshape(40, 40).astype(float)
    same = (people[:, None] == people) & (cameras[:, None] == cameras)
    distances[same] = np.arange(same.sum()) / 100
    return distances, people, people, cameras, cameras


def some_people_are_nowhere() -> tuple[NDArray[np.generic], ...]:
    """Queries of people who are not in the gallery, or only before their own camera, do not count."""
    distances, query, gallery, query_cameras, gallery_cameras = random_market(5)
    query = np.where(np.arange(60) % 3 == 0, 99, query)
    gallery = np.where(np.arange(300) % 2 == 0, 0, gallery)
    return distances, query, gallery, query_cameras, np.where(gallery == 3, 2, gallery_cameras)


RANKINGS = {
    **{f"random {seed}": random_market(seed) for seed in range(3)},
    "single query": random_market(4, q=1, g=50, people=4),
    "one match, last": one_match_last(),
    "same camera first": nearest_is_the_same_camera(),
    "people who are nowhere": some_people_are_nowhere(),
    "all junk and distractors but one": random_market(6, q=5, g=60, people=2),
}


@pytest.mark.parametrize("market", RANKINGS.values(), ids=RANKINGS.keys())
def test_ranking_equals_torchreid(market: tuple[NDArray[np.generic], ...], agree: Agree) -> None:
    """Without ties, which we break against the match and torchreid by the sort. It drops junk when reading."""
    distances, query, gallery, query_cameras, gallery_cameras = market
    kept = gallery != -1
    with contextlib.redirect_stdout(io.StringIO()):
        their_cmc, their_map = eval_market1501(
            distances[:, kept], query, gallery[kept], query_cameras, gallery_cameras[kept], max_rank=20
        )
    found = rank(distances, query, gallery, query_cameras, gallery_cameras)
    ours = [mean_average_precision(found), *(cmc(found, k) for k in range(1, 21))]
    agree(
        ours, [their_map, *their_cmc.astype(np.float64)],
        bound=1e-7, against="torchreid", quantity="mAP and CMC, which torchreid keeps in float32", relative=False,
    )  # fmt: skip
