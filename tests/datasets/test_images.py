"""Claims about the image and mask readers: any file gives one form or one error that names it."""

import contextlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from anonbench.datasets import images
from anonbench.datasets.images import decode_image, decode_mask, is_image, read_image
from anonbench.errors import DataError

PATH = Path("some/file.png")
RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (6, 4, 3), dtype=np.uint8)


def encoded(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def hwc(image: torch.Tensor) -> np.ndarray:
    return image.permute(1, 2, 0).numpy()


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF"])
def test_colour_files_come_back_exactly(form):
    image = decode_image(encoded(Image.fromarray(COLOUR), form), PATH)
    assert image.dtype == torch.uint8
    assert image.is_contiguous()
    np.testing.assert_array_equal(hwc(image), COLOUR)


FLAT = Image.fromarray(np.full((4, 4, 3), [200, 30, 60], dtype=np.uint8))


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (encoded(Image.fromarray(COLOUR[..., 0])), "grey"),
        (encoded(Image.fromarray(np.full((4, 4), 9000, np.uint16))), "16- or 32-bit"),
        (encoded(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF"), "16- or 32-bit"),
        (encoded(Image.fromarray(np.dstack([COLOUR, COLOUR[..., :1]]))), "transparent"),
        (encoded(FLAT, transparency=(200, 30, 60)), "transparent"),
        (encoded(FLAT.quantize(4)), "palette"),
        (encoded(FLAT.convert("CMYK"), "JPEG"), "CMYK"),
        (encoded(FLAT.convert("1")), "black and white"),
    ],
)
def test_what_is_not_8_bit_rgb_is_refused_with_a_mend(content, found):
    with pytest.raises(DataError, match=f"some/file.png: a {found} image; convert it to 8-bit RGB"):
        decode_image(content, PATH)


def test_a_png_of_16_bit_rgb_is_refused_although_pillow_would_shrink_it():
    # Pillow writes no 16-bit RGB: a header that declares it, over any data.
    content = bytearray(encoded(FLAT))
    content[24] = 16
    with pytest.raises(DataError, match=r"some/file\.png"):
        decode_image(bytes(content), PATH)


def test_the_orientation_in_exif_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to show
    image = decode_image(encoded(Image.fromarray(COLOUR), exif=exif), PATH)
    np.testing.assert_array_equal(hwc(image), np.rot90(COLOUR, -1))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"this is text", "not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n", "not an image"),
        (
            encoded(Image.fromarray(RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)), "JPEG")[:900],
            "broken image",
        ),
        (b"", "empty"),
    ],
    ids=["text", "postscript", "truncated", "empty"],
)
def test_files_that_are_no_whole_image_are_named_with_a_mend(tmp_path, content, reason):
    path = tmp_path / "0001_c1s1_000001_01.jpg"
    path.write_bytes(content)
    with pytest.raises(DataError, match=reason) as caught:
        read_image(path)
    message = str(caught.value)
    assert str(path) in message
    assert "remove" in message
    assert "\n" not in message


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"gone\.jpg"):
        read_image(tmp_path / "gone.jpg")


def test_an_image_over_the_pixel_limit_is_refused_before_it_is_decoded(monkeypatch):
    content = encoded(Image.fromarray(COLOUR))
    monkeypatch.setattr(images, "MAX_PIXELS", COLOUR.shape[0] * COLOUR.shape[1] - 1)
    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", lambda _: pytest.fail("decoded"))
    with pytest.raises(DataError, match="million pixels"):
        decode_image(content, PATH)


WHOLE = {form: encoded(Image.fromarray(RNG.integers(0, 256, (16, 12, 3), dtype=np.uint8)), form) for form in
         ("PNG", "JPEG", "BMP", "WEBP", "TIFF")}  # fmt: skip


FLIPS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=4)


@settings(max_examples=150)
@given(form=st.sampled_from(sorted(WHOLE)), cut=st.floats(0.01, 1), flips=FLIPS)
def test_damaged_bytes_give_an_image_or_a_data_error_and_nothing_else(form, cut, flips):
    content = bytearray(WHOLE[form][: max(1, int(len(WHOLE[form]) * cut))])
    for where, value in flips:
        content[int(where * (len(content) - 1))] = value
    with contextlib.suppress(DataError):
        image = decode_image(bytes(content), PATH)
        assert image.dtype == torch.uint8
        assert image.shape[0] == 3


@settings(max_examples=30)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 2**32 - 1), st.sampled_from(["1", "L"]))
def test_masks_survive_a_round_trip(height, width, seed, mode):
    mask = np.random.default_rng(seed).random((height, width)) < 0.5
    stored = Image.fromarray(mask.astype(np.uint8) * 255).convert(mode)
    np.testing.assert_array_equal(decode_mask(encoded(stored), PATH, (height, width)).numpy(), mask)


def test_a_mask_of_another_size_names_both_sizes():
    with pytest.raises(DataError, match=r"file\.png: the mask is 6x4 but its image is 128x64"):
        decode_mask(encoded(Image.fromarray(COLOUR[..., 0])), PATH, (128, 64))


def test_a_mask_of_zeros_and_ones_is_refused_instead_of_read_as_empty():
    ones = Image.fromarray(np.ones((6, 4), dtype=np.uint8))
    with pytest.raises(DataError, match=r"0 \(keep\) and 255 \(anonymize\), found 1"):
        decode_mask(encoded(ones), PATH, (6, 4))


def test_a_colour_mask_is_refused():
    with pytest.raises(DataError, match="grey"):
        decode_mask(encoded(Image.fromarray(COLOUR)), PATH, (6, 4))


def test_endings_count_in_any_case_and_hidden_files_never():
    assert is_image(Path("a/B.JPG"))
    assert is_image(Path("x.webp"))
    assert not is_image(Path("._x.jpg"))
    assert not is_image(Path("Thumbs.db"))
