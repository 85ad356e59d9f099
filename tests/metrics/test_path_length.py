"""Path lengths: tails are left out as in StyleGAN's code, medians keep to the middle."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anonbench.metrics.path_length import median_over_groups, within_tails


def test_a_hundredth_at_either_end_is_left_out() -> None:
    values = np.arange(1000.0)
    kept = within_tails(values)
    low, high = np.percentile(values, 1, method="lower"), np.percentile(values, 99, method="higher")
    assert np.nanmin(kept) == low == 9
    assert np.nanmax(kept) == high == 990


def test_one_jump_does_not_make_the_mean() -> None:
    values = np.append(np.ones(400), 1e6)
    assert np.nanmean(within_tails(values)) == 1


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=60))
def test_the_median_is_the_lower_middle_value(values: list[float]) -> None:
    median, _ = median_over_groups(values, np.arange(len(values)), resamples=100)
    assert median == np.percentile(values, 50, method="lower")


def test_the_interval_of_a_median_holds_it_and_groups_are_drawn_as_wholes() -> None:
    rng = np.random.default_rng(0)
    person = rng.normal(size=50).repeat(20)
    values = person + rng.normal(0, 0.01, 1000)
    groups = np.arange(50).repeat(20)
    median, wide = median_over_groups(values, groups)
    _, narrow = median_over_groups(values, np.arange(1000))
    assert wide is not None
    assert narrow is not None
    assert median in wide
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_one_group_has_a_median_and_no_interval() -> None:
    assert median_over_groups([1.0, 2.0, np.nan], [7, 7, 7]) == (1.0, None)


def test_nothing_has_no_median() -> None:
    with pytest.raises(ValueError, match="all nan"):
        median_over_groups([np.nan], [0])
