"""Photos as people have them: read as RGB whatever they are, and written back as the same kind of file."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import ExifTags, Image
from torch import Tensor

from anonbench.cache import write_atomic
from anonbench.datasets.images import is_deep, is_image, open_image, read_bytes
from anonbench.errors import CacheError, DataError

JPEG_OPTIONS = {"quality": 95, "subsampling": "4:4:4"}
"""How JPEG photos are written: finer than cameras do, so that the background is lost once only."""

WEBP_OPTIONS = {"quality": 95, "exact": True}
"""How lossy WebP photos are written; `exact` keeps colours under transparency."""

LOSSLESS_TIFF = ("raw", "packbits", "tiff_lzw", "tiff_adobe_deflate", "tiff_deflate")

KEPT_EXIF: Mapping[int | None, tuple[str, ...]] = {
    None: ("Make", "Model", "Software", "DateTime", "Artist", "Copyright"),
    ExifTags.IFD.Exif: (
        "DateTimeOriginal", "DateTimeDigitized", "OffsetTime", "OffsetTimeOriginal", "OffsetTimeDigitized",
        "SubsecTimeOriginal", "ExposureTime", "FNumber", "ExposureProgram", "ISOSpeedRatings",
        "ExposureBiasValue", "MeteringMode", "Flash", "FocalLength", "FocalLengthIn35mmFilm", "WhiteBalance",
        "LensMake", "LensModel",
    ),
    ExifTags.IFD.GPSInfo: (
        "GPSVersionID", "GPSLatitudeRef", "GPSLatitude", "GPSLongitudeRef", "GPSLongitude", "GPSAltitudeRef",
        "GPSAltitude", "GPSTimeStamp", "GPSImgDirectionRef", "GPSImgDirection", "GPSDateStamp",
    ),
}  # fmt: skip
"""EXIF entries that survive on request, by directory: camera, exposure, time and place. Thumbnails, maker
notes (which hold previews), serial numbers, descriptions and everything unknown never do."""


@dataclass(frozen=True)
class Photo:
    """A decoded photo, upright, and what is needed to write another one like it.

    image: uint8 (3, H, W), RGB. alpha: uint8 (H, W), none without transparency. grey: has no colours.
    format: of the file, as Pillow names it. options: for its encoder. exif: what `KEPT_EXIF` lets through.
    sha256: of the file.
    """

    image: Tensor
    alpha: Tensor | None
    grey: bool
    format: str
    options: Mapping[str, Any]
    exif: bytes
    sha256: str

    def write(self, image: Tensor, path: Path, keep_metadata: bool = False) -> None:
        """Write `image`, uint8 (3, H, W), as a file like the one that was read; atomically.

        Nothing of the file's metadata is written but its colour profile, without which colours change;
        keep_metadata: and `exif`. Raises DataError naming the file when it cannot be written.
        """
        picture = Image.fromarray(image.permute(1, 2, 0).contiguous().numpy())
        if self.grey:
            picture = picture.convert("L")  # exact where red, green and blue are equal
        if self.alpha is not None:
            picture.putalpha(Image.fromarray(self.alpha.numpy()))
        metadata = {"exif": self.exif} if keep_metadata and self.exif else {}
        try:
            write_atomic(
                path, lambda part: picture.save(part, format=self.format, **self.options, **metadata)
            )
        except CacheError as error:
            reason = getattr(error.__cause__, "strerror", None) or error.__cause__
            raise DataError(
                f"{path}: cannot write the file ({reason}); free space or choose another"
            ) from error


def read_photo(path: Path) -> Photo:
    """The photo in a file, turned upright by its EXIF orientation.

    Grey, palette and transparent images and CMYK become RGB; 16-bit images and files of several pictures
    are refused. Raises DataError naming the file.
    """
    content = read_bytes(path)
    upright = open_image(content, path)
    if is_deep(upright, content):
        raise DataError(f"{path}: a 16- or 32-bit image; convert it to 8 bits per channel")
    raw = Image.open(BytesIO(content))
    # A JPEG may carry a second picture (depth, gain map: format MPO), which shows the same people.
    name = "JPEG" if raw.format == "MPO" else str(raw.format)
    pictures = getattr(raw, "n_frames", 1)
    if name != "JPEG" and pictures > 1:
        raise DataError(f"{path}: holds {pictures} pictures; save each as a file of its own")
    colours, alpha = _planes(upright)
    return Photo(
        image=torch.from_numpy(np.array(colours.convert("RGB"))).permute(2, 0, 1).contiguous(),
        alpha=None if alpha is None else torch.from_numpy(np.array(alpha)),
        grey=colours.mode == "L",
        format=name,
        options=_encoder_options(raw, name, content),
        exif=_kept_exif(raw.getexif()),
        sha256=hashlib.sha256(content).hexdigest(),
    )


def images_below(folder: Path) -> tuple[list[str], int]:
    """Images in a folder, at any depth: their sorted paths relative to it; and how many other files there are.

    Hidden files count as neither. Raises DataError for no folder, and for one without images.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; give an image or a folder of images")
    files = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    seen = [file for file in files if not any(part.startswith(".") for part in file.parts)]
    images = sorted(file.as_posix() for file in seen if is_image(file))
    if not images:
        raise DataError(f"{folder}: 0 images among {len(seen)} files; give a folder of images")
    return images, len(seen) - len(images)


def _planes(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Colours as "L" or in a mode that converts to RGB, and the alpha channel, if there is one."""
    transparent = "transparency" in image.info or image.mode.endswith(("A", "a"))
    if image.mode in ("1", "L", "LA", "La"):
        image = image.convert("LA" if transparent else "L")
    elif transparent:
        image = image.convert("RGBA")
    if not transparent:
        return image, None
    *colours, alpha = image.split()
    return (colours[0] if len(colours) == 1 else Image.merge("RGB", colours)), alpha


def _encoder_options(image: Image.Image, name: str, content: bytes) -> dict[str, Any]:
    """What makes Pillow write a file like this one. The profile of CMYK colours does not fit RGB."""
    profile = None if image.mode in ("CMYK", "LAB", "YCbCr") else image.info.get("icc_profile")
    options: dict[str, Any] = {"icc_profile": profile} if profile else {}
    if name == "JPEG":
        options |= JPEG_OPTIONS
    elif name == "WEBP":
        options |= {"lossless": True, "exact": True} if b"VP8L" in content else WEBP_OPTIONS
    elif name == "TIFF":
        found = image.info.get("compression")
        options["compression"] = found if found in LOSSLESS_TIFF else "tiff_adobe_deflate"
    return options


def _kept_exif(exif: Image.Exif) -> bytes:
    """The entries of `KEPT_EXIF`, as bytes for Pillow; empty if there are none."""
    kept = Image.Exif()
    for directory, names in KEPT_EXIF.items():
        table = ExifTags.GPSTAGS if directory == ExifTags.IFD.GPSInfo else ExifTags.TAGS
        source = exif if directory is None else exif.get_ifd(directory)
        found = {tag: value for tag, value in source.items() if table.get(tag) in names}
        if directory is None:
            kept.update(found)
        elif found:
            kept.get_ifd(directory).update(found)
    return kept.tobytes() if len(kept) or any(kept.get_ifd(d) for d in KEPT_EXIF if d) else b""
