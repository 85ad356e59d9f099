import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from anonbench.metrics.frechet import (
    GaussianStats,
    Moments,
    frechet_at_infinity,
    frechet_distance,
    frechet_distance_of_features,
    gaussian_stats,
    gaussian_stats_of_batches,
)


def gaussian(mean: list[float], deviations: list[float]) -> GaussianStats:
    return GaussianStats(np.array(mean), np.diag(np.square(deviations)), n=1000)


def features(n: int, d: int, seed: int, scale: float = 1.0) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    return scale * rng.normal(size=(n, d)) @ rng.normal(size=(d, d))


def test_shifted_gaussians_are_apart_by_the_squared_shift() -> None:
    real, fake = gaussian([0, 0], [1, 2]), gaussian([3, 4], [1, 2])
    assert frechet_distance(real=real, fake=fake) == pytest.approx(25.0)


def test_scaled_gaussians_are_apart_by_the_squared_differences_of_deviation() -> None:
    real, fake = gaussian([0, 0, 0], [1, 2, 3]), gaussian([0, 0, 0], [4, 2, 1])
    assert frechet_distance(real=real, fake=fake) == pytest.approx(9 + 0 + 4)


def test_covariances_that_do_not_commute_match_the_two_by_two_closed_form() -> None:
    # For 2 x 2 matrices Tr((AB)^1/2) = sqrt(Tr(AB) + 2 sqrt(det(AB))).
    a, b = np.array([[2.0, 1.0], [1.0, 3.0]]), np.array([[1.0, -0.5], [-0.5, 4.0]])
    root_trace = np.sqrt(np.trace(a @ b) + 2 * np.sqrt(np.linalg.det(a @ b)))
    real, fake = GaussianStats(np.zeros(2), a, 10), GaussianStats(np.zeros(2), b, 10)
    expected = np.trace(a) + np.trace(b) - 2 * root_trace
    assert frechet_distance(real=real, fake=fake) == pytest.approx(expected)


def test_large_samples_approach_the_distance_of_their_distributions() -> None:
    rng = np.random.default_rng(0)
    real, fake = rng.normal(0, 1, (50_000, 3)), rng.normal(1, 2, (50_000, 3))
    assert frechet_distance_of_features(real=real, fake=fake) == pytest.approx(3 * (1 + 1), rel=0.02)


def test_statistics_are_those_of_numpy_with_divisor_n_minus_1() -> None:
    x = features(40, 6, seed=1)
    stats = gaussian_stats(x)
    np.testing.assert_allclose(stats.mean, x.mean(axis=0))
    np.testing.assert_allclose(stats.covariance, np.cov(x, rowvar=False))
    assert (stats.n, stats.rank_deficient) == (40, False)
    assert gaussian_stats(x[:6]).rank_deficient


@pytest.mark.parametrize(("n_real", "n_fake"), [(100, 90), (100, 10), (12, 90), (12, 9)])
def test_features_and_statistics_give_one_distance_at_every_rank(n_real: int, n_fake: int) -> None:
    real, fake = features(n_real, 30, seed=1), features(n_fake, 30, seed=2)
    from_stats = frechet_distance(real=gaussian_stats(real), fake=gaussian_stats(fake))
    assert frechet_distance_of_features(real=real, fake=fake) == pytest.approx(from_stats, rel=1e-9)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(2, 30), st.integers(2, 30), st.integers(1, 12))
