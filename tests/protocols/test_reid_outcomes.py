"""Results per pair of outcomes, outcomes that are imposed, and whose fault a loss is."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anonbench.crops import Outcome
from anonbench.datasets.imposed import ImposedOutcomes, imposed_outcomes, outcome_shares
from anonbench.errors import DataError, UnfitError, UsageError
from anonbench.protocols.crops import CropSource
from anonbench.protocols.data import impose
from anonbench.protocols.generation import Sampling
from anonbench.protocols.imposed import ImposedGeneration
from anonbench.protocols.reid import measure
from anonbench.protocols.reid_labels import Labels
from anonbench.protocols.reid_outcomes import Versions, decompose, disguised
from anonbench.protocols.scoring import Context, Measurement
from anonbench.records import DetectionShares
from tests.protocols.conftest import context
from tests.protocols.toys import LatentPainter, ToyDataset, Untouched, market_like

HALVES = DetectionShares(surface=0.5, mask_only=0.3, none=0.2)


class CarefulPainter(LatentPainter):
    """Paints whoever has a surface; a mask alone is painted black, and without one nothing is done."""

    def anonymize(self, crops: Any, latents: Any = None, truncation: float = 1.0) -> torch.Tensor:
        painted = super().anonymize(crops, latents, truncation)
        black = torch.where(crops.person_mask, torch.zeros_like(crops.image), crops.image)
        found = (crops.outcome == Outcome.SURFACE)[:, None, None, None]
        return torch.where(found, painted, black)


def imposed_context(model: Any, dataset: ToyDataset, spec: str = "60/30/10", seeds: int = 3) -> Context:
    plain = context(model, dataset, seeds=seeds)
    worse = ImposedOutcomes(dataset, spec)
    crops = CropSource(worse, lambda batch: batch, "none")
    generation = ImposedGeneration(crops, worse, plain.generation)
    return Context(generation, plain.preset, plain.extractors, plain.perceptual)


def value(found: Measurement, name: str) -> float:
    return found.metrics[f"reid.{name}.person_colour"].value


def test_the_thesis_shares_are_those_of_its_section() -> None:
    assert list(outcome_shares("thesis").model_dump().values()) == pytest.approx([0.724, 0.225, 0.051])
    assert list(outcome_shares("60/30/10").model_dump().values()) == pytest.approx([0.6, 0.3, 0.1])


@pytest.mark.parametrize("spec", ["theses", "60/30", "60/30/20", "a/b/c", "-10/60/50"])
def test_shares_that_are_none_are_refused(spec: str) -> None:
    with pytest.raises(UsageError, match="sum to 100: 60/30/10"):
        outcome_shares(spec)


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_outcomes_depend_on_names_and_seed_not_on_the_order_of_samples(seed: int) -> None:
    samples = market_like(persons=9)
    shuffled = samples.sample(frac=1, random_state=seed).reset_index(drop=True)
    drawn = dict(zip(samples["key"], imposed_outcomes(samples, HALVES, 3), strict=True))
    again = dict(zip(shuffled["key"], imposed_outcomes(shuffled, HALVES, 3), strict=True))
    assert drawn == again


def test_every_camera_and_role_has_the_shares_and_people_are_met_at_random() -> None:
    samples = market_like(persons=200, cameras=6)
    drawn = imposed_outcomes(samples, HALVES, 0)
    for _, part in samples.groupby(["role", "camera_id"]):
        counts = np.bincount(drawn[part.index], minlength=3)
        np.testing.assert_allclose(counts, [40, 60, 100], atol=3)
    worst = pd.Series(drawn == Outcome.NONE).groupby(samples["person_id"]).sum()
    assert 20 < (worst == 0).sum() < 90  # 0.8^6 of 200 people: 52
    assert worst.max() >= 3
    assert (imposed_outcomes(samples, HALVES, 1) != drawn).mean() > 0.4


def test_withdrawn_detections_leave_nothing_to_fill_in_and_keep_the_pixels() -> None:
    dataset = ToyDataset(market_like())
    worse = ImposedOutcomes(dataset, "40/30/30")
    everything = range(len(dataset))
    before, after = dataset.load(everything), worse.load(everything)
    assert torch.equal(before.image, after.image)
    assert {int(o) for o in after.outcome} == {0, 1, 2}
    no_surface, nothing = after.outcome != Outcome.SURFACE, after.outcome == Outcome.NONE
    assert (after.surface[no_surface] == -1).all()
    assert (after.keypoints[no_surface] == 0).all()
    assert not after.person_mask[nothing].any()
    assert torch.equal(after.person_mask[~nothing], before.person_mask[~nothing])
    assert torch.equal(after.surface[~no_surface], before.surface[~no_surface])


def test_imposed_data_have_a_name_a_digest_and_a_note_of_their_own() -> None:
    dataset = ToyDataset(market_like())
    thesis, other = ImposedOutcomes(dataset, "thesis"), ImposedOutcomes(dataset, "60/30/10")
    assert thesis.name == "toy, outcomes thesis"
    assert len({dataset.digest, thesis.digest, other.digest}) == 3
    assert "72.4%" in thesis.notes[-1]


def test_only_crops_whose_detection_is_withdrawn_are_made_anew() -> None:
    made: list[int] = []

    class Counting(CarefulPainter):
        def anonymize(self, crops: Any, *rest: Any) -> torch.Tensor:
            made.extend(crops.outcome.tolist())
            return super().anonymize(crops, *rest)

    found = imposed_context(Counting(), ToyDataset(market_like()))
    tokens = tuple(found.crops.samples["key"])
    perfect = found.generation.perfect.anonymized(Sampling("one", 0, tokens)).images  # type: ignore[attr-defined]
    made.clear()
    worse = found.generation.anonymized(Sampling("one", 0, tokens)).images
    assert Outcome.SURFACE not in made
    surface = found.crops.outcome == Outcome.SURFACE
    assert np.array_equal(worse[surface], perfect[surface])
    assert (worse[~surface] != perfect[~surface]).any(axis=(1, 2, 3)).all()
    untouched = found.crops.outcome == Outcome.NONE
    assert np.array_equal(worse[untouched], found.generation.original().images[untouched])


def test_a_perfect_generator_loses_to_the_detector_alone_and_the_parts_add_up() -> None:
    found = measure(imposed_context(CarefulPainter(), ToyDataset(market_like(persons=40))))
    total = value(found, "loss.total")
    assert total == pytest.approx(value(found, "original.map") - value(found, "same_latent.map"))
    assert total > 20
    assert value(found, "loss.generator") + value(found, "loss.detector") == pytest.approx(total)
    assert value(found, "loss.blurred") + value(found, "loss.untouched") == pytest.approx(
        value(found, "loss.detector")
    )
    assert value(found, "perfect_detection.map") == 100
    assert abs(value(found, "loss.generator")) < 0.15 * total
    assert value(found, "loss.blurred") > value(found, "loss.untouched") > 0


def test_without_misses_the_whole_loss_is_the_generators() -> None:
    class Forgetful(LatentPainter):
        """Everybody in a colour of their own in every image."""

        def anonymize(self, crops: Any, latents: Any = None, truncation: float = 1.0) -> torch.Tensor:
            corner = crops.image[:, :, :1, :1].expand_as(crops.image)
            return torch.where(crops.person_mask, corner, crops.image)

    found = measure(imposed_context(Forgetful(), ToyDataset(market_like(persons=20)), "100/0/0"))
    assert value(found, "loss.generator") == pytest.approx(value(found, "loss.total"))
    assert value(found, "loss.detector") == 0
    assert value(found, "ideal_generator.map") == pytest.approx(value(found, "original.map"))
    assert value(found, "linkage.added") == 0


def test_untouched_crops_leak_and_the_record_says_how_much() -> None:
    found = measure(imposed_context(CarefulPainter(), ToyDataset(market_like(persons=40))))
    assert value(found, "linkage.map_none") == 100
    assert value(found, "linkage.added") == pytest.approx(
        value(found, "linkage.map") - value(found, "perfect_detection.linkage_map")
    )
    assert value(found, "linkage.added") > 5


def test_pairs_of_outcomes_have_values_chance_and_ceiling_of_their_own() -> None:
    found = measure(imposed_context(CarefulPainter(), ToyDataset(market_like(persons=40))))
    drawn = found.metrics["reid.same_latent.map_surface_to_surface.person_colour"]
    crossed = found.metrics["reid.same_latent.map_surface_to_none.person_colour"]
    assert drawn.value == drawn.ceiling == 100
    assert crossed.value < 50 < crossed.ceiling == 100  # type: ignore[operator]
    assert crossed.chance is not None
    assert drawn.chance is not None
    assert crossed.chance > drawn.chance
    assert crossed.n <= drawn.n < 40
    assert drawn.interval is not None
    assert not any("map_mask_only_to" in key and "permuted" in key for key in found.metrics)


def test_values_behind_every_metric_are_kept_with_the_person_as_group() -> None:
    found = measure(imposed_context(CarefulPainter(), ToyDataset(market_like(persons=20)), seeds=2))
    assert set(found.samples["metric"]) == set(found.metrics)
    means = found.samples.groupby(["metric", "seed"])["value"].mean().groupby("metric").mean()
    for key in ("loss.detector", "linkage.added", "same_latent.map_surface_to_surface"):
        assert means[f"reid.{key}.person_colour"] == pytest.approx(value(found, key))
    loss = found.samples[found.samples["metric"] == "reid.loss.total.person_colour"]
    assert set(loss["group"]) == {str(person) for person in range(1, 21)}
    per_query = found.samples.pivot_table(index=["key", "seed"], columns="metric", values="value")
    wide = per_query.rename(columns=lambda metric: metric.split(".", 1)[1].rsplit(".", 1)[0]).dropna(
        subset=["loss.total"]
    )
    np.testing.assert_allclose(wide["loss.generator"] + wide["loss.detector"], wide["loss.total"], atol=1e-9)


def test_untouched_images_lose_nothing() -> None:
    found = measure(imposed_context(Untouched(), ToyDataset(market_like(persons=20))))
    assert value(found, "same_latent.map") == value(found, "original.map")
    assert value(found, "linkage.added") == 0
    assert not any("loss" in key for key in found.metrics)


def labels_of(persons: Sequence[int], cameras: Sequence[int], roles: str) -> Labels:
    keys = [f"{i:03d}" for i in range(len(persons))]
    role = ["query" if r == "q" else "gallery" for r in roles]
    return Labels.of(pd.DataFrame({"key": keys, "person_id": persons, "camera_id": cameras, "role": role}))


def test_an_ideal_generator_shows_everybody_as_one_other_person() -> None:
    samples = market_like(persons=5)
    labels = Labels.of(samples.sample(frac=1, random_state=0).reset_index(drop=True))
    behind = disguised(labels)
    assert behind is not None
    assert sorted(behind) == list(range(20))
    shown = labels.person[behind]
    assert (shown != labels.person).all()
    assert all(len(set(shown[labels.person == person])) == 1 for person in range(1, 6))
    assert (np.isin(behind, labels.query) == np.isin(np.arange(20), labels.query)).all()


def test_without_a_partner_of_the_same_pattern_there_is_no_ideal_generator() -> None:
    uneven = labels_of([1, 1, 2, 2, 2], [0, 1, 0, 1, 2], "qgqgg")
    assert disguised(uneven) is None
    rng = np.random.default_rng(0)
    features = rng.normal(size=(5, 3)).astype(np.float32)
    drawn = Labels.of(
        pd.DataFrame({"key": list("abcde"), "person_id": uneven.person, "camera_id": uneven.camera,
                      "role": ["query", "gallery", "query", "gallery", "gallery"]}),
        np.array([2, 2, 1, 2, 0]),
    )  # fmt: skip
    found = decompose([Versions(features, features, features)], drawn, "x", 100).metrics
    assert "reid.perfect_detection.map.x" in found
    assert not any("loss" in key or "ideal" in key for key in found)


def test_cameras_that_repeat_differently_make_no_partners() -> None:
    assert disguised(labels_of([1, 1, 1, 2, 2, 2], [0, 1, 2, 0, 1, 1], "qggqgg")) is None
    assert disguised(labels_of([1, 1, 1, 2, 2, 2], [0, 1, 0, 4, 3, 4], "qggqgg")) is not None


def test_outcomes_are_imposed_on_perfect_detection_only() -> None:
    outcomes = [Outcome.SURFACE] * 40 + [Outcome.NONE] * 8
    with pytest.raises(DataError, match="crops have no surface already"):
        imposed_context(CarefulPainter(), ToyDataset(market_like(), outcomes=outcomes))


@pytest.mark.parametrize(("protocol", "kind"), [("fid", "toy"), ("lpips", "toy"), ("reid", "folder")])
def test_outcomes_mean_nothing_to_image_distances_and_to_images_made_elsewhere(
    protocol: str, kind: str
) -> None:
    class Model(Untouched):
        card = Untouched.card.model_copy(update={"kind": kind})

    with pytest.raises(UnfitError, match="imposed"):
        impose(ToyDataset(market_like()), "thesis", protocol, Model())
