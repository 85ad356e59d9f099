import contextlib
import io
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from anonbench.metrics import ranking
from anonbench.metrics.ranking import (
    RankingResult,
    chance_map,
    chance_rank_k,
    cmc,
    euclidean_distances,
    expected_average_precision,
    hits_within,
    mean_average_precision,
    rank,
)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # torchreid tells that its compiled version is absent
    from torchreid.reid.metrics.rank import eval_market1501


def rank_one(
    distances: list[float], gallery_ids: list[int], cameras: list[int] | None = None
) -> RankingResult:
    """One query of person 1 from camera 0; the gallery from camera 1 unless told."""
    return rank([distances], [1], gallery_ids, [0], cameras or [1] * len(gallery_ids))


def random_market(seed: int, q: int = 40, g: int = 200, people: int = 12) -> tuple[NDArray[np.generic], ...]:
    """Untied distances, ids with distractors (0) and junk (-1), six cameras."""
    rng = np.random.default_rng(seed)
    distances = rng.permutation(q * g).reshape(q, g).astype(np.float64)
    return (
        distances,
        rng.integers(1, people, q),
        rng.integers(-1, people, g),
        rng.integers(0, 6, q),
        rng.integers(0, 6, g),
    )


def test_average_precision_by_hand() -> None:
    result = rank_one([0.1, 0.2, 0.3, 0.4, 0.5], [2, 1, 3, 1, 1])
    assert result.average_precision[0] == pytest.approx((1 / 2 + 2 / 4 + 3 / 5) / 3)
    assert result.first_hit_rank[0] == 2
    assert (result.relevant[0], result.candidates[0], result.person_id[0]) == (3, 5, 1)
    assert (cmc(result, 1), cmc(result, 2)) == (0.0, 1.0)


def test_perfect_order_scores_one_and_worst_order_scores_least() -> None:
    best = rank_one([1, 2, 3, 4], [1, 1, 2, 3])
    worst = rank_one([3, 4, 1, 2], [1, 1, 2, 3])
    assert (mean_average_precision(best), cmc(best, 1)) == (1.0, 1.0)
    assert mean_average_precision(worst) == pytest.approx((1 / 3 + 2 / 4) / 2)


def test_same_person_from_same_camera_is_removed() -> None:
    result = rank_one([0.1, 0.2, 0.3], [1, 2, 1], cameras=[0, 0, 1])
    assert result.candidates[0] == 2
    assert result.average_precision[0] == pytest.approx(1 / 2)


def test_an_unknown_camera_equals_no_camera() -> None:
    result = rank([[0.1, 0.2]], [1], [1, 1], [-1], [-1, 3])
    assert result.relevant[0] == 2


def test_junk_is_dropped_and_distractors_stay() -> None:
    with_junk = rank_one([0.1, 0.2, 0.3], [-1, -1, 1])
    with_distractors = rank_one([0.1, 0.2, 0.3], [0, 0, 1])
    assert with_junk.average_precision[0] == 1.0
    assert with_distractors.average_precision[0] == pytest.approx(1 / 3)


def test_ties_are_broken_against_the_match() -> None:
    result = rank_one([0.5] * 10, [1] + [2] * 9)
    assert result.first_hit_rank[0] == 10
    assert result.average_precision[0] == pytest.approx(1 / 10)


def test_blackout_never_beats_chance() -> None:
    rng = np.random.default_rng(0)
    ids, cameras = rng.integers(1, 6, 60), rng.integers(0, 3, 60)
    same = np.ones((60, 8))
    result = rank(euclidean_distances(same, same), ids, ids, cameras, cameras)
    assert mean_average_precision(result) < chance_map(result)
    assert cmc(result, 1) == 0.0


def test_a_query_without_match_is_not_scored_and_does_not_count() -> None:
    result = rank([[1.0, 2.0], [1.0, 2.0]], [1, 9], [1, 2], [0, 0], [1, 1])
    np.testing.assert_array_equal(result.scored, [True, False])
    assert np.isnan(result.average_precision[1])
    assert np.isnan(hits_within(result, 1)[1])
    assert mean_average_precision(result) == 1.0


@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_torchreid_on_untied_distances(seed: int) -> None:
    distances, query, gallery, query_cameras, gallery_cameras = random_market(seed)
    kept = gallery != -1  # torchreid drops junk in its data set
    with contextlib.redirect_stdout(io.StringIO()):
        reference_cmc, reference_map = eval_market1501(
            distances[:, kept], query, gallery[kept], query_cameras, gallery_cameras[kept], max_rank=50
        )
    result = rank(distances, query, gallery, query_cameras, gallery_cameras)
    assert mean_average_precision(result) == pytest.approx(reference_map, rel=1e-12)
    assert [cmc(result, k) for k in (1, 5, 10, 20)] == pytest.approx(reference_cmc[[0, 4, 9, 19]], rel=1e-6)


