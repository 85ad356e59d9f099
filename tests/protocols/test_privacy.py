"""Untouched people are found, repainted ones are not, and attackers never train on whom they are tried on."""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor

from anonbench.crops import Outcome, PersonCrops
from anonbench.errors import DataError, UsageError
from anonbench.protocols import privacy_retrained, runner
from anonbench.protocols.privacy import measure
from anonbench.protocols.privacy_attributes import questions_about
from anonbench.protocols.privacy_people import split_cameras, split_people
from anonbench.protocols.runner import Request, resolve, run
from anonbench.records import Metric
from anonbench.training.attacker import AttackerTraining
from tests.protocols.conftest import context
from tests.protocols.toys import LatentPainter, PersonColour, ToyDataset, Untouched, market_like

DIRECTIONS = ("anonymized_query", "original_query", "anonymized")


def with_training(persons: int = 12, cameras: int = 4) -> pd.DataFrame:
    """Market-like people of whom every second one is for training."""
    samples = market_like(persons, cameras)
    samples.loc[samples["person_id"] % 2 == 0, "role"] = "train"
    return samples


class Coloured(ToyDataset):
    """Toy people whose only attribute is whether they are red."""

    def attributes(self) -> pd.DataFrame:
        redness = {p: int(self.load([i]).image[0, 0, 8, 4]) for i, p in enumerate(self.samples["person_id"])}
        return pd.DataFrame({"red": ["yes" if redness[p] > 128 else "no" for p in self.samples["person_id"]]})


class Mixing(LatentPainter):
    """Leaves a share of the people as they are."""

    def __init__(self, share: float) -> None:
        self.share = share
        self.card = LatentPainter.card.model_copy(update={"name": f"mixing_{round(100 * share)}"})

    def anonymize(self, crops: PersonCrops, latents: Tensor | None = None, truncation: float = 1.0) -> Tensor:
        painted = super().anonymize(crops, latents, truncation)
        kept = (crops.person_id % 20).float() / 20 < self.share
        return crops.image.where(kept[:, None, None, None], painted)


def metrics_of(model: Any, samples: pd.DataFrame | None = None, seeds: int = 2) -> dict[str, Metric]:
    data = ToyDataset(with_training() if samples is None else samples)
    return measure(context(model, data, seeds=seeds)).metrics


def test_untouched_people_are_found_by_everybody_in_every_direction() -> None:
    metrics = metrics_of(Untouched())
    for direction in DIRECTIONS:
        for statistic in ("map", "rank1", "trained_map", "trained_rank1", "map_masked"):
            assert metrics[f"privacy.{direction}.{statistic}.person_colour"].value == pytest.approx(100)
        assert metrics[f"privacy.{direction}.advantage.person_colour"].value == pytest.approx(0)
    assert metrics["privacy.untouched.image.pixels"].value == 100
    assert metrics["privacy.untouched.area.pixels"].value == 100


def test_people_painted_by_a_fresh_latent_are_at_chance() -> None:
    metrics = metrics_of(LatentPainter(), with_training(persons=40), seeds=4)
    for direction in DIRECTIONS:
        found = metrics[f"privacy.{direction}.trained_map.person_colour"]
        assert found.chance is not None
        assert abs(found.value - found.chance) < 8
        over = metrics[f"privacy.{direction}.over_chance.person_colour"]
        assert over.value == pytest.approx(found.value - found.chance)
    assert metrics["privacy.untouched.image.pixels"].value < 1


def test_a_latent_copied_from_the_person_is_not_anonymous() -> None:
    metrics = metrics_of(LatentPainter())
    assert metrics["privacy.mapper.map.latent"].value == pytest.approx(100)
    copied, drawn = (
        metrics[f"privacy.{setting}.map.person_colour"] for setting in ("mapper", "anonymized_query")
    )
    assert copied.value > 80 > 50 > drawn.value


