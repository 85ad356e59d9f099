"""Ratios of means with an interval over persons."""

import numpy as np
import pytest

from anonbench.metrics.ratios import ratio_over_groups


def test_the_value_is_the_ratio_of_the_means() -> None:
    ratio = ratio_over_groups([1.0, 3.0, 2.0], [0, 0, 1], [4.0, 4.0], [0, 1])
    assert ratio is not None
    assert ratio.value == pytest.approx(2.0 / 4.0)


def test_equal_groups_leave_no_uncertainty() -> None:
    ratio = ratio_over_groups([1.0] * 6, [0, 0, 1, 1, 2, 2], [2.0] * 3, [0, 1, 2])
    assert ratio is not None
    assert (ratio.interval.low, ratio.interval.high) == (0.5, 0.5)


def test_the_interval_holds_the_value_and_shrinks_with_groups() -> None:
    rng = np.random.default_rng(0)

    def width(groups: int) -> float:
        labels = np.repeat(np.arange(groups), 5)
        found = ratio_over_groups(
            rng.gamma(4, size=len(labels)), labels, rng.gamma(8, size=len(labels)), labels
        )
        assert found is not None
        assert found.value in found.interval
        return found.interval.high - found.interval.low

    assert width(400) < width(20)


def test_a_denominator_of_zero_has_no_ratio() -> None:
    assert ratio_over_groups([1.0, 1.0], [0, 1], [0.0, 0.0], [0, 1]) is None


def test_nan_samples_and_groups_without_a_partner_are_left_out() -> None:
    ratio = ratio_over_groups([1.0, np.nan, 9.0, 1.0], [0, 0, 5, 1], [2.0, 2.0, 7.0], [0, 1, 6])
    assert ratio is not None
    assert ratio.value == pytest.approx(0.5)


@pytest.mark.parametrize("numerator", [[np.nan, np.nan], [1.0]])
def test_nothing_to_average_is_an_error(numerator: list[float]) -> None:
    with pytest.raises(ValueError, match="group|nan"):
        ratio_over_groups(numerator, [0, 1], [1.0, 1.0], [0, 1])
