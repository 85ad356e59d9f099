"""One sample of a FDH shard: what its members hold, both ways.

The layout is that of DeepPrivacy2's FDH (Hukkelås & Lindseth, WACV 2023; `dp2/data/datasets/fdh.py` of its
repository), so that shards written here can be read there and the other way round:

    KEY.image.png          RGB crop
    KEY.mask.png           1 or 255 where pixels are KEPT: the opposite sign of our person mask
    KEY.maskrcnn_mask.png  1 or 255 where a detector sees the person; written, never read
    KEY.vertices.npy       integer vertex id of the body template per pixel
    KEY.e_mask.png         1 or 255 where `vertices` means something (also named E_mask.png)
    KEY.keypoints.npy      (17, 3) COCO order, x and y in units of the crop's width and height, visibility
"""

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anonbench.crops import KEYPOINTS, NO_VERTEX
from anonbench.datasets.images import decode_image, open_image
from anonbench.errors import DataError

IMAGE, MASK, DETECTED = "image.png", "mask.png", "maskrcnn_mask.png"
VERTICES, SURFACE_MASK, POINTS = "vertices.npy", "e_mask.png", "keypoints.npy"

READ_MEMBERS = (IMAGE, MASK, VERTICES, SURFACE_MASK, POINTS)
"""What every sample must have."""

_ARRAY_ERRORS = (ValueError, EOFError, OSError, MemoryError, SyntaxError, TypeError, OverflowError)


@dataclass(frozen=True)
class Sample:
    """One crop of H x W, as `PersonCrops` holds it.

    image: uint8 (3, H, W). person_mask: bool (H, W), true = anonymize. surface: int32 (H, W), -1 outside.
    keypoints: float32 (17, 3), pixels and visibility.
    """

    image: NDArray[np.uint8]
    person_mask: NDArray[np.bool_]
    surface: NDArray[np.int32]
    keypoints: NDArray[np.float32]

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        return self.image.shape[1], self.image.shape[2]


def encode(sample: Sample) -> dict[str, bytes]:
    """The members of a sample by name, in the order in which they are written; equal samples, equal bytes."""
    valid = sample.surface != NO_VERTEX
    vertices = np.where(valid, sample.surface, 0)
    dtype = np.int16 if vertices.max() < 2**15 else np.int32  # halves what is written
    return {
        IMAGE: _png(sample.image.transpose(1, 2, 0)),
        MASK: _png(~sample.person_mask),
        DETECTED: _png(sample.person_mask),
        VERTICES: _npy(vertices.astype(dtype)),
        SURFACE_MASK: _png(valid),
        POINTS: _npy(keypoints_to_unit(sample.keypoints, sample.size)),
    }


def decode(members: Mapping[str, bytes], key: Path, vertex_count: int) -> Sample:
    """The sample in `members`, which holds READ_MEMBERS.

    key: shard and key, for errors. vertex_count: vertices of the body template. Raises DataError.
    """
    image = decode_image(members[IMAGE], _member(key, IMAGE)).numpy()
    size = (image.shape[1], image.shape[2])
    vertices = _vertices(members[VERTICES], _member(key, VERTICES), size)
    valid = _binary(members[SURFACE_MASK], _member(key, SURFACE_MASK), size)
    seen = vertices[valid]
    if seen.size and (seen.min() < 0 or seen.max() >= vertex_count):
        raise DataError(
            f"{_member(key, VERTICES)}: vertex ids {seen.min()} to {seen.max()}, the body template has "
            f"{vertex_count}; the shards were made with another template"
        )
    return Sample(
        image=image,
        person_mask=~_binary(members[MASK], _member(key, MASK), size),
        surface=np.where(valid, vertices, NO_VERTEX).astype(np.int32),
        keypoints=_keypoints(members[POINTS], _member(key, POINTS), size),
    )


def keypoints_to_pixels(unit: NDArray[np.floating[Any]], size: tuple[int, int]) -> NDArray[np.float32]:
    """FDH's keypoints (17, 3) in pixels of a crop of `size` (H, W): float32, visibility in [0, 1].

    A point outside the crop is unknown, whatever its visibility says: FDH's own reader does the same.
    """
    scale = np.array([size[1], size[0]], dtype=np.float64)
    position = unit[:, :2].astype(np.float64)
    inside = ((position >= 0) & (position <= 1)).all(axis=1)
    visibility = np.clip(unit[:, 2], 0, 1) * inside
    return np.column_stack([position * scale, visibility]).astype(np.float32)


def keypoints_to_unit(pixels: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float64]:
    """The opposite of `keypoints_to_pixels`. float64, since only that gives the same pixels back to the bit."""
    scale = np.array([size[1], size[0], 1], dtype=np.float64)
    return pixels.astype(np.float64) / scale


def _member(key: Path, extension: str) -> Path:
    return key.with_name(f"{key.name}.{extension}")


def _png(pixels: NDArray[Any]) -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def _npy(array: NDArray[Any]) -> bytes:
    buffer = BytesIO()
    np.lib.format.write_array(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _read_npy(content: bytes, member: Path) -> NDArray[Any]:
    try:
        array: NDArray[Any] = np.lib.format.read_array(BytesIO(content), allow_pickle=False)
        return array
    except _ARRAY_ERRORS as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{member}: not a NumPy array ({reason}); copy the shard again") from error


def _binary(content: bytes, member: Path, size: tuple[int, int]) -> NDArray[np.bool_]:
    """A mask of 0 and 1 or 255: bool (H, W)."""
    mask = open_image(content, member)
    if (mask.height, mask.width) != size:
        raise DataError(f"{member}: {mask.height}x{mask.width}, but the image is {size[0]}x{size[1]}")
    if mask.mode == "1":
        return np.array(mask)
    values = np.array(mask)
    if mask.mode != "L" or ((values > 1) & (values < 255)).any():
        raise DataError(f"{member}: a mask is a grey PNG of 0 and 1 or 0 and 255; write it again")
    found: NDArray[np.bool_] = values > 0
    return found


def _vertices(content: bytes, member: Path, size: tuple[int, int]) -> NDArray[Any]:
    """Vertex ids, integers (H, W); a third axis of length 1, as some writers leave it, is dropped."""
    found = _read_npy(content, member)
    if found.ndim == 3 and 1 in (found.shape[0], found.shape[2]):
        found = found.squeeze(0 if found.shape[0] == 1 else 2)
    if found.shape != size or not np.issubdtype(found.dtype, np.integer):
        raise DataError(f"{member}: must be integers {size}, got {found.dtype} {found.shape}; write it again")
    return found


def _keypoints(content: bytes, member: Path, size: tuple[int, int]) -> NDArray[np.float32]:
    found = _read_npy(content, member)
    wanted = (len(KEYPOINTS), 3)
    if found.shape != wanted or not np.issubdtype(found.dtype, np.floating) or not np.isfinite(found).all():
        raise DataError(
            f"{member}: must be finite floats {wanted}, got {found.dtype} {found.shape}; write it again"
        )
    return keypoints_to_pixels(found, size)
