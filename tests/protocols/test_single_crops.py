"""fid and lpips on toys."""

import numpy as np
import pytest

from anonbench.errors import DataError
from anonbench.protocols import fid, lpips
from tests.protocols.conftest import context
from tests.protocols.toys import BackgroundPainter, LatentPainter, ToyDataset, Untouched, market_like


def test_untouched_images_are_at_no_distance_from_themselves() -> None:
    metrics = fid.measure(context(Untouched(), ToyDataset(market_like()), kind="distribution")).metrics
    assert metrics["fid.value.person_colour"].value == pytest.approx(0, abs=1e-6)
    assert metrics["fid.coverage.person_colour"].value == 1
    assert metrics["fid.precision.person_colour"].value == 1


def test_the_floor_is_the_distance_to_other_real_crops_at_equal_n() -> None:
    from dataclasses import replace

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
