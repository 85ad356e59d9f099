"""Attackers find what is there, and only that."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from anonbench.metrics.attackers import (
    HEADS,
    GaussianClassifier,
    Trained,
    held_out_map,
    likelihood_ratio,
    principal_components,
    restoration,
    untrained,
)
from anonbench.metrics.privacy import rank_with_ties, removed_pairs

PEOPLE, VIEWS, DIMS = 40, 6, 24
PERSON = np.repeat(np.arange(1, PEOPLE + 1), VIEWS)
CAMERA = np.tile(np.arange(VIEWS), PEOPLE)


def signal(seed: int, dims: int = DIMS) -> np.ndarray:
    """One vector per person, repeated for each image."""
    return np.repeat(np.random.default_rng(seed).normal(size=(PEOPLE, dims)), VIEWS, axis=0)


def noise(seed: int, dims: int = DIMS) -> np.ndarray:
    return np.random.default_rng(100 + seed).normal(size=(PEOPLE * VIEWS, dims))


def search(head: object, query: np.ndarray, gallery: np.ndarray) -> tuple[float, float]:
    """mAP and its chance on the second half of the people, after training on the first."""
    train, tested = PERSON <= PEOPLE // 2, PERSON > PEOPLE // 2
    symmetric = query is gallery
    data = Trained(query[train], gallery[train], PERSON[train], symmetric)
    distances = head(data)(query[tested], gallery[tested])  # type: ignore[operator]
    person, camera = PERSON[tested], CAMERA[tested]
    removed = removed_pairs(person, person, camera, camera)
    found = rank_with_ties(distances, person, person, removed)
    return float(found.average_precision.mean()), float(found.chance_average_precision.mean())


@pytest.mark.parametrize("head", HEADS.values(), ids=list(HEADS))
def test_a_perfect_leak_is_found_by_every_attacker(head: object) -> None:
    features = signal(0)
    assert search(head, features, features)[0] == pytest.approx(1.0)


@pytest.mark.parametrize("head", HEADS.values(), ids=list(HEADS))
@pytest.mark.parametrize("symmetric", [True, False])
def test_independent_features_leave_every_attacker_at_chance(head: object, symmetric: bool) -> None:
    query = noise(1)
    found, chance = search(head, query, query if symmetric else noise(2))
    assert abs(found - chance) < 0.04


@pytest.mark.parametrize("head", HEADS.values(), ids=list(HEADS))
def test_images_that_are_all_alike_leave_every_attacker_at_exactly_chance(head: object) -> None:
    constant = np.full((PEOPLE * VIEWS, 3), 7.0)
    components = principal_components(constant, np.arange(20), 8)
    for features in (constant, components):
        found, chance = search(head, features, features)
        assert found == pytest.approx(chance)


def test_likelihood_ratios_see_through_planted_nuisance() -> None:
    """Who it is hides in the weak half of the dimensions."""
    features = np.concatenate([signal(3, 12) * 0.3 + noise(3, 12) * 0.1, noise(4, 12) * 3], axis=1)
    raw, chance = search(untrained, features, features)
    trained, _ = search(HEADS["likelihood 32"], features, features)
    assert raw < chance + 0.2
    assert trained > 0.9


def test_restoration_undoes_a_linear_distortion() -> None:
    original = signal(5) + 0.2 * noise(5)
    distorted = original @ np.random.default_rng(6).normal(size=(DIMS, DIMS)) / np.sqrt(DIMS) + 4
    raw, _ = search(untrained, distorted, original)
    restored, _ = search(lambda data: restoration(data, 0.01), distorted, original)
    assert restored > raw + 0.4


def test_a_heavy_penalty_leaves_features_as_they_are_but_for_their_mean() -> None:
    query, gallery = signal(7) + 5, signal(7)
    data = Trained(query, gallery, PERSON, symmetric=False)
    moved = restoration(data, 1e9)(query, gallery)
    centred = untrained(data)(query - query.mean(axis=0), gallery - gallery.mean(axis=0))
    np.testing.assert_allclose(moved, centred, atol=1e-4)


@pytest.mark.parametrize("rows", [10, 60])
def test_restoration_is_the_same_from_either_matrix(rows: int) -> None:
    """With fewer rows than dimensions the smaller system is solved."""
    query, gallery = noise(8)[:rows], noise(9)[:rows]
    a, b = query - query.mean(axis=0), gallery - gallery.mean(axis=0)
    ridge = 2.0 * (a**2).sum() / DIMS
    weights = np.linalg.solve(a.T @ a + ridge * np.eye(DIMS), a.T @ (b - a))
    expected = untrained(None)(a + a @ weights, b)  # type: ignore[arg-type]
    found = restoration(Trained(query, gallery, PERSON[:rows], False), 2.0)(query, gallery)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize("name", ["likelihood 8", "likelihood 32", "restoration 1"])
def test_leakage_grows_with_what_is_planted(name: str) -> None:
    found = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        query = share * signal(10) + (1 - share) * noise(10)
        found.append(search(HEADS[name], query, signal(10))[0])
    assert found == sorted(found)
    assert found[-1] > found[0] + 0.5


def test_the_score_is_the_log_likelihood_ratio_of_two_gaussians() -> None:
    rng = np.random.default_rng(11)
    person = np.repeat(np.arange(4000), 2)
    features = (np.repeat(rng.normal(size=4000), 2) + rng.normal(size=8000))[:, None]
    data = Trained(features, features, person, symmetric=True)
    x, y = np.array([[-1.0], [0.3], [2.0]]), np.array([[1.5], [-0.2]])
    found = -likelihood_ratio(data, 1)(x, y)
    same = multivariate_normal(cov=[[2.0, 1.0], [1.0, 2.0]])
    alone = multivariate_normal(cov=2.0)
    expected = np.array(
        [[same.logpdf([a[0], b[0]]) - alone.logpdf(a) - alone.logpdf(b) for b in y] for a in x]
    )
    differences = found - expected
    np.testing.assert_allclose(differences, differences.mean(), atol=0.15)  # up to a constant


def test_equal_features_are_tied() -> None:
    data = Trained(noise(12), noise(12), PERSON, symmetric=True)
    distances = likelihood_ratio(data, 8)(noise(12)[:5], np.repeat(noise(13)[:1], 7, axis=0))
    assert all(len(set(row)) == 1 for row in distances.tolist())


def test_nobody_with_two_images_teaches_nothing() -> None:
    data = Trained(noise(14)[:5], noise(14)[:5], np.arange(5), symmetric=True)
    with pytest.raises(ValueError, match="two training images"):
        likelihood_ratio(data, 4)


def test_cross_validation_never_trains_on_whom_it_tries() -> None:
    seen: list[tuple[set[int], set[int]]] = []

    def spy(data: Trained) -> object:
        trained = set(data.person.tolist())

        def distances(query: np.ndarray, gallery: np.ndarray) -> np.ndarray:
            seen.append((trained, set(query[:, 0].astype(int).tolist())))
            return untrained(data)(query, gallery)

        return distances

    features = PERSON[:, None].astype(np.float64)
    assert held_out_map(spy, Trained(features, features, PERSON, True), CAMERA) == pytest.approx(1.0)  # type: ignore[arg-type]
    assert len(seen) == 3
    assert all(not trained & tried for trained, tried in seen)
    assert set.union(*(tried for _, tried in seen)) == set(PERSON.tolist())


def test_an_image_never_finds_itself_in_cross_validation() -> None:
    data = Trained(noise(15), noise(15), PERSON, symmetric=True)
    unknown_cameras = np.full(len(PERSON), -1)
    assert held_out_map(untrained, data, unknown_cameras) < 0.3


def test_cross_validation_needs_four_people() -> None:
    data = Trained(noise(16)[:18], noise(16)[:18], PERSON[:18], True)
    with pytest.raises(ValueError, match="at least 4"):
        held_out_map(untrained, data, CAMERA[:18])


@pytest.mark.parametrize("rows", [8, 200])
def test_all_components_of_the_training_rows_keep_their_distances(rows: int) -> None:
    features, train = noise(17), np.arange(rows)
    components = principal_components(features, train, DIMS)
    assert components.shape[1] == min(DIMS, rows - 1 if rows < DIMS else rows)
    np.testing.assert_allclose(
        untrained(None)(components[train], components[train]),  # type: ignore[arg-type]
        untrained(None)(features[train], features[train]),  # type: ignore[arg-type]
        atol=1e-4,
    )


def test_the_classifier_tells_classes_apart_and_guesses_where_there_are_none() -> None:
    labels = np.where(PERSON % 2 == 0, "even", "odd")
    shown = noise(18) + np.where(labels == "even", 2.0, -2.0)[:, None]
    train, tested = PERSON <= PEOPLE // 2, PERSON > PEOPLE // 2
    recognized = GaussianClassifier(shown[train], labels[train], 8)(shown[tested]) == labels[tested]
    guessed = GaussianClassifier(noise(19)[train], labels[train], 8)(noise(19)[tested]) == labels[tested]
    assert recognized.mean() > 0.99
    assert abs(guessed.mean() - 0.5) < 0.15


def test_rare_classes_are_not_drowned() -> None:
    rng = np.random.default_rng(20)
    labels = np.array(["common"] * 190 + ["rare"] * 10)
    features = rng.normal(size=(200, 3))
    features[:, 0] += np.where(labels == "rare", 2.5, 0.0)
    guesses = GaussianClassifier(features, labels, 3)(features)
    assert (guesses[labels == "rare"] == "rare").mean() >= 0.7


def test_a_classifier_of_images_that_are_all_alike_gives_one_answer() -> None:
    labels = np.array(["a", "b"] * 10)
    assert len(set(GaussianClassifier(np.ones((20, 3)), labels, 4)(np.ones((5, 3))))) == 1
