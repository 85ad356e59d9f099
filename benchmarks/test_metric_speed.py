"""Metrics against the programs that people use today. Run: `pytest benchmarks -s`.

The bounds are far below what was measured; they catch a lost algorithm, not a busy machine.
"""

import warnings
from collections.abc import Callable

import numpy as np
import torch
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

from anonbench.metrics.frechet import frechet_distance, frechet_distance_of_features, gaussian_stats
from anonbench.metrics.kernel import kernel_distance
from anonbench.metrics.prdc import prdc
from anonbench.metrics.ranking import rank

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # torchreid tells that its compiled version is absent
    from torchreid.reid.metrics.rank import eval_market1501

Speedup = Callable[..., float]


def features(n: int, d: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d))


def torch_fidelity_fid(real: np.ndarray, fake: np.ndarray) -> float:
    statistics = [fid_features_to_statistics(torch.from_numpy(x)) for x in (real, fake)]
    return float(fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"])


def test_ranking_against_torchreid(speedup: Speedup) -> None:
    rng = np.random.default_rng(0)
    q, g = 600, 8000
    distances = rng.random((q, g), dtype=np.float32)
    labels = rng.integers(1, 400, q), rng.integers(0, 400, g), rng.integers(0, 6, q), rng.integers(0, 6, g)
    ratio = speedup(lambda: rank(distances, *labels), lambda: eval_market1501(distances, *labels, 50))
    assert ratio > 3


def test_frechet_from_statistics_against_torch_fidelity(speedup: Speedup) -> None:
    real, fake = features(2000, 512, seed=1), features(2000, 512, seed=2)
    ratio = speedup(
        lambda: frechet_distance(real=gaussian_stats(real), fake=gaussian_stats(fake)),
        lambda: torch_fidelity_fid(real, fake),
        rounds=2,
    )
    assert ratio > 1


def test_frechet_of_few_samples_against_torch_fidelity(speedup: Speedup) -> None:
    real, fake = features(200, 1280, seed=1), features(200, 1280, seed=2)
    ratio = speedup(
        lambda: frechet_distance_of_features(real=real, fake=fake),
        lambda: torch_fidelity_fid(real, fake),
        rounds=1,
    )
    assert ratio > 20


def test_kernel_distance_against_torch_fidelity(speedup: Speedup) -> None:
    real, fake = features(2000, 1024, seed=1), features(2000, 1024, seed=2)
    peer = {"kid_subsets": 1, "kid_subset_size": 2000, "verbose": False}
    ratio = speedup(
        lambda: kernel_distance(real=real, fake=fake),
        lambda: kid_features_to_metric(torch.from_numpy(fake), torch.from_numpy(real), **peer),
    )
    assert ratio > 0.6  # the same products; ours in chunks, with memory linear in n


def test_precision_and_coverage_against_torch_fidelity(speedup: Speedup) -> None:
    real, fake = features(3000, 512, seed=1), features(3000, 512, seed=2)
    ratio = speedup(
        lambda: prdc(real=real, fake=fake),
        lambda: prc_features_to_metric(torch.from_numpy(fake), torch.from_numpy(real), verbose=False),
    )
    assert ratio > 0.3
