"""Reading image and mask files that may be anything: one form comes out, or one error that names the file."""

import struct
import warnings
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from anonbench.errors import DataError

EXTENSIONS = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
"""File name endings that count as images, compared in lower case."""

MAX_PIXELS = 64_000_000
"""Largest image that is decoded. A file of a few kilobytes can claim to hold gigabytes of pixels."""

_DECODER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    TypeError,
    struct.error,
    zlib.error,
)
_FORMATS = ("BMP", "JPEG", "PNG", "TIFF", "WEBP")
_DEEP = ("I;16", "I;16B", "I;16L", "I;16N", "I", "F")
_MODES = {"1": "black and white", "L": "grey", "P": "palette"}


def is_image(path: Path) -> bool:
    """Whether the file's name has the ending of an image; hidden files never count."""
    return path.suffix.lower() in EXTENSIONS and not path.name.startswith(".")


def read_image(path: Path) -> Tensor:
    """The image in a file: uint8 (3, H, W), RGB, turned upright by its EXIF orientation.

    Only 8-bit RGB is taken. Colours decide every measure, so an image that would have to be converted (grey,
    16 bits, transparency, palette, CMYK) is refused rather than guessed at. Raises DataError naming the file.
    """
    return decode_image(read_bytes(path), path)


def decode_image(content: bytes, path: Path) -> Tensor:
    """`read_image` for bytes already in memory; `path` names them in errors."""
    image = open_image(content, path)
    found = _unlike_rgb(image, content)
    if found:
        raise DataError(f"{path}: a {found} image; convert it to 8-bit RGB (Pillow: image.convert('RGB'))")
    pixels = np.array(image)
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def decode_mask(content: bytes, path: Path, size: tuple[int, int]) -> Tensor:
    """A person mask: bool (H, W), true = anonymize, from a grey file of values 0 and 255 or a 1-bit file.

    size: (H, W) that it must have. Other values are refused, since a mask of 0 and 1 in 8 bits would silently
    anonymize nothing. Raises DataError naming the file and, for a wrong size, both sizes.
    """
    mask = open_image(content, path)
    if (mask.height, mask.width) != tuple(size):
        raise DataError(
            f"{path}: the mask is {mask.height}x{mask.width} but its image is {size[0]}x{size[1]} "
            "(height x width); store the mask at the size of its image"
        )
    if mask.mode not in ("1", "L"):
        raise DataError(f"{path}: a mask is a grey PNG of 0 and 255, this is {mask.mode}; convert it to grey")
    values = np.array(mask.convert("L"))
    strange = np.setdiff1d(values, [0, 255])
    if strange.size:
        raise DataError(
            f"{path}: a mask holds only 0 (keep) and 255 (anonymize), found {strange[0]}; "
            "store it as PNG with these two values"
        )
    return torch.from_numpy(values == 255)


def read_bytes(path: Path) -> bytes:
    """The content of a file. Raises DataError when it cannot be read or is empty."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot read the file ({error.strerror}); check the path") from error
    if not content:
        raise DataError(f"{path}: the file is empty; copy it again or remove it")
    return content


def open_image(content: bytes, path: Path) -> Image.Image:
    """The decoded image, upright. Every way in which a decoder can fail ends here as one DataError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns below the limit of its own; ours is stricter
            image = Image.open(BytesIO(content), formats=_FORMATS)
            if image.width * image.height > MAX_PIXELS:
                raise Image.DecompressionBombError
            image.load()
            return ImageOps.exif_transpose(image)
    except Image.DecompressionBombError as error:
        limit = MAX_PIXELS // 1_000_000
        raise DataError(f"{path}: larger than {limit} million pixels; crop or shrink the image") from error
    except UnidentifiedImageError as error:
        names = ", ".join(_FORMATS)
        raise DataError(f"{path}: not an image ({names} are read); convert or remove the file") from error
    except _DECODER_ERRORS as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{path}: broken image ({reason}); copy it again or remove it") from error


def is_deep(image: Image.Image, content: bytes) -> bool:
    """Whether an image, decoded from `content`, has more than 8 bits per channel."""
    return image.mode in _DEEP or _png_bit_depth(content) > 8


def _unlike_rgb(image: Image.Image, content: bytes) -> str:
    """What makes an image something else than 8-bit RGB; empty if nothing does."""
    if is_deep(image, content):
        return "16- or 32-bit"
    if "transparency" in image.info or image.mode.endswith(("A", "a")):
        return "transparent"
    return "" if image.mode == "RGB" else _MODES.get(image.mode, image.mode)


def _png_bit_depth(content: bytes) -> int:
    """The bit depth that a PNG file declares (Pillow reads 16-bit RGB as 8-bit); 0 for other formats."""
    return content[24] if content.startswith(b"\x89PNG\r\n\x1a\n") and len(content) > 24 else 0
