"""fid and lpips on toys."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from anonbench.cards import ModelCard
from anonbench.crops import PersonCrops, composite
from anonbench.errors import DataError
from anonbench.metrics.prdc import prdc
from anonbench.protocols import fid, lpips
from tests.protocols.conftest import context
from tests.protocols.toys import BackgroundPainter, LatentPainter, ToyDataset, Untouched, market_like


class Wide:
    """Features of more dimensions than there are crops."""

    name = digest = "wide"
    kind = "distribution"

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def features(self, images: Tensor) -> Tensor:
        return images.flatten(1)[:, : self.dim].float()


class OneColour(BackgroundPainter):
    """Everybody in one grey."""

    card = ModelCard(name="one_colour", kind="toy", description="")

    def anonymize(self, crops: PersonCrops, latents: Tensor | None = None, truncation: float = 1.0) -> Tensor:
        grey = torch.full_like(crops.image, 128)
        return composite(crops.image, grey, crops.person_mask)


def test_untouched_images_are_at_no_distance_from_themselves() -> None:
    metrics = fid.measure(context(Untouched(), ToyDataset(market_like()), kind="distribution")).metrics
    assert metrics["fid.value.person_colour"].value == pytest.approx(0, abs=1e-6)
    assert metrics["fid.coverage.person_colour"].value == 1
    assert metrics["fid.precision.person_colour"].value == 1


def test_the_floor_is_the_distance_to_other_real_crops_at_equal_n() -> None:
    from anonbench.metrics.frechet import frechet_distance_of_features
    from anonbench.protocols.crops import CropSource
    from anonbench.protocols.generation import original_images

    other = ToyDataset(market_like(24).iloc[48:].reset_index(drop=True), digest="other")
    reference = original_images(CropSource(other, lambda crops: crops, "none"))
    toy = context(BackgroundPainter(), ToyDataset(market_like()), kind="distribution")
    distance = fid.measure(replace(toy, reference=reference)).metrics["fid.value.person_colour"]
    features = [
        toy.extractors[0].features(images.batches()[0]) for images in (toy.generation.original(), reference)
    ]
    expected = frechet_distance_of_features(real=features[0], fake=features[1])
    assert distance.floor == pytest.approx(expected)
    coverage = fid.measure(replace(toy, reference=reference)).metrics["fid.coverage.person_colour"]
    assert coverage.floor == prdc(real=features[0], fake=features[1]).coverage
    assert distance.interval is not None
    assert distance.interval[0] <= distance.value <= distance.interval[1]
    assert fid.measure(toy).metrics["fid.value.person_colour"].floor is None


def test_a_mapper_that_reads_the_colour_reconstructs_the_distribution_too() -> None:
    metrics = fid.measure(context(LatentPainter(), ToyDataset(market_like()), kind="distribution")).metrics
    drawn, reconstructed = (metrics[f"fid.{name}.person_colour"] for name in ("value", "value_reconstructed"))
    assert reconstructed.value < 0.01 * drawn.value
    assert len(reconstructed.seeds) == 1
    without = fid.measure(
        context(BackgroundPainter(), ToyDataset(market_like()), kind="distribution")
    ).metrics
    assert "fid.value_reconstructed.person_colour" not in without


def test_too_few_crops_for_a_distribution_are_refused() -> None:
    with pytest.raises(DataError, match="at least 16"):
        fid.measure(context(Untouched(), ToyDataset(market_like(2, 4)), kind="distribution"))


def test_few_crops_for_the_dimension_are_noted_and_not_extrapolated() -> None:
    crops = ToyDataset(market_like())
    wide = replace(context(LatentPainter(), crops, "distribution"), extractors=(Wide(64),))  # type: ignore[arg-type]
    found = fid.measure(wide)
    assert "48 crops do not span its 64 dimensions" in " ".join(found.notes)
    assert "fid.value_at_infinity.wide" not in found.metrics
    narrow = fid.measure(context(LatentPainter(), crops, "distribution"))
    assert narrow.notes == ()
    assert {"fid.value_at_infinity.person_colour", "fid.value_slope.person_colour"} <= narrow.metrics.keys()


def test_real_images_in_the_place_of_anonymized_ones_are_noted() -> None:
    crops = ToyDataset(market_like())
    (note,) = fid.measure(context(Untouched(), crops, "distribution")).notes
    assert "untouched gave every crop back as it was" in note
    assert fid.measure(context(BackgroundPainter(), crops, "distribution")).notes == ()


def test_the_kernel_distance_has_an_interval_and_a_floor() -> None:
    kid = fid.measure(context(BackgroundPainter(), ToyDataset(market_like()), "distribution")).metrics[
        "fid.kid.person_colour"
    ]
    assert kid.interval is not None
    assert kid.interval[0] <= kid.value <= kid.interval[1]
    assert kid.floor is not None


def test_a_constant_output_is_told_by_recall_and_coverage() -> None:
    metrics = fid.measure(context(OneColour(), ToyDataset(market_like()), "distribution")).metrics
    assert metrics["fid.coverage.person_colour"].value < 0.3
    assert metrics["fid.recall.person_colour"].value < 0.1


@pytest.mark.parametrize("statistic", ["precision", "recall", "density", "coverage"])
def test_values_per_crop_average_to_the_metric(statistic: str) -> None:
    found = fid.measure(context(LatentPainter(), ToyDataset(market_like()), "distribution"))
    key = f"fid.{statistic}.person_colour"
    values = found.samples.loc[found.samples["metric"] == key, "value"]
    assert len(values) == 3 * 48
    assert np.mean(values) == pytest.approx(found.metrics[key].value)


def test_reconstruction_is_exact_for_a_mapper_that_reads_the_colour() -> None:
    metrics = lpips.measure(context(LatentPainter(), ToyDataset(market_like()))).metrics
    assert metrics["lpips.reconstructed.pixels"].value < 0.01
    assert metrics["lpips.diversity_masked.pixels"].value > 0.05
    assert metrics["lpips.random_masked.pixels"].value > metrics["lpips.random.pixels"].value


def test_the_whole_crop_value_is_the_masked_one_times_the_mask_area() -> None:
    metrics = lpips.measure(context(LatentPainter(), ToyDataset(market_like()))).metrics
    area = 12 * 4 / (16 * 8)
    masked = metrics["lpips.random_masked.pixels"].value
    assert metrics["lpips.random.pixels"].value == pytest.approx(area * masked, rel=1e-5)


def test_a_model_that_ignores_its_latent_has_no_diversity() -> None:
    metrics = lpips.measure(context(BackgroundPainter(), ToyDataset(market_like()))).metrics
    assert metrics["lpips.diversity.pixels"].value == 0
    assert "lpips.reconstructed.pixels" not in metrics


def test_per_sample_values_average_to_the_metric() -> None:
    found = lpips.measure(context(LatentPainter(), ToyDataset(market_like())))
    for key, metric in found.metrics.items():
        values = found.samples.loc[found.samples["metric"] == key, "value"]
        assert np.mean(values) == pytest.approx(metric.value)