def test_distance_is_symmetric_and_never_negative(seed: int, n: int, m: int, d: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = gaussian_stats(rng.normal(size=(n, d))), gaussian_stats(3 * rng.normal(size=(m, d)))
    there, back = frechet_distance(real=a, fake=b), frechet_distance(real=b, fake=a)
    assert there >= 0
    assert there == pytest.approx(back, rel=1e-7, abs=1e-9)


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 10))
def test_scaling_all_features_scales_the_distance_by_the_square(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    real, fake = rng.normal(size=(20, 4)), 1 + rng.normal(size=(25, 4))
    scaled = frechet_distance_of_features(real=scale * real, fake=scale * fake)
    assert scaled == pytest.approx(scale**2 * frechet_distance_of_features(real=real, fake=fake), rel=1e-6)


def test_a_constant_generator_is_as_far_as_the_spread_it_lost() -> None:
    real = features(500, 8, seed=1)
    fake = np.repeat(real.mean(axis=0)[None], 100, axis=0)
    lost = np.trace(gaussian_stats(real).covariance)
    assert frechet_distance_of_features(real=real, fake=fake) == pytest.approx(lost)
    assert frechet_distance(real=gaussian_stats(real), fake=gaussian_stats(fake)) == pytest.approx(lost)


def test_dead_and_nearly_dead_dimensions_cost_no_digit_that_anybody_reads() -> None:
    # As after a ReLU: the spectrum falls over 12 decades, some dimensions are constant, some are copies.
    rng = np.random.default_rng(0)
    basis = rng.normal(size=(120, 120)) * np.logspace(0, -6, 120)[:, None]
    real, fake = rng.normal(size=(400, 120)) @ basis, 1.1 * rng.normal(size=(300, 120)) @ basis
    for x in (real, fake):
        x[:, :20], x[:, 20:25] = 3.0, x[:, 25:30]
    stats_real, stats_fake = gaussian_stats(real), gaussian_stats(fake)
    # Singular values of the triangular factors of the centred samples never square the condition number.
    r_real, r_fake = (
        np.linalg.qr((x - x.mean(axis=0)) / np.sqrt(len(x) - 1), mode="r") for x in (real, fake)
    )
    root_trace = np.linalg.svd(r_real @ r_fake.T, compute_uv=False).sum()
    shift = stats_real.mean - stats_fake.mean
    expected = shift @ shift + np.trace(stats_real.covariance + stats_fake.covariance) - 2 * root_trace
    assert frechet_distance(real=stats_real, fake=stats_fake) == pytest.approx(expected, rel=1e-6)


def test_one_sample_has_no_covariance() -> None:
    with pytest.raises(ValueError, match="at least 2 samples, got 1"):
        gaussian_stats(np.zeros((1, 4)))
    with pytest.raises(ValueError, match="at least 2 samples, got 1"):
        GaussianStats(np.zeros(4), np.eye(4), n=1)


def test_statistics_of_two_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        GaussianStats(np.zeros(4), np.eye(3), n=10)


def test_extrapolation_removes_the_bias_of_few_fake_samples() -> None:
    rng = np.random.default_rng(0)
    real, fake = rng.normal(size=(40_000, 32)), rng.normal(size=(1_500, 32))
    at_n = frechet_distance_of_features(real=real, fake=fake)
    at_infinity, slope = frechet_at_infinity(real=real, fake=fake, generator_seed=0)
    assert abs(at_infinity) < 0.25 * at_n
    assert slope > 0


def test_extrapolation_is_repeatable_and_needs_sizes_to_fit() -> None:
    real, fake = features(200, 5, seed=1), features(100, 5, seed=2)
    first, again = (frechet_at_infinity(real=real, fake=fake, generator_seed=3) for _ in range(2))
    assert first == again
    with pytest.raises(ValueError, match="at least 3 subset sizes"):
        frechet_at_infinity(real=real, fake=fake[:3], generator_seed=0)


@pytest.mark.parametrize("d", [24, 64])
def test_extrapolation_finds_the_true_distance_from_eight_samples_per_dimension(d: int) -> None:
    """What lets the fid protocol give it from there on; the value at n is a third too large."""
    rng = np.random.default_rng(0)
    n = 8 * d
    spread = np.linspace(0.5, 1.5, d)
    truth = d * 0.1**2 + np.square(spread - 1).sum()
    real = rng.normal(size=(40_000, d))
    at_n, at_infinity = [], []
    for seed in range(8):
        fake = 0.1 + rng.normal(size=(n, d)) * spread
        at_n.append(frechet_distance_of_features(real=real, fake=fake))
        at_infinity.append(frechet_at_infinity(real=real, fake=fake, generator_seed=seed)[0])
    assert np.mean(at_n) > 1.3 * truth
    assert np.mean(at_infinity) == pytest.approx(truth, rel=0.06)


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(1, 9), min_size=2, max_size=6))
def test_batches_in_any_order_give_the_statistics_of_the_whole(seed: int, sizes: list[int]) -> None:
    rng = np.random.default_rng(seed)
    batches = [1000 + rng.normal(size=(size, 5)) for size in sizes]
    whole = gaussian_stats(np.concatenate(batches))
    rng.shuffle(batches)
    streamed = gaussian_stats_of_batches(iter(batches))
    assert streamed.n == whole.n
    np.testing.assert_allclose(streamed.mean, whole.mean, rtol=1e-13)
    np.testing.assert_allclose(streamed.covariance, whole.covariance, rtol=1e-9, atol=1e-10)


def test_shards_merge_in_either_order() -> None:
    left, right = Moments.of(features(40, 6, seed=1)), Moments.of(features(1, 6, seed=2))
    for merged in (left.merged(right).stats(), right.merged(left).stats()):
        whole = gaussian_stats(np.concatenate([features(40, 6, seed=1), features(1, 6, seed=2)]))
        np.testing.assert_allclose(merged.covariance, whole.covariance, rtol=1e-10)


def test_a_large_offset_costs_no_digits() -> None:
    """Sums of squares in float32 would leave a covariance of noise, with negative eigenvalues."""
    x = features(500, 8, seed=1)
    shifted = gaussian_stats_of_batches(np.array_split(x + 1e4, 9))
    np.testing.assert_allclose(shifted.covariance, gaussian_stats(x).covariance, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(("n", "d"), [(300, 20), (40, 100), (60, 60)])
def test_a_set_is_at_exactly_no_distance_from_itself_in_any_form_order_and_batches(n: int, d: int) -> None:
    x = np.maximum(features(n, d, seed=1), 0)
    shuffled = np.random.default_rng(0).permutation(x)
    stats, streamed = gaussian_stats(x), gaussian_stats_of_batches(np.array_split(shuffled, 7))
    assert frechet_distance_of_features(real=x, fake=x) == 0
    assert frechet_distance_of_features(real=x, fake=shuffled) == 0
    assert frechet_distance(real=stats, fake=stats) == 0
    assert frechet_distance(real=stats, fake=streamed) == 0


def test_a_tiny_difference_is_not_taken_for_rounding() -> None:
    x = features(300, 20, seed=1)
    assert frechet_distance_of_features(real=x, fake=x + 1e-5) == pytest.approx(20 * 1e-10, rel=1e-2)


def test_moments_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(ValueError, match="one extractor, got 4 and 5 dimensions"):
        Moments.of(features(9, 4, seed=1)).merged(Moments.of(features(9, 5, seed=1)))
    with pytest.raises(ValueError, match="at least 2 samples, got 0"):
        gaussian_stats_of_batches([])
    with pytest.raises(ValueError, match="at least 2 samples, got 1"):
        gaussian_stats_of_batches([features(1, 4, seed=1)])
