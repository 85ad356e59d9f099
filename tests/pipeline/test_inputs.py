"""Photos of every kind are read as RGB and written back as what they were, without what was hidden in them."""

import struct
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image, ImageCms

from anonbench.errors import DataError
from anonbench.pipeline.inputs import images_below, read_photo

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def pixels(*channels: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (20, 30, *channels), dtype=np.uint8)


def save(path: Path, image: Image.Image, **options: Any) -> Path:
    image.save(path, **options)
    return path


def through(path: Path, keep_metadata: bool = False) -> Image.Image:
    """A photo read and written again, unchanged."""
    photo = read_photo(path)
    out = path.with_name(f"out{path.suffix}")
    photo.write(photo.image, out, keep_metadata)
    return Image.open(out)


KINDS = {
    "rgb.png": Image.fromarray(pixels(3)),
    "rgb.bmp": Image.fromarray(pixels(3)),
    "rgb.tif": Image.fromarray(pixels(3)),
    "grey.png": Image.fromarray(pixels()),
    "rgba.png": Image.fromarray(pixels(4)),
    "grey_alpha.png": Image.fromarray(pixels(2)),
    "one_bit.png": Image.fromarray(pixels() > 127),
    "palette.png": Image.fromarray(pixels(3)).quantize(16),
}


@pytest.mark.parametrize("name", KINDS)
def test_lossless_photos_come_back_with_every_pixel(tmp_path: Path, name: str) -> None:
    image = KINDS[name]
    path = save(tmp_path / name, image)
    photo = read_photo(path)
    assert photo.image.shape == (3, 20, 30)
    assert photo.image.dtype == torch.uint8
    done = through(path)
    mode = {"1": "L", "P": "RGB"}.get(image.mode, image.mode)
    assert done.mode == mode
    assert np.array_equal(np.array(done), np.array(image.convert(mode)))


@pytest.mark.parametrize(("suffix", "lossless"), [(".jpg", False), (".webp", False), (".webp", True)])
def test_the_same_kind_of_file_comes_out(tmp_path: Path, suffix: str, lossless: bool) -> None:
    smooth = Image.fromarray(pixels(3)).resize((200, 150), Image.Resampling.BICUBIC)
    options = {"lossless": lossless} if suffix == ".webp" else {"quality": 90}
    path = save(tmp_path / f"photo{suffix}", smooth, **options)
    done, was = through(path), Image.open(path)
    assert done.format == was.format
    changed = np.abs(np.array(done).astype(int) - np.array(was))
    assert changed.max() == 0 if lossless else changed.mean() < 3


def test_a_palette_with_transparency_keeps_its_alpha(tmp_path: Path) -> None:
    image = Image.fromarray(pixels(3)).quantize(16)
    done = through(save(tmp_path / "p.png", image, transparency=3))
    assert done.mode == "RGBA"
    assert np.array_equal(np.array(done)[..., 3] == 0, np.array(image) == 3)


def test_cmyk_becomes_rgb_without_the_profile_of_its_inks(tmp_path: Path) -> None:
    path = save(tmp_path / "print.jpg", Image.fromarray(pixels(4), "CMYK"), icc_profile=SRGB)
    done = through(path)
    assert done.mode == "RGB"
    assert "icc_profile" not in done.info


def test_sixteen_bits_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "deep.png", Image.fromarray(pixels().astype(np.uint16) * 257))
    with pytest.raises(DataError, match=r"deep\.png: a 16- or 32-bit image; convert it"):
        read_photo(path)


def test_animations_are_refused(tmp_path: Path) -> None:
    frames = [Image.fromarray(pixels(3)), Image.fromarray(255 - pixels(3))]
    path = save(tmp_path / "moving.webp", frames[0], save_all=True, append_images=frames[1:])
    with pytest.raises(DataError, match=r"moving\.webp: holds 2 pictures"):
        read_photo(path)


def test_of_a_phone_picture_with_a_second_view_the_first_is_taken(tmp_path: Path) -> None:
    frames = [Image.fromarray(pixels(3)), Image.fromarray(255 - pixels(3))]
    path = tmp_path / "depth.jpg"
    frames[0].save(path, format="MPO", save_all=True, append_images=frames[1:])
    done = through(path)
    assert done.format == "JPEG"
    assert getattr(done, "n_frames", 1) == 1


