"""Reconstruction: a latent from one image, painted into another, against the real one."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from anonbench.anonymizers.registry import load_anonymizer
from anonbench.cards import ModelCard
from anonbench.crops import Outcome, PersonCrops
from anonbench.errors import DataError, UnfitError
from anonbench.protocols import reconstruction
from anonbench.protocols.reconstruction import draw_sources
from anonbench.protocols.registry import protocol_names, require_fit
from tests.protocols.conftest import context
from tests.protocols.toys import LatentPainter, ToyDataset, cells_per_row, market_like


@pytest.fixture(autouse=True)
def a_patch_per_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """The toy's surface numbers its rows."""
    monkeypatch.setattr("anonbench.protocols.surface_pairs.template_patches", cells_per_row)


class Copier(LatentPainter):
    """Finds the colour of a person, and paints it."""

    card = ModelCard(name="copier", kind="toy", description="", latent_dim=3, can_reconstruct=True)

    def anonymize(self, crops: PersonCrops, latents: Tensor | None = None, truncation: float = 1.0) -> Tensor:
        assert latents is not None
        return super().anonymize(crops, (latents * 60 + 0.5) / 60, truncation)


class Hinted(LatentPainter):
    """Cannot read a person's colour: its mapper sees the background, which tells about the crop alone."""

    card = ModelCard(name="hinted", kind="toy", description="", latent_dim=3, can_reconstruct=True)

    def encode(self, crops: PersonCrops) -> Tensor:
        return (crops.image[:, :, 0, 0].float() - 128) / 60


def test_sources_are_other_images_of_the_person_from_other_cameras_and_strangers() -> None:
    run = context(LatentPainter(), ToyDataset(market_like()))
    sources, again = draw_sources(run, 0), draw_sources(run, 1)
    samples = run.crops.samples
    target, own, stranger = (samples.iloc[i] for i in (sources.target, sources.own, sources.stranger))
    assert (own["person_id"].to_numpy() == target["person_id"].to_numpy()).all()
    assert (own["camera_id"].to_numpy() != target["camera_id"].to_numpy()).all()
    assert (stranger["person_id"].to_numpy() != target["person_id"].to_numpy()).all()
    assert len(target) == len(samples)
    assert (sources.own != again.own).any()


def test_a_mapper_that_reads_the_person_reconstructs_them_in_every_image() -> None:
    metrics = reconstruction.measure(context(Copier(), ToyDataset(market_like()))).metrics
    for setting in ("same_image", "other_image"):
        assert metrics[f"reconstruction.{setting}.surface.template"].value < 0.01
        assert metrics[f"reconstruction.{setting}.surface_auc.template"].value > 0.99
        assert metrics[f"reconstruction.{setting}.perceptual_masked.pixels"].value < 0.01
    assert metrics["reconstruction.other_person.surface.template"].value > 0.1
    assert metrics["reconstruction.random_latent.surface.template"].value > 0.1
    assert metrics["reconstruction.other_image.surface.template"].ceiling == 0
    assert "reconstruction.other_image.perceptual.pixels" in metrics
    assert metrics["reconstruction.other_image.perceptual.pixels"].ceiling is None


def test_hints_from_the_crop_do_not_help_in_another_image() -> None:
    metrics = reconstruction.measure(context(Hinted(), ToyDataset(market_like()))).metrics
    assert metrics["reconstruction.other_image.surface_auc.template"].value == pytest.approx(0.5, abs=0.15)
    assert metrics["reconstruction.other_image.surface_ratio.template"].value == pytest.approx(1, abs=0.3)


def test_crops_without_a_surface_are_neither_source_nor_target() -> None:
    samples = market_like()
    outcomes = [Outcome.MASK_ONLY if c == 0 else Outcome.SURFACE for c in samples["camera_id"]]
    sources = draw_sources(context(LatentPainter(), ToyDataset(samples, outcomes=outcomes)), 0)
    used = torch.tensor([*sources.target, *sources.own, *sources.stranger])
    assert (torch.tensor(samples["camera_id"].to_numpy())[used] != 0).all()


@pytest.mark.parametrize("persons", [1, 12])
def test_data_without_pairs_is_refused_with_the_reason(persons: int) -> None:
    outcomes: Sequence[int] | None = None if persons == 1 else [Outcome.NONE] * 48
    with pytest.raises(DataError, match="two images with a surface"):
        reconstruction.measure(context(LatentPainter(), ToyDataset(market_like(persons), outcomes=outcomes)))


def test_models_without_a_mapper_do_not_fit_and_all_others_do() -> None:
    with pytest.raises(UnfitError, match="'blackout' has not"):
        require_fit("reconstruction", load_anonymizer("blackout").card)
    require_fit("reconstruction", LatentPainter.card)
    for protocol in set(protocol_names()) - {"reconstruction"}:
        require_fit(protocol, load_anonymizer("blackout").card)


def test_the_strips_show_source_and_target_of_each_person() -> None:
    strips = reconstruction.measure(context(Copier(), ToyDataset(market_like()))).strips
    real, own = strips["reconstruction.original"], strips["reconstruction.z_from_the_left_image"]
    assert abs(real[:, :, 8, 4].astype(int) - own[:, :, 8, 4]).max() <= 1
    assert (strips["reconstruction.z_of_another_person"][:, :, 8, 4] != own[:, :, 8, 4]).any()
