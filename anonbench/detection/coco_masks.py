"""Masks as COCO's compressed run lengths and polygons, checked before pycocotools sees them."""

import re
from collections.abc import Sequence

import numpy as np
import torch
from pycocotools import mask as coco
from torch import Tensor

_COUNTS = re.compile(r"[0-o]*[0-O]")
"""pycocotools' characters; the last one must not announce another, or it would be sought beyond the text."""


def encode(mask: Tensor) -> str:
    """The `counts` of COCO's compressed RLE of a mask, bool (H, W)."""
    runs = coco.encode(np.asfortranarray(mask.numpy().astype(np.uint8)))
    return bytes(runs["counts"]).decode("ascii")


def decode(counts: str, size: tuple[int, int]) -> Tensor:
    """The mask, bool (H, W), whose compressed RLE is `counts`.

    Raises ValueError when they are not run lengths that fill an image of `size` (H, W) exactly.
    """
    if not _COUNTS.fullmatch(counts):
        raise ValueError("not COCO's compressed run lengths")
    mask = coco.decode({"size": list(size), "counts": counts.encode("ascii")})
    decoded = torch.from_numpy(np.ascontiguousarray(mask)).bool()
    # Runs that end early leave memory that was never written; then the mask has other runs than these.
    if encode(decoded) != counts:
        raise ValueError(f"its runs do not fill an image of {size[0]}x{size[1]} (height x width)")
    return decoded


def fill_polygons(polygons: Sequence[Sequence[float]], size: tuple[int, int]) -> Tensor:
    """The mask, bool (H, W), of the union of polygons, each x0, y0, x1, y1, ... in pixels.

    Raises ValueError when one has fewer than three points or leaves the image.
    """
    h, w = size
    for polygon in polygons:
        if len(polygon) < 6 or len(polygon) % 2:
            raise ValueError("a polygon is x, y of three points or more")
        if not all(0 <= x <= w for x in polygon[::2]) or not all(0 <= y <= h for y in polygon[1::2]):
            raise ValueError(f"a polygon leaves the image of {h}x{w} (height x width)")
    runs = coco.merge(coco.frPyObjects([list(polygon) for polygon in polygons], h, w))
    return torch.from_numpy(np.ascontiguousarray(coco.decode(runs))).bool()