def test_leakage_grows_with_the_share_of_people_left_as_they_are() -> None:
    found = [metrics_of(Mixing(share), with_training(persons=40), seeds=1) for share in (0.0, 0.3, 0.6, 1.0)]
    for key in ("privacy.anonymized_query.trained_map.person_colour", "privacy.untouched.area.pixels"):
        values = [metrics[key].value for metrics in found]
        assert values == sorted(values)
        assert values[-1] == pytest.approx(100)


def test_a_model_without_latents_is_measured_once_and_has_no_latent_to_copy() -> None:
    metrics = metrics_of(Untouched())
    assert len(metrics["privacy.anonymized.map.person_colour"].seeds) == 1
    assert not any(key.startswith("privacy.mapper") for key in metrics)


def test_the_same_request_finds_the_same_numbers() -> None:
    assert metrics_of(LatentPainter()) == metrics_of(LatentPainter())


def test_the_sidecar_holds_what_the_values_are_the_means_of() -> None:
    found = measure(context(LatentPainter(), Coloured(with_training(persons=24)), seeds=2))
    for key, metric in found.metrics.items():
        rows = found.samples[found.samples["metric"] == key]
        below = 1.0 if rows["over"].isna().all() else rows["over"].mean()
        assert rows["value"].mean() / below == pytest.approx(metric.value), key
        assert len(rows) == metric.n * len(metric.seeds), key


def test_a_second_extractor_adds_its_own_rows_and_repeats_none() -> None:
    both = context(LatentPainter(), ToyDataset(with_training()), seeds=2)
    other = PersonColour("reid")
    other.name = other.digest = "other_colour"
    found = measure(replace(both, extractors=(*both.extractors, other)))
    assert "privacy.anonymized.map.other_colour" in found.metrics
    assert not found.samples.duplicated(["key", "metric", "seed"]).any()


def test_attributes_are_read_off_untouched_people_only() -> None:
    samples = with_training(persons=40, cameras=3)
    untouched = measure(context(Untouched(), Coloured(samples))).metrics[
        "privacy.attributes.red.person_colour"
    ]
    painted = measure(context(LatentPainter(), Coloured(samples))).metrics[
        "privacy.attributes.red.person_colour"
    ]
    assert untouched.value > 85
    assert painted.ceiling == untouched.value
    assert painted.chance == 50
    assert abs(painted.value - 50) < 16


def test_an_attribute_needs_people_of_two_classes_on_both_sides() -> None:
    people = split_people(with_training(persons=12))
    person = people.labels.person
    known = pd.DataFrame(
        {
            "known": np.where(person % 4 < 2, "a", "b"),
            "constant": "a",
            "only in training": np.where(person % 2 == 0, "a", "b"),
            "unknown": "",
        }
    )
    assert [question.attribute for question in questions_about(known, people)] == ["known"]


def test_undetected_people_are_untouched_whole() -> None:
    outcomes = [Outcome.NONE if i % 2 else Outcome.SURFACE for i in range(48)]
    # A painter that does what ours do: nothing where nobody was detected.
    data = ToyDataset(with_training(), outcomes=outcomes)

    class Careful(LatentPainter):
        def anonymize(
            self, crops: PersonCrops, latents: Tensor | None = None, truncation: float = 1.0
        ) -> Tensor:
            painted = super().anonymize(crops, latents, truncation)
            return crops.image.where((crops.outcome == Outcome.NONE)[:, None, None, None], painted)

    metrics = measure(context(Careful(), data)).metrics
    assert metrics["privacy.untouched.image.pixels"].value == pytest.approx(50, abs=1)
    assert metrics["privacy.untouched.area.pixels"].value == pytest.approx(50, abs=1)


