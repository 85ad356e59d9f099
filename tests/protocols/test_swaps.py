"""Swap protocols: z decides (sensitivity 0), the background decides (left out), the data must be factorial."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from anonbench.crops import PersonCrops, composite
from anonbench.errors import UsageError
from anonbench.protocols import background_swap, pose_swap
from anonbench.protocols.swaps import swap_pairs
from tests.protocols.conftest import context
from tests.protocols.toys import (
    BackgroundPainter,
    LatentPainter,
    PixelDistance,
    ToyDataset,
    Untouched,
    cells_per_row,
    factorial,
    market_like,
)


@pytest.fixture(autouse=True)
def a_patch_per_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """The toy's surface numbers its rows."""
    monkeypatch.setattr("anonbench.protocols.surface_pairs.template_patches", cells_per_row)


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
    measured = {key.split(".")[1] for key in metrics}
    regions = {f"surface_same_{region}" for region in ("head", "torso", "legs")}
    assert measured == {"surface_same", "surface_shared", "surface_unscored", "reid_same"} | regions
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


class LegsIgnoreTheLatent(LatentPainter):
    """z decides the upper body; the legs have the colour of the background."""

    def anonymize(self, crops: PersonCrops, latents: Tensor | None = None, truncation: float = 1.0) -> Tensor:
        painted = super().anonymize(crops, latents, truncation)
        legs = crops.person_mask.clone()
        legs[:, :, :10] = False
        return composite(painted, crops.image[:, :, :1, :1].expand_as(painted), legs)


def test_regions_show_which_part_of_the_body_is_inconsistent() -> None:
    metrics = background_swap.measure(context(LegsIgnoreTheLatent(), ToyDataset(factorial()))).metrics
    assert metrics["background_swap.surface_ratio_head.template"].value == 0
    assert metrics["background_swap.surface_ratio_torso.template"].value == 0
    assert metrics["background_swap.surface_same_legs.template"].value > 0.1
    assert metrics["background_swap.surface_auc_legs.template"].value == pytest.approx(0.5, abs=0.02)
    assert "background_swap.surface_ratio_arms.template" not in metrics, "nobody shows an arm"


def test_the_shared_surface_and_the_pairs_left_out_are_told() -> None:
    class TurnedAway(ToyDataset):
        """The last pose shows another side of the body than the others."""

        def load(self, indices: Sequence[int]) -> PersonCrops:
            crops = super().load(indices)
            away = torch.tensor(self.samples["pose"].iloc[list(indices)].to_numpy() == 2)
            shown = torch.where(crops.surface >= 0, 0, -1).to(torch.int32)
            return replace(crops, surface=torch.where(away[:, None, None], shown, crops.surface))

    metrics = pose_swap.measure(context(LatentPainter(), TurnedAway(factorial()))).metrics
    assert metrics["pose_swap.surface_unscored.template"].value == pytest.approx(200 / 3)
    assert metrics["pose_swap.surface_shared.template"].value == pytest.approx(12 / 3)
    assert metrics["pose_swap.surface_same.template"].n == len(swap_pairs(factorial(), "pose").first) / 3


def test_the_background_is_not_seen_by_a_network_that_looks_around_each_pixel() -> None:
    class Blurry(PixelDistance):
        """A network whose distance at a pixel sees its neighbours."""

        def distance_map(self, a: Tensor, b: Tensor) -> Tensor:
            return avg_pool2d(super().distance_map(a, b), 5, stride=1, padding=2)

    run = context(Untouched(), ToyDataset(factorial()))
    metrics = background_swap.measure(replace(run, perceptual=(Blurry(),))).metrics  # type: ignore[arg-type]
    assert metrics["background_swap.perceptual_same.pixels"].value == 0


def test_an_auc_has_an_interval_over_persons() -> None:
    metric = background_swap.measure(context(LegsIgnoreTheLatent(), ToyDataset(factorial()))).metrics[
        "background_swap.surface_auc.template"
    ]
    assert metric.interval is not None
    assert metric.interval[0] <= metric.value <= metric.interval[1]
