"""Swap protocols: z decides (sensitivity 0), the background decides (left out), the data must be factorial."""

import pytest

from anonbench.errors import UsageError
from anonbench.protocols import background_swap, pose_swap
from anonbench.protocols.swaps import swap_pairs
from tests.protocols.conftest import context
from tests.protocols.toys import (
    BackgroundPainter,
    LatentPainter,
    ToyDataset,
    Untouched,
    factorial,
    market_like,
)


@pytest.fixture(autouse=True)
def a_patch_per_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """The toy's surface numbers its rows."""
    import torch

    monkeypatch.setattr("anonbench.protocols.swaps.patches", lambda count: torch.arange(count))
    monkeypatch.setattr("anonbench.protocols.swaps.LEAST_SHARED", 4)


def test_pairs_differ_in_the_swapped_factor_alone() -> None:
    samples = factorial()
    pairs = swap_pairs(samples, "pose")
    first, second = samples.iloc[pairs.first], samples.iloc[pairs.second]
    for factor in ("identity", "background"):
        assert (first[factor].to_numpy() == second[factor].to_numpy()).all()
    assert (first["pose"].to_numpy() != second["pose"].to_numpy()).all()
    assert len(pairs.first) == 4 * 3 * 3
    following = samples.iloc[pairs.next_second]
    assert ((following["identity"].to_numpy() - second["identity"].to_numpy()) % 4 == 1).all()


def test_a_model_whose_latent_decides_everything_has_no_sensitivity_to_the_background() -> None:
    metrics = background_swap.measure(context(LatentPainter(), ToyDataset(factorial()))).metrics
    assert metrics["background_swap.sensitivity.pixels"].value == 0
    assert metrics["background_swap.perceptual_same.pixels"].value == 0
    assert metrics["background_swap.perceptual_auc.pixels"].value > 0.95
    assert metrics["background_swap.perceptual_latent.pixels"].value > 0.05


def test_a_model_that_ignores_its_latent_gets_no_flattering_ratio() -> None:
    metrics = background_swap.measure(context(BackgroundPainter(), ToyDataset(factorial()))).metrics
    assert "background_swap.sensitivity.pixels" not in metrics
    assert metrics["background_swap.perceptual_latent.pixels"].value == 0
    assert metrics["background_swap.perceptual_auc.pixels"].value == 0.5


def test_poses_are_compared_over_the_surface_and_by_re_id() -> None:
    metrics = pose_swap.measure(context(LatentPainter(), ToyDataset(factorial()))).metrics
    assert metrics["pose_swap.surface_same.template"].value == 0
    assert metrics["pose_swap.surface_auc.template"].value > 0.95
    assert metrics["pose_swap.sensitivity.template"].value == 0
    assert metrics["pose_swap.reid_same.person_colour"].value == pytest.approx(0, abs=1e-6)


def test_without_latents_only_the_swapped_factor_can_be_measured() -> None:
    metrics = pose_swap.measure(context(Untouched(), ToyDataset(factorial()))).metrics
    assert set(metrics) == {"pose_swap.surface_same.template", "pose_swap.reid_same.person_colour"}
    assert metrics["pose_swap.surface_same.template"].value == 0


def test_the_ceiling_is_that_of_the_untouched_images() -> None:
    metrics = pose_swap.measure(context(LatentPainter(), ToyDataset(factorial()))).metrics
    assert metrics["pose_swap.surface_ratio.template"].ceiling == 0
    assert metrics["pose_swap.surface_auc.template"].ceiling == 1
    different = metrics["pose_swap.surface_different.template"].ceiling
    assert different is not None
    assert different > 0.05


def test_strips_show_t0_and_t1_beside_the_originals() -> None:
    strips = pose_swap.measure(context(LatentPainter(), ToyDataset(factorial()))).strips
    assert set(strips) == {"pose_swap.original", "pose_swap.t0", "pose_swap.t1"}
    middle = strips["pose_swap.t0"][:, :, 8, 4]
    assert (middle == 128).all()


@pytest.mark.parametrize("protocol", [pose_swap, background_swap])
def test_data_that_is_not_factorial_is_a_usage_error(protocol: object) -> None:
    with pytest.raises(UsageError, match="synthetic"):
        protocol.measure(context(LatentPainter(), ToyDataset(market_like())))  # type: ignore[attr-defined]


def test_an_incomplete_factorial_is_refused() -> None:
    with pytest.raises(UsageError, match="35"):
        swap_pairs(factorial().iloc[:-1].reset_index(drop=True), "pose")
