import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from anonbench.metrics.frechet import frechet_distance_of_features
from anonbench.metrics.uncertainty import (
    Interval,
    bootstrap_mean,
    bootstrap_over_groups,
    holm,
    p_from_intervals,
    p_from_seeds,
    seed_spread,
    subsample_interval,
    tied,
    wilson,
)

p_lists = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def test_interval_of_a_mean_is_that_of_normal_theory() -> None:
    values = np.random.default_rng(0).normal(3, 2, 2000)
    interval = bootstrap_mean(values)
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert interval.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    covered = [
        0.0 in bootstrap_mean(rng.normal(size=60), resamples=300, confidence=0.8, seed=i) for i in range(300)
    ]
    assert np.mean(covered) == pytest.approx(0.8, abs=0.07)


def test_alike_queries_of_one_person_widen_the_interval() -> None:
    person = np.repeat(np.arange(30), 20)
    values = np.random.default_rng(0).random(30)[person]
    by_person, by_query = bootstrap_over_groups(values, person), bootstrap_mean(values)
    assert (by_person.high - by_person.low) > 3 * (by_query.high - by_query.low)


def test_persons_with_more_queries_weigh_more() -> None:
    values, person = np.array([1.0] * 90 + [0.0] * 10), np.array([1] * 90 + [2] * 10)
    interval = bootstrap_over_groups(values, person)
    assert (interval.low, interval.high) == (0.0, 1.0)
    assert values.mean() in interval


def test_unscored_values_are_left_out() -> None:
    values, person = np.array([0.2, np.nan, 0.4, 0.9, np.nan]), np.array([1, 1, 2, 3, 4])
    kept = ~np.isnan(values)
    assert bootstrap_over_groups(values, person) == bootstrap_over_groups(values[kept], person[kept])


def test_a_seed_repeats_the_interval_and_names_of_groups_do_not_matter() -> None:
    values, person = np.random.default_rng(0).random(50), np.repeat(np.arange(10), 5)
    assert bootstrap_over_groups(values, person, seed=7) == bootstrap_over_groups(values, person, seed=7)
    assert bootstrap_over_groups(values, person, seed=7) != bootstrap_over_groups(values, person, seed=8)
    named = np.array([f"person {p}" for p in person])
    assert bootstrap_over_groups(values, named, seed=7) == bootstrap_over_groups(values, person, seed=7)


def test_one_person_has_no_interval_and_no_value_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least 2 groups"):
        bootstrap_over_groups([0.1, 0.2], [5, 5])
    with pytest.raises(ValueError, match="no sample left"):
        bootstrap_mean([])
    with pytest.raises(ValueError, match="no sample left"):
        bootstrap_mean([np.nan, np.nan])
    with pytest.raises(ValueError, match="hold infinity"):
        bootstrap_mean([np.inf, 1.0])
    with pytest.raises(ValueError, match="every value needs a group"):
        bootstrap_over_groups([0.1, 0.2], [5])


@pytest.mark.parametrize("fraction", [0.25, 0.5, 0.8])
def test_subsampling_gives_the_interval_of_a_mean_at_every_fraction(fraction: float) -> None:
    values = np.random.default_rng(0).normal(size=400)
    interval = subsample_interval(lambda i: float(values[i].mean()), 400, fraction=fraction, resamples=2000)
    half = 1.96 * values.std() / np.sqrt(400)
    assert interval.high - interval.low == pytest.approx(2 * half, rel=0.1)
    assert values.mean() in interval


def test_subsampling_centres_a_frechet_distance_at_its_own_n_where_a_bootstrap_drifts_off() -> None:
    rng = np.random.default_rng(0)
    real, fake = rng.normal(size=(200, 40)), rng.normal(size=(200, 40))

    def distance(index: np.ndarray) -> float:
        return frechet_distance_of_features(real=real[index], fake=fake[index])

    value = distance(np.arange(200))
    assert value in subsample_interval(distance, 200, resamples=40)
    with_duplicates = [distance(rng.integers(0, 200, 200)) for _ in range(40)]
    assert min(with_duplicates) > value


