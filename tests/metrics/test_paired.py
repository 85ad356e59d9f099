"""Differences between two models on the same samples."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from anonbench.metrics.paired import paired_bootstrap, paired_permutation, paired_t
from anonbench.metrics.uncertainty import Interval, bootstrap_mean


def test_pairing_finds_a_small_difference_between_widely_spread_samples() -> None:
    rng = np.random.default_rng(0)
    b = rng.normal(0, 10, 200)
    a = b + rng.normal(0.1, 0.2, 200)
    assert bootstrap_mean(a).overlaps(bootstrap_mean(b))
    assert 0.0 not in paired_bootstrap(a, b)
    assert paired_permutation(a, b) < 0.001


def test_the_difference_of_a_model_from_itself_is_nothing() -> None:
    a = np.random.default_rng(0).random(40)
    assert paired_bootstrap(a, a) == Interval(0.0, 0.0)
    assert paired_permutation(a, a) == 1.0


def test_permutation_tries_all_sign_flips_of_few_groups() -> None:
    # All five persons favour a: only the unflipped and the fully flipped of 32 are as extreme.
    a, b = np.arange(1.0, 11.0), np.zeros(10)
    assert paired_permutation(a, b, groups=np.repeat(np.arange(5), 2)) == pytest.approx(2 / 32)


def test_permutation_agrees_with_the_paired_t_test() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(0.25, 1, 80), rng.normal(0, 1, 80)
    assert paired_permutation(a, b) == pytest.approx(stats.ttest_rel(a, b).pvalue, abs=0.01)


def test_permutation_of_equal_models_is_uniform() -> None:
    rng = np.random.default_rng(0)
    p = [paired_permutation(rng.normal(size=30), rng.normal(size=30), resamples=199) for _ in range(200)]
    assert stats.kstest(p, "uniform").pvalue > 0.01


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_exchanging_the_models_mirrors_the_comparison(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.random(20), rng.random(20)
    there, back = paired_bootstrap(a, b, resamples=200), paired_bootstrap(b, a, resamples=200)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))
    assert paired_permutation(a, b, resamples=200) == pytest.approx(paired_permutation(b, a, resamples=200))


def test_ratios_are_compared_as_ratios_of_means() -> None:
    rng = np.random.default_rng(5)
    below = rng.uniform(1, 3, 40)
    a, b = 0.8 * below + rng.normal(0, 0.05, 40), 0.5 * below + rng.normal(0, 0.05, 40)
    interval = paired_bootstrap(a, b, over=(below, below))
    assert a.sum() / below.sum() - b.sum() / below.sum() in interval
    assert interval.low > 0.25
    assert paired_permutation(a, b, over=(below, below)) < 0.001
    # Twice the values over twice the divisors is the same ratio.
    assert paired_permutation(a, 2 * a, over=(below, 2 * below)) == 1.0


def test_a_ratio_over_ones_is_a_mean() -> None:
    rng = np.random.default_rng(6)
    a, b, groups = rng.normal(size=60), rng.normal(0.3, 1, 60), np.repeat(np.arange(20), 3)
    ones = (np.ones(60), np.ones(60))
    assert paired_permutation(a, b, groups, over=ones) == paired_permutation(a, b, groups)
    assert paired_bootstrap(a, b, groups, over=ones) == paired_bootstrap(a, b, groups)


def test_permutation_of_equal_ratios_with_few_people_rejects_as_often_as_it_says() -> None:
    rng = np.random.default_rng(7)
    p = [
        paired_permutation(*rng.uniform(1, 2, (2, 10)), over=tuple(rng.uniform(1, 2, (2, 10))))
        for _ in range(300)
    ]
    assert 0.01 < np.mean(np.array(p) <= 0.05) < 0.09


def test_a_sample_that_one_model_lacks_counts_in_neither() -> None:
    a, b = np.array([1.0, 2.0, np.nan, 4.0]), np.array([0.5, np.nan, 3.0, 3.0])
    assert paired_bootstrap(a, b) == paired_bootstrap(a[[0, 3]], b[[0, 3]])


def test_values_that_are_no_pairs_are_refused() -> None:
    with pytest.raises(ValueError, match="pairs need one value per sample"):
        paired_permutation([1.0, 2.0], [1.0])


def test_the_t_test_over_single_samples_is_the_paired_t_test() -> None:
    rng = np.random.default_rng(8)
    a, b = rng.normal(size=25), rng.normal(0.4, 1, 25)
    found, known = paired_t(a, b), stats.ttest_rel(a, b)
    assert found.p == pytest.approx(known.pvalue)
    assert found.interval().low == pytest.approx(known.confidence_interval().low)
    assert found.groups == 25


def test_the_t_test_over_groups_agrees_with_their_bootstrap() -> None:
    rng = np.random.default_rng(9)
    groups = np.repeat(np.arange(60), 4)
    person = rng.normal(0, 1, 60)[groups]
    below = rng.uniform(1, 2, 240)
    a, b = below + 0.2 * person + rng.normal(0, 0.1, 240), 0.9 * below
    boot = paired_bootstrap(a, b, groups, over=(below, below))
    student = paired_t(a, b, groups, over=(below, below)).interval()
    assert (student.low, student.high) == pytest.approx((boot.low, boot.high), abs=0.006)


def test_a_few_people_who_all_fall_far_are_found_where_their_swaps_cannot() -> None:
    rng = np.random.default_rng(10)
    a = rng.normal(60, 5, 8)
    b = a - rng.normal(40, 3, 8)
    assert paired_permutation(a, b) == pytest.approx(2 / 2**8)
    assert paired_t(a, b).p < 1e-6


def test_without_scatter_only_equal_models_are_equal() -> None:
    same = np.array([1.0, 2.0, 3.0])
    assert paired_t(same, same).p == 1.0
    assert paired_t(same, same - 1).p == 0.0
    with pytest.raises(ValueError, match="2 groups"):
        paired_t([1.0, 2.0], [1.0, 3.0], [0, 0])
