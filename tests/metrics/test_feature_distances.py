import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from anonbench.metrics import features
from anonbench.metrics.features import euclidean_distances


def test_distances_agree_with_scipy() -> None:
    rng = np.random.default_rng(0)
    query, gallery = rng.normal(size=(30, 20)), 5 + rng.normal(size=(40, 20))
    np.testing.assert_allclose(euclidean_distances(query, gallery), cdist(query, gallery), rtol=1e-6)


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.floats(1e-3, 1e3))
def test_equal_features_are_exactly_tied_and_at_distance_zero(seed: int, copies: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    point = (scale * rng.normal(size=(1, 33))).astype(np.float32)
    query = (scale * rng.normal(size=(3, 33))).astype(np.float32)
    same = np.repeat(point, copies, axis=0)
    assert (euclidean_distances(point, same) == 0).all()
    for row in euclidean_distances(query, same):
        assert len(np.unique(row)) == 1


def test_chunks_do_not_change_the_distances(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    query, gallery = rng.normal(size=(23, 5)), rng.normal(size=(11, 5))
    whole = euclidean_distances(query, gallery)
    monkeypatch.setattr(features, "_CHUNK_ROWS", 4)
    np.testing.assert_array_equal(euclidean_distances(query, gallery), whole)


def test_dimensions_must_match() -> None:
    with pytest.raises(ValueError, match="query has 3 dimensions, gallery 4"):
        euclidean_distances(np.zeros((2, 3)), np.zeros((2, 4)))