def test_counting_for_few_matches_and_sorting_for_many_rank_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    distances, *labels = random_market(0)
    distances = distances // 7  # with ties
    counted = rank(distances, *labels)
    monkeypatch.setattr(ranking, "_FEW", 0)
    ranked = rank(distances, *labels)
    for name in ("average_precision", "first_hit_rank", "relevant", "candidates"):
        np.testing.assert_array_equal(getattr(counted, name), getattr(ranked, name))


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_order_of_queries_and_gallery_does_not_matter(seed: int) -> None:
    distances, query, gallery, query_cameras, gallery_cameras = random_market(seed, q=10, g=40, people=5)
    distances = distances // 7  # with ties
    rng = np.random.default_rng(seed)
    q, g = rng.permutation(10), rng.permutation(40)
    straight = rank(distances, query, gallery, query_cameras, gallery_cameras)
    shuffled = rank(distances[q][:, g], query[q], gallery[g], query_cameras[q], gallery_cameras[g])
    np.testing.assert_array_equal(shuffled.average_precision, straight.average_precision[q])
    np.testing.assert_array_equal(shuffled.first_hit_rank, straight.first_hit_rank[q])


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_only_the_order_of_distances_matters(seed: int) -> None:
    distances, *labels = random_market(seed, q=8, g=30, people=4)
    a, b = rank(distances, *labels), rank(np.exp(distances / 100) - 7, *labels)
    np.testing.assert_array_equal(a.average_precision, b.average_precision)


def test_consistency_falls_as_identity_is_buried_in_noise() -> None:
    rng = np.random.default_rng(0)
    ids, cameras = np.repeat(np.arange(1, 31), 6), np.tile(np.arange(6), 30)
    identity = rng.normal(size=(31, 16))[ids]
    noise = rng.normal(size=identity.shape)

    def score(amount: float) -> float:
        x = identity + amount * noise
        return mean_average_precision(rank(euclidean_distances(x, x), ids, ids, cameras, cameras))

    scores = [score(amount) for amount in (0.0, 0.5, 1.0, 2.0, 8.0)]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] == 1.0
    assert scores[-1] < 0.15


def test_cmc_grows_with_k() -> None:
    result = rank(*random_market(4))
    curve = [cmc(result, k) for k in range(1, 60)]
    assert curve == sorted(curve)
    with pytest.raises(ValueError, match="k >= 1"):
        cmc(result, 0)


@pytest.mark.parametrize(("m", "n"), [(1, 1), (1, 7), (3, 3), (2, 9), (8, 40)])
def test_expected_average_precision_agrees_with_simulation(m: int, n: int) -> None:
    rng = np.random.default_rng(0)
    order = np.argsort(rng.random((20_000, n)), axis=1) < m
    precision = order.cumsum(axis=1) / np.arange(1, n + 1)
    simulated = (precision * order).sum(axis=1) / m
    error = simulated.std() / np.sqrt(len(simulated))
    assert expected_average_precision(m, n) == pytest.approx(simulated.mean(), abs=4 * error + 1e-12)


def test_chance_levels_agree_with_random_distances() -> None:
    distances, *labels = random_market(0)
    rng = np.random.default_rng(1)
    runs = [rank(rng.random(distances.shape), *labels) for _ in range(150)]
    for chance, measured in [
        (chance_map(runs[0]), [mean_average_precision(run) for run in runs]),
        (chance_rank_k(runs[0], 1), [cmc(run, 1) for run in runs]),
        (chance_rank_k(runs[0], 10), [cmc(run, 10) for run in runs]),
    ]:
        assert chance == pytest.approx(np.mean(measured), abs=4 * np.std(measured) / np.sqrt(len(runs)))


def test_chance_needs_a_relevant_candidate() -> None:
    with pytest.raises(ValueError, match="1 <= relevant <= candidates"):
        expected_average_precision([0], [5])
    with pytest.raises(ValueError, match="1 <= relevant <= candidates"):
        expected_average_precision([6], [5])


def test_no_match_anywhere_is_an_error_and_never_a_score() -> None:
    result = rank_one([1.0, 2.0], [2, 3])
    for score in (mean_average_precision, chance_map, lambda r: cmc(r, 1), lambda r: chance_rank_k(r, 1)):
        with pytest.raises(ValueError, match="none of the 1 queries has a match"):
            score(result)


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match="nothing to rank"):
        rank(np.zeros((0, 3)), np.zeros(0, int), [1, 2, 3], np.zeros(0, int), [0, 0, 0])
    with pytest.raises(ValueError, match="distances hold NaN"):
        rank_one([np.nan, 1.0], [1, 2])
    with pytest.raises(ValueError, match=r"must be \(Q, G\) = \(1, 2\), got \(1, 3\)"):
        rank([[1.0, 2.0, 3.0]], [1], [1, 2], [0], [1, 1])
    with pytest.raises(ValueError, match="one camera id"):
        rank([[1.0, 2.0]], [1], [1, 2], [0], [1])
    with pytest.raises(ValueError, match="must be a list of integers"):
        rank([[1.0, 2.0]], [1.5], [1, 2], [0], [1, 1])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="cannot be queried: number persons from 1"):
        rank([[1.0]], [0], [1], [0], [1])