@given(st.integers(0, 100_000), st.integers(40, 90), st.booleans())
def test_no_attacker_trains_on_a_person_who_is_tried(seed: int, images: int, with_train: bool) -> None:
    rng = np.random.default_rng(seed)
    roles = ("query", "gallery", "gallery", "train") if with_train else ("query", "gallery", "")
    samples = pd.DataFrame(
        {
            "person_id": rng.integers(-1, 14, images),
            "camera_id": rng.integers(-1, 5, images),
            "role": rng.choice(roles, images),
        }
    )
    samples.loc[(samples["role"] == "query") & (samples["person_id"] == 0), "person_id"] = 1
    samples["key"] = [f"{i:03d}" for i in range(len(samples))]
    try:
        people = split_people(samples)
    except DataError:
        assume(False)
    for split in (people, split_cameras(people)):
        if split is not None:
            labels = split.labels
            trained = set(labels.person[split.train].tolist())
            assert min(trained) > 0
            assert not trained & set(labels.person[split.tested].tolist())
            assert not set(split.train.tolist()) & set(split.tested.tolist())


def test_people_are_split_into_halves_where_the_data_has_no_training_people() -> None:
    people = split_people(market_like(persons=12))
    assert len(set(people.labels.person[people.train])) == 6
    assert len(set(people.labels.person[people.tested])) == 6
    assert "6 of 12 identities" in people.notes[0]
    assert split_people(with_training()).notes == ()


def test_the_record_says_that_people_were_split() -> None:
    found = measure(context(Untouched(), ToyDataset(market_like(persons=12))))
    assert any("no training people" in note for note in found.notes)


def test_strangers_stay_in_the_gallery_and_teach_nobody() -> None:
    samples = market_like(persons=12)
    samples.loc[samples["person_id"] == 12, "person_id"] = 0
    samples.loc[samples["role"] == "query", "person_id"] = samples["person_id"].replace(0, 1)
    people = split_people(samples)
    assert (people.labels.person[people.labels.gallery] == 0).sum() == 3
    assert not (people.labels.person[people.train] == 0).any()


def test_trained_and_tried_cameras_differ_where_there_are_enough() -> None:
    samples = with_training(persons=12, cameras=6)
    samples.loc[(samples["camera_id"] == 4) & (samples["role"] != "train"), "role"] = "query"
    people = split_cameras(split_people(samples))
    assert people is not None
    assert set(people.labels.camera[people.train]) == {0, 1, 2}
    assert set(people.labels.camera[people.tested]) == {3, 4, 5}


@pytest.mark.parametrize("cameras", [2, 3])
def test_few_cameras_cannot_be_split(cameras: int) -> None:
    assert split_cameras(split_people(with_training(persons=12, cameras=cameras))) is None


def test_too_few_people_are_refused() -> None:
    with pytest.raises(DataError, match="at least 4 training people"):
        split_people(market_like(persons=6))


def test_attackers_are_for_privacy_only() -> None:
    with pytest.raises(UsageError, match="for privacy"):
        resolve(Request("reid", "blackout", attacker="osnet"))
    with pytest.raises(UsageError, match="no attacker 'guess'"):
        _ = resolve(Request("privacy", "blackout", attacker="guess")).folder


def test_a_retrained_attacker_is_named_in_the_record_and_makes_another_one() -> None:
    plain, retrained = (resolve(Request("privacy", "blackout", attacker=a)) for a in ("", "osnet"))
    assert set(retrained.extractor_digests) - set(plain.extractor_digests) == {"osnet_retrained"}
    assert plain.folder != retrained.folder


def test_a_run_with_a_retrained_attacker_makes_a_record_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    short = partial(AttackerTraining, steps=1, persons_per_batch=2, images_per_person=2)
    monkeypatch.setattr(privacy_retrained, "AttackerTraining", short)
    monkeypatch.setattr(runner, "open_data", lambda *_: ToyDataset(market_like()))
    record, _ = run(resolve(Request("privacy", "blackout", preset="smoke", attacker="osnet")))
    for direction in DIRECTIONS:
        trained = record.metrics[f"privacy.{direction}.trained_map.osnet_retrained"]
        gained = record.metrics[f"privacy.{direction}.advantage.osnet_retrained"]
        start = record.metrics[f"privacy.{direction}.map.osnet_synthetic"]
        assert gained.value == pytest.approx(trained.value - start.value)
    assert record.extractors["osnet_retrained"] == short().digest
    assert any("no training people" in note for note in record.data.notes)
