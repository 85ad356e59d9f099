import multiprocessing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from anonbench.errors import CacheError
from anonbench.features.store import ContentStore, feature_store, image_store


def refuse() -> np.ndarray:
    raise AssertionError("computed although it was stored")


@pytest.fixture
def store(tmp_path: Path) -> ContentStore:
    return ContentStore(tmp_path / "store")


def test_a_second_run_computes_nothing(store: ContentStore) -> None:
    keys = [["data", "model", n] for n in range(5)]
    first = [store.get_or_compute(key, lambda key=key: np.full(3, key[-1])) for key in keys]
    again = ContentStore(store.folder)
    second = [again.get_or_compute(key, refuse) for key in keys]
    assert (store.hits, store.misses) == (0, 5)
    assert (again.hits, again.misses) == (5, 0)
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


@settings(max_examples=30)
@given(
    arrays.arrays(
        st.sampled_from([np.uint8, np.float32, np.float64, np.int64]),
        arrays.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5),
    )
)
def test_what_comes_back_is_what_went_in(tmp_path_factory: pytest.TempPathFactory, value: np.ndarray) -> None:
    store = ContentStore(tmp_path_factory.mktemp("store"))
    store.get_or_compute(["k"], lambda: value)
    stored = store.get_or_compute(["k"], refuse)
    assert stored.dtype == value.dtype
    np.testing.assert_array_equal(stored, value)


def test_transposed_arrays_are_stored_in_their_own_order(store: ContentStore) -> None:
    value = np.arange(6).reshape(2, 3).T
    store.get_or_compute(["k"], lambda: value)
    np.testing.assert_array_equal(store.get_or_compute(["k"], refuse), value)


def test_every_part_of_the_key_counts(store: ContentStore) -> None:
    keys = [["a", "b"], ["b", "a"], ["ab"], ["a", "b", ""], ["a", "b", None], ["a", 1], ["a", "1"]]
    assert len({store.path(key) for key in keys}) == len(keys)


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "foreign"])
def test_a_damaged_file_is_computed_again(store: ContentStore, damage: str) -> None:
    key = ["data", "model"]
    store.get_or_compute(key, lambda: np.arange(100))
    path = store.path(key)
    content = bytearray(path.read_bytes())
    if damage == "flipped":
        content[-1] ^= 1
    elif damage == "foreign":
        other = store.path(["other"])
        store.get_or_compute(["other"], lambda: np.zeros(3))
        content = bytearray(other.read_bytes())
    path.write_bytes(
        b"" if damage == "empty" else content[: len(content) // 2] if damage == "cut" else content
    )
    again = ContentStore(store.folder)
    np.testing.assert_array_equal(again.get_or_compute(key, lambda: np.arange(100)), np.arange(100))
    assert (again.hits, again.misses) == (0, 1)
    assert np.array_equal(ContentStore(store.folder).get_or_compute(key, refuse), np.arange(100))


def test_a_failed_computation_leaves_nothing_behind(store: ContentStore) -> None:
    with pytest.raises(AssertionError):
        store.get_or_compute(["k"], refuse)
    assert not list(store.folder.rglob("*.safetensors"))


def fill(folder: str) -> int:
    store = ContentStore(Path(folder))
    for n in range(20):
        assert store.get_or_compute(["k", n], lambda n=n: np.full(1000, n))[0] == n
    return store.hits + store.misses


def test_two_processes_share_a_store(tmp_path: Path) -> None:
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(fill, [str(tmp_path)] * 2) == [20, 20]
    assert len(list(tmp_path.rglob("*.safetensors"))) == 20
    assert not [p for p in tmp_path.rglob("*") if p.name.startswith(".")]


def test_a_folder_that_cannot_be_written_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CacheError, match="file"):
        ContentStore(tmp_path / "file").get_or_compute(["k"], lambda: np.zeros(1))


def test_features_and_images_lie_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANONBENCH_CACHE", str(tmp_path))
    assert feature_store().folder == tmp_path / "features"
    assert image_store().folder == tmp_path / "images"
