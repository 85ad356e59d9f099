"""Small steps: a constant output moves by 0, copied pixels by as much as the input, noise by far more."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from anonbench.anonymizers.registry import load_anonymizer
from anonbench.cards import ModelCard
from anonbench.crops import Outcome, PersonCrops, composite
from anonbench.errors import DataError, UnfitError
from anonbench.protocols import path_length
from anonbench.protocols.perturbations import flipped, grown_mask, shifted
from anonbench.protocols.registry import require_fit
from anonbench.records import Metric
from anonbench.resources import resource_dir
from tests.protocols.conftest import context
from tests.protocols.toys import (
    LatentPainter,
    ToyDataset,
    Untouched,
    cells_per_row,
    market_like,
)


@pytest.fixture(autouse=True)
def a_patch_per_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """The toy's surface numbers its rows."""
    monkeypatch.setattr("anonbench.protocols.surface_pairs.template_patches", cells_per_row)


class ToySteps(ToyDataset):
    """People whose colour changes a little with the pose, before a grey that changes a little by itself."""

    def __init__(self, persons: int = 8) -> None:
        rows = [
            {"key": f"{p}_{step}", "person_id": p, "camera_id": 0, "role": "", "step": step}
            for p in range(1, persons + 1) for step in ("", "pose", "background")
        ]  # fmt: skip
        super().__init__(pd.DataFrame(rows))

    def load(self, indices: Sequence[int]) -> PersonCrops:
        crops = super().load([index // 3 * 3 for index in indices])
        rows = self.samples.iloc[list(indices)]
        moved = torch.tensor((rows["step"] == "background").to_numpy())[:, None, None, None]
        turned = torch.tensor((rows["step"] == "pose").to_numpy())[:, None, None, None]
        image = crops.image.float() * 0.5 + 60
        image = image + torch.where(crops.person_mask, 9.0 * turned, 12.0 * moved)
        return replace(crops, image=image.to(torch.uint8), key=tuple(rows["key"]))


class Mixer(LatentPainter):
    """A share of the person is the background's colour, the rest is z's."""

    def __init__(self, share: float) -> None:
        self.share = share
        self.card = ModelCard(name=f"mixer_{round(100 * share)}", kind="toy", description="", latent_dim=3)

    def anonymize(self, crops: PersonCrops, latents: Tensor | None = None, truncation: float = 1.0) -> Tensor:
        assert latents is not None
        own = (128 + 20 * latents)[:, :, None, None]
        corner = crops.image[:, :, :1, :1].float()
        colour = (self.share * corner + (1 - self.share) * own).clamp(0, 255)
        return composite(crops.image, colour.to(torch.uint8).expand_as(crops.image), crops.person_mask)


class Constant(LatentPainter):
    """Everybody is grey, whatever z."""

    card = ModelCard(name="constant", kind="toy", description="", latent_dim=3)

    def anonymize(self, crops: PersonCrops, latents: Tensor | None = None, truncation: float = 1.0) -> Tensor:
        return composite(crops.image, torch.full_like(crops.image, 99), crops.person_mask)


class Noise(LatentPainter):
    """Another picture for the smallest change of the crop."""

    card = ModelCard(name="noise_painter", kind="toy", description="", latent_dim=3)

    def anonymize(self, crops: PersonCrops, latents: Tensor | None = None, truncation: float = 1.0) -> Tensor:
        drawn = [
            np.random.default_rng(int.from_bytes(hashlib.sha256(i.numpy().tobytes()).digest()[:8], "little"))
            for i in crops.image
        ]
        noise = np.stack([rng.integers(0, 256, crops.image.shape[1:], dtype=np.uint8) for rng in drawn])
        return composite(crops.image, torch.from_numpy(noise), crops.person_mask)


class Striped(LatentPainter):
    """Paints by the column of the crop: neither a shift nor a mirror image is followed."""

    card = ModelCard(name="striped", kind="toy", description="", latent_dim=3)

    def anonymize(self, crops: PersonCrops, latents: Tensor | None = None, truncation: float = 1.0) -> Tensor:
        stripes = (torch.arange(crops.size[1]) * 30).to(torch.uint8).expand_as(crops.image)
        return composite(crops.image, stripes, crops.person_mask)


def metrics_of(model: Any, dataset: ToyDataset | None = None) -> dict[str, Metric]:
    found = path_length.measure(context(model, dataset or ToySteps())).metrics
    return {key.removeprefix("path_length."): metric for key, metric in found.items()}


def test_a_constant_output_never_moves_and_has_no_sensitivity() -> None:
    metrics = metrics_of(Constant())
    for setting in ("pose", "background", "mask", "shift", "flip", "latent"):
        assert metrics[f"{setting}.perceptual_change.pixels"].value == 0
        assert f"{setting}.sensitivity.pixels" not in metrics
    assert metrics["latent.perceptual_diversity.pixels"].value == 0
    assert metrics["background.gain.pixels"].value == 0


def test_copied_pixels_move_as_the_real_person_does() -> None:
    metrics = metrics_of(Untouched())
    for name, way in (("perceptual", "pixels"), ("surface", "template")):
        assert metrics[f"pose.gain.{way}"].value == 1
        assert metrics[f"pose.{name}_change.{way}"].value == pytest.approx(9 / 255)
        assert metrics[f"background.gain.{way}"].value == 0
    assert not any(key.startswith("latent") or "sensitivity" in key for key in metrics)


@pytest.mark.parametrize("way", ["pixels", "template"])
def test_the_gain_of_the_background_is_the_planted_share_of_it(way: str) -> None:
    gains = [metrics_of(Mixer(share))[f"background.gain.{way}"].value for share in (0.0, 0.25, 0.5, 1.0)]
    assert gains == pytest.approx([0, 0.25, 0.5, 1], abs=0.05)
    assert gains == sorted(gains)


def test_noise_moves_further_than_anything_real() -> None:
    metrics = metrics_of(Noise())
    assert metrics["pose.gain.pixels"].value > 5
    assert metrics["background.gain.pixels"].value > 5


def test_a_step_of_the_latent_is_short_against_another_latent() -> None:
    metrics = metrics_of(LatentPainter())
    assert 0.05 < metrics["latent.sensitivity.pixels"].value < 0.3
    length, change = metrics["latent.length.pixels"].value, metrics["latent.perceptual_change.pixels"].value
    assert length == pytest.approx(change / path_length.LATENT_STEP**2)
    assert "latent.length.template" not in metrics


def test_following_a_shift_and_a_mirror_image_is_told_from_painting_by_position() -> None:
    for setting in ("shift", "flip"):
        assert metrics_of(LatentPainter())[f"{setting}.perceptual_change.pixels"].value == 0
        assert metrics_of(Striped())[f"{setting}.perceptual_change.pixels"].value > 0.05


def test_real_crops_have_every_step_that_needs_no_renderer() -> None:
    settings = {key.split(".")[0] for key in metrics_of(LatentPainter(), ToyDataset(market_like()))}
    assert settings == {"mask", "shift", "flip", "latent"}


def test_crops_without_a_surface_are_left_out_and_nothing_but_those_is_refused() -> None:
    samples = market_like()
    some = [Outcome.SURFACE if p < 4 else Outcome.MASK_ONLY for p in samples["person_id"]]
    found = metrics_of(LatentPainter(), ToyDataset(samples, outcomes=some))
    assert found["shift.perceptual_change.pixels"].n == 3 * 4
    with pytest.raises(DataError, match="no crop has a surface"):
        metrics_of(LatentPainter(), ToyDataset(samples, outcomes=[Outcome.NONE] * len(samples)))


def test_rows_reproduce_the_means_and_ratios() -> None:
    found = path_length.measure(context(Mixer(0.3), ToySteps()))
    for key, metric in found.metrics.items():
        rows = found.samples[found.samples["metric"] == key]
        if "median" in key:
            assert rows.empty
            continue
        below = rows["over"].mean() if rows["over"].notna().any() else 1.0
        assert rows["value"].mean() / below == pytest.approx(metric.value, abs=1e-9), key


def test_images_that_are_anonymized_already_cannot_be_stepped() -> None:
    card = load_anonymizer("blackout").card.model_copy(update={"name": "mine", "kind": "folder"})
    with pytest.raises(UnfitError, match="'mine' holds images"):
        require_fit("path_length", card)


def test_crops_move_by_one_pixel_with_everything_that_is_known_of_them() -> None:
    crops = ToyDataset(market_like()).load([0, 1])
    crops = replace(crops, keypoints=torch.full((2, 17, 3), 3.5))
    moved = shifted(crops)
    assert torch.equal(moved.image[..., 1:], crops.image[..., :-1])
    assert torch.equal(moved.person_mask[..., 1:], crops.person_mask[..., :-1])
    assert torch.equal(moved.surface[..., 1:], crops.surface[..., :-1])
    assert not moved.person_mask[..., 0].any()
    assert (moved.keypoints[..., 0] == 4.5).all()
    assert torch.equal(flipped(flipped(crops)).image, crops.image)


def test_a_grown_mask_covers_one_pixel_more_and_the_surface_stays() -> None:
    crops = ToyDataset(market_like()).load([0])
    grown = grown_mask(crops)
    assert grown.person_mask.sum() == (12 + 2) * (4 + 2)
    assert torch.equal(grown.surface, crops.surface)


def test_the_table_of_latent_steps_in_the_docs_is_that_of_the_record() -> None:
    root = resource_dir("results").parent
    models = json.loads((root / "results" / "path_length" / "latent_step.json").read_text())["models"]
    rows = [
        f"| {a['step']:g} | {a['unchanged_percent']:.1f} % | {a['length']:.2f} "
        f"| {b['unchanged_percent']:.1f} % | {b['length']:.2f} |"
        for a, b in zip(models["baseline"], models["final"], strict=True)
    ]
    assert "\n".join(rows) in (root / "docs" / "protocols.md").read_text()
    assert path_length.LATENT_STEP in [row["step"] for row in models["final"]]
