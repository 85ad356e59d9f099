from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from anonbench.errors import DataError
from anonbench.reporting import galleries
from anonbench.reporting.galleries import GalleryRow, compose, read_strip, save_png, write_strip


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).integers(0, 256, shape, dtype=np.uint8)


@settings(max_examples=25)
@given(st.integers(1, 5), st.integers(1, 12), st.integers(1, 12))
def test_a_strip_gives_back_its_images_bit_exact(
    tmp_path_factory: pytest.TempPathFactory, n: int, h: int, w: int
) -> None:
    images = noise(n, 3, h, w)
    path = write_strip(images, tmp_path_factory.mktemp("strip") / "s.png")
    np.testing.assert_array_equal(read_strip(path, w), images.transpose(0, 2, 3, 1))


def test_tensors_are_stored_like_arrays(tmp_path: Path) -> None:
    images = noise(2, 3, 8, 4)
    a = write_strip(images, tmp_path / "a.png").read_bytes()
    assert a == write_strip(torch.from_numpy(images), tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize(
    "images", [noise(3, 8, 4), noise(2, 8, 4, 3), noise(0, 3, 8, 4), noise(1, 3, 8, 4) / 255]
)
def test_other_shapes_and_ranges_are_refused(tmp_path: Path, images: np.ndarray) -> None:
    with pytest.raises(ValueError, match="a strip is uint8"):
        write_strip(images, tmp_path / "s.png")
    assert not list(tmp_path.iterdir())


def test_a_strip_of_another_width_is_refused(tmp_path: Path) -> None:
    path = write_strip(noise(3, 3, 8, 4), tmp_path / "s.png")
    with pytest.raises(DataError, match=r"s\.png: 12 pixels are no multiple of 5"):
        read_strip(path, 5)


def test_a_truncated_strip_is_named(tmp_path: Path) -> None:
    path = write_strip(noise(3, 3, 64, 32), tmp_path / "s.png")
    path.write_bytes(path.read_bytes()[:400])
    with pytest.raises(DataError, match=r"s\.png: cannot read the gallery strip"):
        read_strip(path, 32)


def test_text_named_png_is_named(tmp_path: Path) -> None:
    (tmp_path / "s.png").write_text("no image")
    with pytest.raises(DataError, match=r"s\.png"):
        read_strip(tmp_path / "s.png", 4)


def test_a_missing_strip_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"s\.png"):
        read_strip(tmp_path / "s.png", 4)


def test_a_huge_strip_is_refused_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_strip(noise(3, 3, 8, 4), tmp_path / "s.png")
    monkeypatch.setattr(galleries, "MAX_PIXELS", 50)
    with pytest.raises(DataError, match="too many"):
        read_strip(path, 4)


def test_crops_appear_unchanged_at_their_own_size() -> None:
    images = noise(2, 130, 40, 3)
    picture = np.asarray(compose([GalleryRow("a", images)]))
    windows = np.lib.stride_tricks.sliding_window_view(picture[..., 0], (130, 40))
    for image in images:
        assert (windows == image[..., 0]).all(axis=(2, 3)).any()


def test_small_crops_are_enlarged_until_they_can_be_seen() -> None:
    few, many = (compose([GalleryRow("a", noise(1, 72, 40, 3))] * rows) for rows in (1, 2))
    assert many.height - few.height >= 100


def test_rows_may_be_shorter_than_others() -> None:
    wide, narrow = GalleryRow("a", noise(4, 8, 4, 3)), GalleryRow("a", noise(1, 8, 4, 3))
    assert compose([wide, narrow]).width == compose([wide]).width


def test_headers_and_labels_take_room() -> None:
    row = GalleryRow("a", noise(2, 8, 4, 3))
    plain, grouped = compose([row]), compose([GalleryRow("a", row.images, group="t = 0")])
    labelled, titled = compose([row], ["x", "y"]), compose([row], title="Poses")
    assert min(grouped.height, labelled.height, titled.height) > plain.height


def test_a_long_title_is_not_cut() -> None:
    row = GalleryRow("a", noise(1, 8, 4, 3))
    assert compose([row], title="a title that is far longer than one crop").width > compose([row]).width


def test_rows_of_different_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="one size"):
        compose([GalleryRow("a", noise(1, 8, 4, 3)), GalleryRow("b", noise(1, 8, 6, 3))])
    with pytest.raises(ValueError, match="at least one row"):
        compose([])


def test_rows_are_uint8_height_width_channels() -> None:
    with pytest.raises(ValueError, match="row 'a' must be uint8"):
        GalleryRow("a", noise(1, 3, 8, 4))


def test_a_failed_write_leaves_the_old_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_png(Image.new("RGB", (4, 4)), tmp_path / "p.png")
    before = path.read_bytes()

    def full_disk(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full_disk)
    with pytest.raises(OSError, match="No space"):
        save_png(Image.new("RGB", (8, 8)), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["p.png"]
