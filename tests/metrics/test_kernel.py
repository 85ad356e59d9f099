import numpy as np
import pytest
from scipy import stats

from anonbench.metrics import kernel
from anonbench.metrics.kernel import (
    kernel_distance,
    kernel_distance_interval,
    kernel_distance_over_subsets,
)


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


def test_a_subset_larger_than_the_set_is_refused() -> None:
    x = np.zeros((10, 2))
    with pytest.raises(ValueError, match="must be 2 to 10"):
        kernel_distance_over_subsets(real=x, fake=x, subset_size=11)


def test_the_jackknife_leaves_out_one_pair_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    real = rng.normal(size=(12, 4))
    fake = real + 0.5 * rng.normal(size=(12, 4))
    without = [
        kernel_distance(real=np.delete(real, i, axis=0), fake=np.delete(fake, i, axis=0)) for i in range(12)
    ]
    deviation = np.sqrt(11 / 12 * np.square(without - np.mean(without)).sum())
    for rows in (1024, 5):
        monkeypatch.setattr(kernel, "_CHUNK_ROWS", rows)
        value, interval = kernel_distance_interval(real=real, fake=fake)
        assert value == pytest.approx(kernel_distance(real=real, fake=fake), rel=1e-12)
        assert interval.high - value == pytest.approx(stats.t.ppf(0.975, 11) * deviation, rel=1e-9)
        assert value - interval.low == pytest.approx(interval.high - value, rel=1e-9)


def test_the_interval_holds_the_true_distance_as_often_as_it_says() -> None:
    """The estimate is unbiased, so the mean of many is the truth."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(300):
        real = rng.normal(size=(80, 16))
        fake = 0.4 + 0.7 * real + 0.7 * rng.normal(size=(80, 16))
        found.append(kernel_distance_interval(real=real, fake=fake))
    truth = float(np.mean([value for value, _ in found]))
    assert 0.91 <= np.mean([truth in interval for _, interval in found]) <= 0.98


def test_pairs_need_equal_sizes() -> None:
    with pytest.raises(ValueError, match="as many real as fake samples, got 9 and 8"):
        kernel_distance_interval(real=np.zeros((9, 2)), fake=np.zeros((8, 2)))
