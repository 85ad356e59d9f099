"""Curves over a planted fault: noise, strength and resolution against closed forms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anonbench.metrics.validity import (
    Runs,
    divisions,
    dynamic_range,
    needed_strength,
    noise_exponent,
    order,
    resolve,
    strengths_at,
)

GROUPS, LEVELS = 400, np.array([0.0, 0.1, 0.2, 0.5, 1.0])
PERSON, LATENT = 3.0, 2.0
"""Standard deviations of what a person and what a draw add to a value."""


def runs_of_means(size: int, slope: float = 1.0, repeats: int = 30, seed: int = 0) -> Runs:
    """Benchmarks of a measure that is the mean over people of slope * level + person + draw."""
    rng = np.random.default_rng(seed)
    person = PERSON * rng.standard_normal(GROUPS)
    values = np.empty((repeats, GROUPS // size, 2, len(LEVELS)))
    for repeat, parts in enumerate(divisions(GROUPS, size, repeats, seed)):
        draw = LATENT * rng.standard_normal((2, GROUPS))
        per_person = person + draw
        for part, members in enumerate(parts):
            values[repeat, part] = per_person[:, members].mean(axis=1)[:, None] + slope * LEVELS
    return Runs(size, values)


@given(st.integers(2, 60), st.integers(1, 20), st.integers(0, 5))
def test_the_benchmarks_of_a_division_share_nobody(groups: int, size: int, seed: int) -> None:
    if groups // size < 2:
        with pytest.raises(ValueError, match="no two disjoint benchmarks"):
            list(divisions(groups, size, 1, seed))
        return
    first, second = divisions(groups, size, 2, seed)
    assert first.shape == second.shape == (groups // size, size)
    assert len(np.unique(first)) == first.size
    assert (np.diff(first, axis=1) > 0).all()
    assert np.array_equal(first, next(divisions(groups, size, 1, seed)))


def test_noise_is_that_of_a_mean_over_independent_people() -> None:
    expected = np.hypot(PERSON, LATENT) / np.sqrt(50)
    assert runs_of_means(50).deviations == pytest.approx(np.full(len(LEVELS), expected), rel=0.1)


def test_what_two_benchmarks_share_is_not_noise_of_their_difference() -> None:
    runs = runs_of_means(50)
    unpaired = np.sqrt(2 * (PERSON**2 + LATENT**2) / 50)
    paired = np.sqrt(2 * LATENT**2 / 50)
    assert runs.deviation_of_difference(0, 3, "unpaired") == pytest.approx(unpaired, rel=0.1)
    assert runs.deviation_of_difference(0, 3, "paired") == pytest.approx(paired, rel=0.1)
    assert runs.deviation_of_difference(0, 3, "coupled") == pytest.approx(0, abs=1e-9)


def test_half_of_the_people_give_unbiased_noise_without_a_correction_for_the_finite_population() -> None:
    found = [runs_of_means(200, repeats=100, seed=seed).deviations[0] for seed in range(6)]
    assert np.mean(found) == pytest.approx(np.hypot(PERSON, LATENT) / np.sqrt(200), rel=0.12)


def test_a_change_in_the_wrong_direction_has_a_negative_strength() -> None:
    runs = runs_of_means(50, slope=10)
    assert (runs.strengths(0, [1, 2, 3], "unpaired", 1) > 0).all()
    assert (runs.strengths(0, [1, 2, 3], "unpaired", -1) < 0).all()


def test_a_measure_that_never_moves_has_no_strength_and_no_range() -> None:
    constant = Runs(4, np.ones((3, 2, 2, 5)))
    assert constant.strengths(0, [1, 4], "coupled", 1).tolist() == [0, 0]
    assert np.isnan(dynamic_range(constant))
    assert not resolve([4], [[0.0, 0.0]], [0.1, 1.0], 4).extrapolated
    assert resolve([4], [[0.0, 0.0]], [0.1, 1.0], 1e6).smallest is None


def test_noise_falls_with_the_root_of_the_people() -> None:
    assert noise_exponent([runs_of_means(n) for n in (10, 25, 50, 100)], 0) == pytest.approx(-0.5, abs=0.1)


def test_the_needed_strength_is_the_textbook_one() -> None:
    assert needed_strength() == pytest.approx(1.959964 + 0.841621, abs=1e-5)


def test_a_difference_at_the_resolution_is_found_four_times_in_five() -> None:
    sizes, deviation = [25, 100], 0.7
    strengths = [[d * np.sqrt(n) / deviation for d in LEVELS[1:]] for n in sizes]
    found = resolve(sizes, strengths, LEVELS[1:], 50)
    assert found.smallest == pytest.approx(needed_strength() * deviation / np.sqrt(50))
    noise = deviation / np.sqrt(50)
    tests = np.random.default_rng(0).normal(found.smallest, noise, 20_000) / noise
    assert np.mean(np.abs(tests) > 1.959964) == pytest.approx(0.8, abs=0.01)


def test_beyond_the_simulated_sizes_a_resolution_is_marked() -> None:
    strengths = [[1.0, 2.0, 8.0], [2.0, 4.0, 16.0]]
    differences = [0.1, 0.2, 0.8]
    assert not resolve([10, 40], strengths, differences, 20).extrapolated
    larger = resolve([10, 40], strengths, differences, 160)
    assert larger.extrapolated
    assert larger.smallest == pytest.approx(0.1 * needed_strength() / 4, rel=0.01) or larger.bound
    assert strengths_at([10, 40], strengths, 160)[0] == pytest.approx([4, 8, 32])


def test_the_smallest_planted_difference_is_a_bound_and_the_largest_may_be_too_small() -> None:
    assert resolve([10], [[3.0, 9.0]], [0.1, 0.2], 10).bound
    assert resolve([10], [[3.0, 9.0]], [0.1, 0.2], 10).smallest == 0.1
    assert resolve([10], [[0.1, 0.2]], [0.1, 0.2], 10).smallest is None


def test_a_difference_counts_only_if_every_larger_one_is_resolved() -> None:
    assert resolve([10], [[9.0, 1.0, 9.0]], [0.1, 0.2, 0.4], 10).smallest > 0.2


def test_order_is_one_where_every_benchmark_agrees_and_none_for_noise() -> None:
    rising = Runs(5, np.broadcast_to(LEVELS, (4, 3, 2, len(LEVELS))).copy())
    assert order(rising, range(5), 1).tau == order(rising, range(5), 1).steps == 1
    assert order(rising, range(5), -1).tau == -1
    noise = Runs(5, np.random.default_rng(0).normal(size=(200, 4, 2, 5)))
    assert abs(order(noise, range(5), 1).tau) < 0.05
    low, high = order(noise, range(5), 1).interval
    assert low < -0.5 < 0.5 < high


def test_runs_that_cannot_tell_noise_are_refused() -> None:
    with pytest.raises(ValueError, match="K >= 2"):
        Runs(5, np.zeros((3, 1, 2, 4)))
    with pytest.raises(ValueError, match="larger benchmarks"):
        Runs(5, np.full((3, 2, 2, 4), np.nan))
    with pytest.raises(ValueError, match="ascend"):
        resolve([10], [[1.0, 2.0]], [0.2, 0.1], 10)
    with pytest.raises(ValueError, match="2 sizes"):
        noise_exponent([runs_of_means(50)], 0)
    with pytest.raises(ValueError, match="2 levels"):
        order(runs_of_means(50), [0], 1)
