"""Natural pairs: one person from two cameras, chosen without chance, and what they tell about a model."""

import numpy as np
import pandas as pd
import pytest

from anonbench.errors import UsageError
from anonbench.protocols import pairs
from anonbench.protocols.identity_pairs import PAIRS_PER_PERSON, identity_pairs
from tests.protocols.conftest import context
from tests.protocols.toys import (
    BackgroundPainter,
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


def test_pairs_join_two_cameras_of_one_person_with_a_stranger_of_the_second_camera() -> None:
    samples = market_like()
    found = identity_pairs(samples)
    first, second, other = (samples.iloc[i] for i in (found.first, found.second, found.other))
    assert (first["person_id"].to_numpy() == second["person_id"].to_numpy()).all()
    assert (first["camera_id"].to_numpy() != second["camera_id"].to_numpy()).all()
    assert (other["person_id"].to_numpy() != first["person_id"].to_numpy()).all()
    assert (other["camera_id"].to_numpy() == second["camera_id"].to_numpy()).all()
    assert len(found.first) == 12 * 6


def test_pairs_do_not_depend_on_the_order_of_the_samples() -> None:
    samples = market_like(cameras=8)
    shuffled = samples.sample(frac=1, random_state=0).reset_index(drop=True)

    def names(table: pd.DataFrame) -> set[frozenset[str]]:
        found = identity_pairs(table)
        return {frozenset(table["key"].iloc[[i, j]]) for i, j in zip(found.first, found.second, strict=True)}

    assert names(samples) == names(shuffled)


def test_people_with_many_images_do_not_outweigh_the_others() -> None:
    samples = market_like(cameras=8)
    counts = np.bincount(identity_pairs(samples).person)[1:]
    assert (counts == PAIRS_PER_PERSON).all()


def test_distractors_junk_and_training_images_are_in_no_pair() -> None:
    samples = market_like()
    samples.loc[samples["person_id"] == 1, "person_id"] = -1
    samples.loc[samples["person_id"] == 2, "person_id"] = 0
    samples.loc[samples["person_id"] == 3, "role"] = "train"
    assert set(identity_pairs(samples).person) == set(range(4, 13))


def test_people_of_one_camera_are_paired_within_it() -> None:
    samples = market_like()
    samples["camera_id"] = 1
    assert len(identity_pairs(samples).first) == 12 * 6


def test_data_without_two_people_in_pairs_is_refused_with_the_reason() -> None:
    with pytest.raises(UsageError, match="two people with two images each, found 1"):
        identity_pairs(market_like(persons=1))


def test_a_model_whose_latent_decides_everything_is_one_person_in_all_cameras() -> None:
    metrics = pairs.measure(context(LatentPainter(), ToyDataset(market_like()))).metrics
    assert metrics["pairs.surface_same.template"].value == 0
    assert metrics["pairs.surface_ratio.template"].value == 0
    assert metrics["pairs.surface_auc.template"].value > 0.95
    assert metrics["pairs.surface_auc_torso.template"].value > 0.95
    assert metrics["pairs.reid_auc.person_colour"].value > 0.9


def test_a_model_that_copies_the_background_is_at_chance() -> None:
    metrics = pairs.measure(context(BackgroundPainter(), ToyDataset(market_like()))).metrics
    assert metrics["pairs.surface_auc.template"].value == pytest.approx(0.5, abs=0.12)
    assert metrics["pairs.surface_ratio.template"].value == pytest.approx(1, abs=0.25)


def test_models_without_latents_and_the_ceiling_are_measured_alike() -> None:
    metrics = pairs.measure(context(Untouched(), ToyDataset(market_like()))).metrics
    for metric in metrics.values():
        assert metric.ceiling is None or metric.ceiling == pytest.approx(metric.value)
    assert metrics["pairs.surface_auc.template"].ceiling == 1
