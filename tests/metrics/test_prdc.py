import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from torch_fidelity.metric_prc import prc_features_to_metric

from anonbench.metrics import features, prdc
from anonbench.metrics.prdc import precision_coverage


def test_points_on_a_line_by_hand() -> None:
    real = np.array([[0.0], [1.0], [2.0], [10.0]])
    fake = np.array([[0.5], [2.9], [3.1]])
    # Nearest neighbours lie at 1, 1, 1 and 8: the last ball, from 2 to 18, holds 2.9 and 3.1.
    result = precision_coverage(real=real, fake=fake, k_precision=1, k_coverage=1)
    assert result.precision == 1.0
    assert result.coverage == 1.0
    # -1.5 is in no ball; 0.9 is in those of 0 and 1, two of the four.
    partly = precision_coverage(real=real, fake=np.array([[-1.5], [0.9]]), k_precision=1, k_coverage=1)
    assert (partly.precision, partly.coverage) == (0.5, 0.5)
    border = precision_coverage(real=real, fake=np.array([[-1.0]]), k_precision=1, k_coverage=1)
    assert (border.precision, border.coverage) == (1.0, 0.25)


def test_mode_collapse_is_precise_and_covers_nothing() -> None:
    real = np.random.default_rng(0).normal(size=(500, 4))
    collapsed = np.repeat(real[np.linalg.norm(real, axis=1).argmin()][None], 500, axis=0)
    result = precision_coverage(real=real, fake=collapsed)
    assert result.precision == 1.0
    assert result.coverage < 0.05


def test_scattered_samples_are_imprecise_but_cover() -> None:
    rng = np.random.default_rng(0)
    real = rng.normal(size=(300, 4))
    fake = np.concatenate([rng.normal(size=(300, 4)), 100 + rng.normal(size=(300, 4))])
    result = precision_coverage(real=real, fake=fake)
    assert 0.4 < result.precision <= 0.5
    assert result.coverage > 0.8


@pytest.mark.parametrize(("n", "m"), [(120, 120), (150, 70)])
def test_precision_agrees_with_torch_fidelity(n: int, m: int) -> None:
    rng = np.random.default_rng(1)
    real, fake = rng.normal(size=(n, 6)), 0.8 + rng.normal(size=(m, 6))
    reference = prc_features_to_metric(
        torch.from_numpy(fake), torch.from_numpy(real), prc_neighborhood=3, verbose=False
    )
    assert precision_coverage(real=real, fake=fake).precision == pytest.approx(reference["precision"])


def test_coverage_agrees_with_its_definition() -> None:
    rng = np.random.default_rng(2)
    real, fake = rng.normal(size=(80, 5)), 0.8 + rng.normal(size=(60, 5))
    radius = np.sort(cdist(real, real), axis=1)[:, 5]
    expected = np.mean(cdist(real, fake).min(axis=1) <= radius)
    assert precision_coverage(real=real, fake=fake).coverage == pytest.approx(expected)


def test_chunks_do_not_change_the_values(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    real, fake = rng.normal(size=(60, 5)), 0.5 + rng.normal(size=(50, 5))
    whole = precision_coverage(real=real, fake=fake)
    monkeypatch.setattr(prdc, "_CHUNK_ROWS", 7)
    monkeypatch.setattr(features, "_CHUNK_ROWS", 3)
    assert precision_coverage(real=real, fake=fake) == whole


def test_fewer_real_samples_than_neighbours_are_refused() -> None:
    with pytest.raises(ValueError, match="5 neighbours need more than 5 real samples, got 5"):
        precision_coverage(real=np.zeros((5, 2)), fake=np.zeros((9, 2)))
    with pytest.raises(ValueError, match="k must be at least 1"):
        precision_coverage(real=np.zeros((5, 2)), fake=np.zeros((9, 2)), k_precision=0)