def test_subsampling_finds_the_true_spread_of_a_frechet_distance() -> None:
    def draw(seed: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(seed)
        return rng.normal(size=(300, 10)), 0.5 + rng.normal(size=(300, 10))

    true_spread = np.std([frechet_distance_of_features(real=r, fake=f) for r, f in map(draw, range(300))])

    def estimate(seed: int) -> float:
        real, fake = draw(seed)
        interval = subsample_interval(
            lambda i: frechet_distance_of_features(real=real[i], fake=fake[i]), 300, resamples=30
        )
        return (interval.high - interval.low) / 2 / float(stats.t.ppf(0.975, 29))

    assert np.mean([estimate(seed) for seed in range(20)]) == pytest.approx(true_spread, rel=0.15)


def test_subsampling_repeats_with_its_seed_and_refuses_a_fraction_that_leaves_nothing() -> None:
    values = np.random.default_rng(0).normal(size=50)
    first, again = (subsample_interval(lambda i: float(values[i].mean()), 50, seed=3) for _ in range(2))
    assert first == again
    for fraction in (1.0, 0.01):
        with pytest.raises(ValueError, match="subsamples must hold 2 to n - 1 of n=50"):
            subsample_interval(lambda i: 0.0, 50, fraction=fraction)


def test_holm_by_hand() -> None:
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])


@given(p_lists)
def test_holm_keeps_the_order_and_only_raises(p: list[float]) -> None:
    adjusted = holm(p)
    assert (adjusted >= np.array(p)).all()
    assert (adjusted <= 1).all()
    assert (adjusted <= np.minimum(1.0, len(p) * np.array(p)) + 1e-12).all()
    order = np.argsort(p, kind="stable")
    assert (np.diff(adjusted[order]) >= 0).all()


@pytest.mark.parametrize("bad", [[], [-0.1], [1.1], [math.nan]])
def test_holm_refuses_what_is_no_p_value(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="list of p values"):
        holm(bad)


def test_two_estimates_far_outside_each_others_intervals_differ() -> None:
    a, b = Interval(9.0, 11.0), Interval(9.0 + 2.0 * np.sqrt(2), 11.0 + 2.0 * np.sqrt(2))
    assert p_from_intervals(10.0, a, 10.0, a) == 1.0
    # Apart by twice the combined half width: four standard errors.
    assert p_from_intervals(10.0, a, 10.0 + 2 * np.sqrt(2), b) == pytest.approx(
        2 * stats.norm.sf(2 * stats.norm.ppf(0.975))
    )
    assert p_from_intervals(1.0, Interval(1.0, 1.0), 2.0, Interval(2.0, 2.0)) == 0.0


def test_seeds_are_compared_by_their_scatter() -> None:
    assert p_from_seeds([1.0, 2.0, 3.0], [1.5, 2.5, 3.5]) == pytest.approx(
        stats.ttest_ind([1, 2, 3], [1.5, 2.5, 3.5]).pvalue
    )
    assert p_from_seeds([1.0, 1.0], [1.0, 1.0]) == 1.0
    assert p_from_seeds([1.0, 1.0], [2.0, 2.0]) == 0.0
    with pytest.raises(ValueError, match="2 of each"):
        p_from_seeds([1.0], [1.0, 2.0])


def test_wilson_agrees_with_its_closed_form_and_stays_in_range() -> None:
    k, n, z = 724, 1000, stats.norm.ppf(0.975)
    centre, half = k / n + z**2 / (2 * n), z * np.sqrt(k / n * (1 - k / n) / n + z**2 / (4 * n**2))
    interval = wilson(k, n)
    assert interval.low == pytest.approx((centre - half) / (1 + z**2 / n))
    assert interval.high == pytest.approx((centre + half) / (1 + z**2 / n))
    assert wilson(0, 5).low == 0.0
    assert 0 < wilson(0, 5).high < 1
    for successes, total in [(0, 0), (6, 5), (-1, 5)]:
        with pytest.raises(ValueError, match=r"no interval|successes must be"):
            wilson(successes, total)


def test_seed_spread_reports_mean_deviation_and_range() -> None:
    spread = seed_spread([1.0, 2.0, 6.0])
    assert (spread.mean, spread.low, spread.high) == (3.0, 1.0, 6.0)
    assert spread.deviation == pytest.approx(np.std([1, 2, 6], ddof=1))
    assert math.isnan(seed_spread([1.0]).deviation)
    for bad in ([], [math.nan]):
        with pytest.raises(ValueError, match="finite values"):
            seed_spread(bad)


def test_differences_inside_the_seed_spread_are_ties() -> None:
    assert tied([0.2274, 0.2280], [0.2273, 0.2275])
    assert not tied([0.32, 0.35], [0.04, 0.05])
