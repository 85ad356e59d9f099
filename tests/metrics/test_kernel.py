import numpy as np
import pytest
import torch
from torch_fidelity.metric_kid import kid_features_to_metric

from anonbench.metrics import kernel
from anonbench.metrics.kernel import kernel_distance, kernel_distance_over_subsets


def test_two_points_against_two_points_by_hand() -> None:
    real, fake = np.array([[1.0], [2.0]]), np.array([[0.0], [3.0]])
    # Kernel (xy + 1)^3: real pair 27, fake pair 1, across 1, 64, 1, 343.
    assert kernel_distance(real=real, fake=fake) == pytest.approx(27 + 1 - 2 * (1 + 64 + 1 + 343) / 4)


def test_the_estimate_is_unbiased_so_that_equal_distributions_average_to_zero() -> None:
    rng = np.random.default_rng(0)
    values = [
        kernel_distance(real=rng.normal(size=(20, 4)), fake=rng.normal(size=(30, 4))) for _ in range(2000)
    ]
    assert min(values) < 0
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(len(values))


def test_argument_order_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(40, 6)), 1 + rng.normal(size=(30, 6))
    assert kernel_distance(real=a, fake=b) == pytest.approx(kernel_distance(real=b, fake=a))


def test_chunks_do_not_change_the_value(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(50, 6)), 1 + rng.normal(size=(33, 6))
    whole = kernel_distance(real=a, fake=b)
    monkeypatch.setattr(kernel, "_CHUNK_ROWS", 7)
    assert kernel_distance(real=a, fake=b) == pytest.approx(whole, rel=1e-12)


def test_subsets_agree_with_torch_fidelity_digit_for_digit() -> None:
    rng = np.random.default_rng(0)
    real, fake = rng.normal(size=(150, 10)), 0.3 + rng.normal(size=(130, 10))
    reference = kid_features_to_metric(
        torch.from_numpy(fake), torch.from_numpy(real), kid_subsets=20, kid_subset_size=80, verbose=False
    )
    ours = kernel_distance_over_subsets(real=real, fake=fake, subsets=20, subset_size=80)
    assert ours.mean == pytest.approx(reference["kernel_inception_distance_mean"], rel=1e-10)
    assert ours.standard_deviation == pytest.approx(reference["kernel_inception_distance_std"], rel=1e-10)


def test_all_pairs_agree_with_torch_fidelity_on_one_subset_of_everything() -> None:
    rng = np.random.default_rng(0)
    real, fake = rng.normal(size=(90, 10)), 0.3 + rng.normal(size=(90, 10))
    reference = kid_features_to_metric(
        torch.from_numpy(fake), torch.from_numpy(real), kid_subsets=1, kid_subset_size=90, verbose=False
    )
    ours = kernel_distance(real=real, fake=fake)
    assert ours == pytest.approx(reference["kernel_inception_distance_mean"], rel=1e-10)


def test_a_subset_larger_than_the_set_is_refused() -> None:
    x = np.zeros((10, 2))
    with pytest.raises(ValueError, match="must be 2 to 10"):
        kernel_distance_over_subsets(real=x, fake=x, subset_size=11)