def with_thumbnail(exif: bytes) -> bytes:
    """EXIF that ends in a second directory, which holds a small JPEG, as cameras write it (Pillow does not)."""
    picture = BytesIO()
    Image.fromarray(pixels(3)).save(picture, "JPEG", comment=b"THUMBNAIL")
    header, tiff = exif[:6], exif[6:]
    order = "<" if tiff.startswith(b"II") else ">"
    first = struct.unpack_from(order + "I", tiff, 4)[0]
    entries = struct.unpack_from(order + "H", tiff, first)[0]
    link = first + 2 + 12 * entries
    second = len(tiff)
    values = ((0x0201, second + 2 + 2 * 12 + 4), (0x0202, len(picture.getvalue())))
    directory = struct.pack(order + "H", 2)
    directory += b"".join(struct.pack(order + "HHII", tag, 4, 1, value) for tag, value in values)
    linked = tiff[:link] + struct.pack(order + "I", second) + tiff[link + 4 :]
    return header + linked + directory + bytes(4) + picture.getvalue()


def phone_photo(path: Path) -> Path:
    """A photo turned by its EXIF, with a place, a thumbnail, maker notes, a name and XMP."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.Model] = "Camera 1"
    exif[ExifTags.Base.ImageDescription] = "Jane at home"
    exif.get_ifd(ExifTags.IFD.Exif).update(
        {ExifTags.Base.DateTimeOriginal: "2026:01:02 03:04:05", ExifTags.Base.MakerNote: b"preview" * 50}
    )
    exif.get_ifd(ExifTags.IFD.GPSInfo).update(
        {ExifTags.GPS.GPSLatitudeRef: "N", ExifTags.GPS.GPSLatitude: (63.0, 25.0, 1.0)}
    )
    xmp = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>Jane</x:xmpmeta>"
    image = Image.fromarray(pixels(3))
    image.save(
        path, exif=with_thumbnail(exif.tobytes()), icc_profile=SRGB, xmp=xmp, comment=b"Jane", quality=95
    )
    assert b"THUMBNAIL" in path.read_bytes()
    return path


def test_a_turned_photo_comes_out_upright_and_without_metadata(tmp_path: Path) -> None:
    path = phone_photo(tmp_path / "phone.jpg")
    done = through(path)
    assert done.size == (20, 30)
    assert not dict(done.getexif())
    content = (tmp_path / "out.jpg").read_bytes()
    assert not any(word in content for word in (b"Jane", b"THUMBNAIL", b"Camera", b"preview"))
    assert done.info["icc_profile"] == SRGB


def test_metadata_that_is_kept_names_camera_time_and_place_and_hides_nothing(tmp_path: Path) -> None:
    done = through(phone_photo(tmp_path / "phone.jpg"), keep_metadata=True)
    exif = done.getexif()
    assert done.size == (20, 30)
    assert exif.get(ExifTags.Base.Orientation) is None
    assert exif[ExifTags.Base.Model] == "Camera 1"
    assert exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] == "2026:01:02 03:04:05"
    assert exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] == (63.0, 25.0, 1.0)
    content = (tmp_path / "out.jpg").read_bytes()
    assert not any(word in content for word in (b"Jane", b"THUMBNAIL", b"preview"))


def test_a_full_disk_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "photo.png", KINDS["rgb.png"])
    photo = read_photo(path)

    def fill(self: Image.Image, target: Path, **options: Any) -> None:
        Path(target).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", fill)
    with pytest.raises(DataError, match=r"out\.png: cannot write the file \(No space left on device\)"):
        photo.write(photo.image, tmp_path / "out.png")
    assert [p.name for p in tmp_path.iterdir()] == ["photo.png"]


def test_folders_are_searched_at_every_depth_and_other_files_counted(tmp_path: Path) -> None:
    for name in ("b.png", "a/c.JPG", "a/.hidden.png", ".git/d.png", "notes.txt", "clip.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert images_below(tmp_path) == (["a/c.JPG", "b.png"], 2)


def test_a_folder_without_images_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="0 images among 0 files"):
        images_below(tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        images_below(tmp_path / "nowhere")
