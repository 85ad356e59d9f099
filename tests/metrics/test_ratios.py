"""Ratios of means with an interval over persons."""

import numpy as np
import pytest
from numpy.typing import NDArray

from anonbench.metrics.ratios import Ratio, ratio_over_groups

Floats = NDArray[np.float64]


def ratio(numerator: Floats, denominator: Floats) -> Ratio:
    """The ratio where every sample is a group of its own."""
    labels = np.arange(len(numerator))
    result = ratio_over_groups(numerator, labels, denominator, labels)
    assert result is not None
    return result


def test_the_value_is_the_ratio_of_the_means() -> None:
    result = ratio_over_groups([1.0, 3.0, 2.0], [0, 0, 1], [4.0, 4.0], [0, 1])
    assert result is not None
    assert result.value == pytest.approx(2.0 / 4.0)


def test_equal_groups_leave_no_uncertainty() -> None:
    result = ratio_over_groups([1.0] * 6, [0, 0, 1, 1, 2, 2], [2.0] * 3, [0, 1, 2])
    assert result is not None
    assert (result.interval.low, result.interval.high) == (0.5, 0.5)


def test_interval_holds_the_value_and_agrees_with_the_delta_method() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random(500), 1 + rng.random(500)
    result = ratio(a, b)
    deviation = (a - result.value * b).std() / b.mean() / np.sqrt(500)
    assert result.value in result.interval
    assert result.interval.high - result.interval.low == pytest.approx(2 * 1.96 * deviation, rel=0.1)


def test_nan_samples_and_groups_without_a_partner_are_left_out() -> None:
    result = ratio_over_groups([1.0, np.nan, 9.0, 1.0], [0, 0, 5, 1], [2.0, 2.0, 7.0], [0, 1, 6])
    assert result is not None
    assert result.value == pytest.approx(0.5)


def test_sensitivity_grows_from_latent_decides_to_input_decides() -> None:
    rng = np.random.default_rng(0)
    latent, factor = rng.normal(size=(400, 8)), rng.normal(size=(400, 8))

    def person(weight: float, latent: Floats, factor: Floats) -> Floats:
        return (1 - weight) * latent + weight * factor

    def sensitivity(weight: float) -> float:
        plain = person(weight, latent, factor)
        other_factor = person(weight, latent, np.roll(factor, 1, axis=0))
        other_latent = person(weight, np.roll(latent, 1, axis=0), factor)
        return ratio(
            np.abs(plain - other_factor).mean(axis=1), np.abs(plain - other_latent).mean(axis=1)
        ).value

    ratios = [sensitivity(weight) for weight in (0.0, 0.2, 0.5, 0.8)]
    assert ratios[0] == 0.0
    assert ratios == sorted(ratios)
    assert ratios[2] == pytest.approx(1.0, rel=0.1)


def test_a_constant_generator_has_no_sensitivity_rather_than_a_perfect_one() -> None:
    assert ratio_over_groups([0.0, 0.0], [1, 2], [0.0, 0.0], [1, 2]) is None


def test_a_ratio_without_two_shared_groups_is_an_error() -> None:
    with pytest.raises(ValueError, match="2 groups with a value in both, found 1"):
        ratio_over_groups([1.0, 2.0], [1, 2], [1.0], [1])
    with pytest.raises(ValueError, match="no sample left"):
        ratio_over_groups([np.nan], [1], [1.0], [1])
    with pytest.raises(ValueError, match="every value needs a group"):
        ratio_over_groups([1.0], [1, 2], [1.0], [1])
