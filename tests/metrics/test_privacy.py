"""An attacker who cannot tell images apart guesses; classes count alike; pixels left alone are counted."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from anonbench.metrics.privacy import balanced_accuracy, rank_with_ties, removed_pairs, untouched_pixels
from anonbench.metrics.ranking import expected_average_precision, rank


def nothing_removed(queries: int, gallery: int) -> np.ndarray:
    return np.zeros((queries, gallery), dtype=bool)


def setting(seed: int, queries: int = 6, gallery: int = 15) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    return (
        rng.integers(1, 4, queries), rng.integers(-1, 4, gallery),
        rng.integers(-1, 3, queries), rng.integers(-1, 3, gallery),
    )  # fmt: skip


@given(st.integers(0, 10_000))
def test_without_ties_it_is_the_ranking_of_market_1501(seed: int) -> None:
    query, gallery, query_camera, gallery_camera = setting(seed)
    distances = np.random.default_rng(seed).permutation(query.size * gallery.size).reshape(6, 15)
    expected = rank(distances, query, gallery, query_camera, gallery_camera)
    removed = removed_pairs(query, gallery, query_camera, gallery_camera)
    found = rank_with_ties(distances, query, gallery, removed)
    np.testing.assert_allclose(found.average_precision, expected.average_precision)
    np.testing.assert_array_equal(found.relevant, expected.relevant)
    np.testing.assert_array_equal(found.candidates, expected.candidates)
    np.testing.assert_array_equal(
        found.first[found.scored] == 1, expected.first_hit_rank[expected.scored] == 1
    )


@given(st.integers(0, 10_000))
def test_where_all_images_are_equal_everybody_is_at_chance_exactly(seed: int) -> None:
    query, gallery, query_camera, gallery_camera = setting(seed)
    removed = removed_pairs(query, gallery, query_camera, gallery_camera)
    found = rank_with_ties(np.zeros((6, 15)), query, gallery, removed)
    np.testing.assert_allclose(found.average_precision, found.chance_average_precision)
    np.testing.assert_allclose(found.first, found.chance_first)
    kept = found.scored
    np.testing.assert_allclose(
        found.average_precision[kept],
        expected_average_precision(found.relevant[kept], found.candidates[kept]),
    )


@given(arrays(np.int64, 6, elements=st.integers(0, 2)), arrays(np.bool_, 6).filter(np.any))
def test_ties_give_the_mean_over_all_their_orders(distances: np.ndarray, matches: np.ndarray) -> None:
    precisions, firsts = [], []
    for order in permutations(range(6)):
        ranking = sorted(order, key=lambda i: distances[i])  # stable: ties keep the order of the permutation
        hits = matches[ranking]
        positions = np.flatnonzero(hits) + 1
        precisions.append(np.mean(np.arange(1, len(positions) + 1) / positions))
        firsts.append(hits[0])
    gallery = np.where(matches, 7, 8)
    found = rank_with_ties(distances[None], np.array([7]), gallery, nothing_removed(1, 6))
    assert found.average_precision[0] == pytest.approx(np.mean(precisions))
    assert found.first[0] == pytest.approx(np.mean(firsts))


def test_strangers_and_junk_cannot_be_found() -> None:
    found = rank_with_ties(np.zeros((2, 3)), np.array([0, -1]), np.array([0, -1, 1]), nothing_removed(2, 3))
    assert not found.scored.any()
    assert np.isnan(found.average_precision).all()


def test_chunks_of_queries_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    query, gallery, *_ = setting(3)
    distances = np.random.default_rng(0).integers(0, 4, (6, 15))
    whole = rank_with_ties(distances, query, gallery, nothing_removed(6, 15))
    monkeypatch.setattr("anonbench.metrics.privacy._VALUES_AT_ONCE", 20)
    parts = rank_with_ties(distances, query, gallery, nothing_removed(6, 15))
    np.testing.assert_array_equal(whole.average_precision, parts.average_precision)


@pytest.mark.parametrize(
    ("distances", "removed", "message"),
    [
        (np.full((1, 2), np.nan), nothing_removed(1, 2), "NaN"),
        (np.zeros((2, 2)), nothing_removed(1, 2), r"\(Q, G\) = \(1, 2\)"),
        (np.zeros((1, 2)), nothing_removed(1, 3), r"\(Q, G\) = \(1, 2\)"),
    ],
)
def test_wrong_distances_are_refused(distances: np.ndarray, removed: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rank_with_ties(distances, np.array([1]), np.array([1, 2]), removed)


def test_a_constant_guess_has_balanced_accuracy_one_over_the_classes_however_frequent_it_is() -> None:
    truth = np.array(["a"] * 90 + ["b"] * 6 + ["c"] * 4)
    found = balanced_accuracy(truth, np.full(100, "a"), np.arange(100))
    assert found.value == pytest.approx(1 / 3)
    assert found.chance == pytest.approx(1 / 3)


def test_a_perfect_classifier_has_balanced_accuracy_one_in_every_resample() -> None:
    truth = np.repeat(["a", "b"], [9, 3])
    found = balanced_accuracy(truth, truth, np.arange(12))
    assert (found.value, found.interval) == (1.0, found.interval)
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == (1.0, 1.0)


def test_images_of_one_person_are_drawn_together() -> None:
    rng = np.random.default_rng(0)
    truth, persons = np.repeat(["a", "b"], 100), np.repeat(np.arange(20), 10)
    right = np.repeat(rng.random(20) < 0.5, 10)  # whole persons are recognized or not
    guess = np.where(right, truth, np.where(truth == "a", "b", "a"))
    together = balanced_accuracy(truth, guess, persons).interval
    alone = balanced_accuracy(truth, guess, np.arange(200)).interval
    assert together is not None
    assert alone is not None
    assert together.high - together.low > 2 * (alone.high - alone.low)


def test_an_attribute_with_one_class_is_no_question() -> None:
    with pytest.raises(ValueError, match="two classes"):
        balanced_accuracy(["a", "a"], ["a", "a"], [0, 1])


def test_only_person_pixels_with_all_three_values_unchanged_count() -> None:
    original = np.zeros((1, 3, 2, 2), dtype=np.uint8)
    anonymized = original.copy()
    anonymized[0, 1, 0, 0] = 1  # one value of one pixel
    mask = np.array([[[[True, True], [True, False]]]])
    assert untouched_pixels(original, anonymized, mask).tolist() == [2]
