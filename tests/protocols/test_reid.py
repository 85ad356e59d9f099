"""The re-ID matrix tells a perfectly consistent model from one that ignores z."""

import numpy as np
import pandas as pd
import pytest

from anonbench.crops import Outcome
from anonbench.errors import DataError
from anonbench.protocols.reid import measure
from anonbench.protocols.reid_labels import assigned_identities, latent_tokens
from tests.protocols.conftest import context
from tests.protocols.toys import BackgroundPainter, LatentPainter, ToyDataset, Untouched, market_like


def value(metrics: dict, setting: str, statistic: str = "map") -> float:
    return metrics[f"reid.{setting}.{statistic}.person_colour"].value


def chance(metrics: dict, setting: str) -> float:
    return metrics[f"reid.{setting}.map.person_colour"].chance


def test_a_model_whose_latent_decides_everything_is_perfectly_consistent() -> None:
    metrics = measure(context(LatentPainter(), ToyDataset(market_like()))).metrics
    assert value(metrics, "original") == 100
    assert value(metrics, "same_latent") == 100
    assert value(metrics, "same_latent", "rank1") == 100
    assert value(metrics, "permuted_latent", "assigned_map") == 100
    for setting in ("fresh_latent", "permuted_latent", "linkage"):
        assert abs(value(metrics, setting) - chance(metrics, setting)) < 12


def test_a_model_that_ignores_its_latent_gains_nothing_from_sharing_it() -> None:
    metrics = measure(context(BackgroundPainter(), ToyDataset(market_like()))).metrics
    for setting in ("same_latent", "fresh_latent", "permuted_latent"):
        assert abs(value(metrics, setting) - chance(metrics, setting)) < 12
    assert abs(value(metrics, "permuted_latent", "assigned_map") - chance(metrics, "permuted_latent")) < 12


def test_untouched_images_leak_completely_and_have_no_latent_settings() -> None:
    metrics = measure(context(Untouched(), ToyDataset(market_like()))).metrics
    assert value(metrics, "linkage") == 100
    assert not any("fresh_latent" in key or "permuted_latent" in key for key in metrics)
    assert len(metrics["reid.same_latent.map.person_colour"].seeds) == 1


def test_every_seed_is_in_the_record_and_the_interval_holds_the_value() -> None:
    metrics = measure(context(LatentPainter(), ToyDataset(market_like()), seeds=4)).metrics
    fresh = metrics["reid.fresh_latent.map.person_colour"]
    assert len(fresh.seeds) == 4
    assert fresh.value == pytest.approx(np.mean(fresh.seeds))
    assert fresh.interval is not None
    assert fresh.interval[0] <= fresh.value <= fresh.interval[1]
    assert fresh.n == 12


def test_linkage_counts_both_directions() -> None:
    metrics = measure(context(LatentPainter(), ToyDataset(market_like()))).metrics
    assert metrics["reid.linkage.map.person_colour"].n == 24


def test_mixed_outcomes_get_values_of_their_own() -> None:
    samples = market_like()
    outcomes = [Outcome.SURFACE if p <= 6 else Outcome.MASK_ONLY for p in samples["person_id"]]
    metrics = measure(context(LatentPainter(), ToyDataset(samples, outcomes=outcomes))).metrics
    assert metrics["reid.same_latent.map_surface_to_surface.person_colour"].n == 6
    assert metrics["reid.same_latent.map_mask_only_to_mask_only.person_colour"].n == 6
    assert metrics["reid.linkage.map_surface.person_colour"].n == 12
    assert not any("none" in key or "surface_to_mask_only" in key for key in metrics)


def test_per_query_values_are_kept_for_every_setting_and_seed() -> None:
    samples = measure(context(LatentPainter(), ToyDataset(market_like()))).samples
    same = samples[samples["metric"] == "reid.same_latent.map.person_colour"]
    assert len(same) == 12 * 3
    assert set(same["seed"]) == {0, 1, 2}


def test_distractors_and_unknown_people_do_not_share_a_latent() -> None:
    samples = market_like(persons=2, cameras=2)
    samples["person_id"] = [0, 0, -1, 1]
    tokens = latent_tokens(samples)
    assert len(set(tokens)) == 4
    assert tokens[3] == "person/1"


def test_assigned_identities_are_known_people_and_depend_on_key_and_seed_only() -> None:
    samples = market_like()
    samples.loc[0, "person_id"] = 0
    assigned = assigned_identities(samples, seed=1)
    assert set(assigned) <= set(range(1, 13))
    reversed_samples = samples.iloc[::-1].reset_index(drop=True)
    assert (assigned_identities(reversed_samples, seed=1)[::-1] == assigned).all()
    assert (assigned_identities(samples, seed=2) != assigned).any()


def refusal(samples: pd.DataFrame) -> str:
    with pytest.raises(DataError) as refused:
        measure(context(LatentPainter(), ToyDataset(samples)))
    return str(refused.value)


def test_data_without_queries_is_refused() -> None:
    samples = market_like()
    samples["role"] = "gallery"
    assert "found 0 and 48 images" in refusal(samples)


def test_a_single_identity_is_refused_unless_there_are_strangers() -> None:
    samples = market_like(persons=1)
    assert "at least two people" in refusal(samples)
    samples.loc[3, "person_id"] = 0
    assert measure(context(LatentPainter(), ToyDataset(samples))).metrics


def test_people_seen_by_one_camera_only_are_refused() -> None:
    samples = market_like()
    samples["camera_id"] = samples["person_id"]
    assert "from another camera" in refusal(samples)
    samples["camera_id"] = -1
    assert measure(context(LatentPainter(), ToyDataset(samples))).metrics


def test_nobody_can_search_for_a_stranger() -> None:
    samples = market_like()
    samples.loc[0, "person_id"] = 0
    assert "query 0001_0 has id 0" in refusal(samples)


def test_the_gallery_shows_several_views_of_the_first_people() -> None:
    strips = measure(context(LatentPainter(), ToyDataset(market_like()))).strips
    assert strips["reid"].shape == strips["reid.original"].shape == (8, 3, 16, 8)
    corner = np.s_[:, :, 0, 0]
    assert (strips["reid"][corner] == strips["reid.original"][corner]).all()


def test_the_ceiling_is_the_same_statistic_of_the_untouched_images() -> None:
    metrics = measure(context(BackgroundPainter(), ToyDataset(market_like()))).metrics
    for statistic in ("map", "rank1", "rank20"):
        ceiling = metrics[f"reid.same_latent.{statistic}.person_colour"].ceiling
        assert ceiling == value(metrics, "original", statistic)
    assert metrics["reid.original.map.person_colour"].ceiling is None
