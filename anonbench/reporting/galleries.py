"""Galleries: rows of models, columns of poses, backgrounds or samples (thesis Figures 5.1 to 5.3).

A protocol stores a strip per model and figure: crops side by side at their own resolution, in one PNG. The
report joins the strips of several models into one picture.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from anonbench.errors import DataError
from anonbench.reporting.files import replacing

Images = NDArray[np.uint8]
"""uint8 (N, H, W, 3), RGB."""

READABLE_HEIGHT = 128
"""Pixels that a cell is at least enlarged to when no scale is given."""

MAX_PIXELS = 50_000_000
"""A strip with more pixels is refused unread."""

_MARGIN, _GAP, _FONT_SIZE, _TITLE_SIZE = 16, 3, 15, 19
_INK, _QUIET, _PAPER = (26, 26, 26), (105, 105, 105), (255, 255, 255)


@dataclass(frozen=True)
class GalleryRow:
    """One row: a label and its images, uint8 (N, H, W, 3). A header is drawn where `group` changes."""

    label: str
    images: Images
    group: str = ""

    def __post_init__(self) -> None:
        if self.images.dtype != np.uint8 or self.images.ndim != 4 or self.images.shape[-1] != 3:
            raise ValueError(
                f"row '{self.label}' must be uint8 (N, H, W, 3), got {self.images.dtype} {self.images.shape}"
            )


def write_strip(images: Any, path: Path) -> Path:
    """Store images side by side in one PNG: uint8 (N, 3, H, W), an array or a CPU tensor. Returns `path`."""
    array = np.asarray(images)
    if array.dtype != np.uint8 or array.ndim != 4 or array.shape[1] != 3 or len(array) == 0:
        raise ValueError(f"a strip is uint8 (N, 3, H, W) with N > 0, got {array.dtype} {array.shape}")
    return save_png(Image.fromarray(np.concatenate(list(array.transpose(0, 2, 3, 1)), axis=1)), path)


def read_strip(path: Path, cell_width: int) -> Images:
    """The images of a strip, uint8 (N, H, W, 3), each `cell_width` pixels wide.

    Raises DataError where the file is no such strip.
    """
    try:
        with Image.open(path, formats=["PNG"]) as image:
            if image.width * image.height > MAX_PIXELS:
                raise DataError(f"{path}: {image.width} x {image.height} pixels are too many for a strip")
            pixels = np.asarray(image.convert("RGB"), dtype=np.uint8)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"{path}: cannot read the gallery strip ({error}); run the protocol again") from error
    height, width, _ = pixels.shape
    if width % cell_width:
        raise DataError(f"{path}: {width} pixels are no multiple of {cell_width}; run the protocol again")
    return np.ascontiguousarray(pixels.reshape(height, -1, cell_width, 3).transpose(1, 0, 2, 3))


def compose(
    rows: Sequence[GalleryRow], column_labels: Sequence[str] = (), title: str = "", scale: int | None = None
) -> Image.Image:
    """One picture from rows of images of one size.

    column_labels: above the columns; rows with fewer images leave the rest of their line empty.
    scale: whole factor of enlargement (Lanczos); None: the smallest that makes cells `READABLE_HEIGHT` high.

    Raises ValueError for no rows, or for rows whose images differ in size.
    """
    if not rows or len({row.images.shape[1:] for row in rows}) != 1:
        raise ValueError("a gallery needs at least one row, and images of one size")
    height, width = rows[0].images.shape[1:3]
    factor = scale or max(1, math.ceil(READABLE_HEIGHT / height))
    layout = _Layout.fit(rows, column_labels, title, (height * factor, width * factor))
    canvas = Image.new("RGB", layout.size, _PAPER)
    draw = ImageDraw.Draw(canvas)
    if title:
        draw.text((_MARGIN, _MARGIN), title, fill=_INK, font=_font(_TITLE_SIZE))
    for column, label in enumerate(column_labels):
        draw.text((layout.centre(column), layout.header), label, fill=_QUIET, font=_font(), anchor="ma")
    for row, top in zip(rows, layout.tops, strict=True):
        draw.text((_MARGIN, top + layout.cell[0] // 2), row.label, fill=_INK, font=_font(), anchor="lm")
        for column, image in enumerate(row.images):
            cell = Image.fromarray(image).resize((width * factor, height * factor), Image.Resampling.LANCZOS)
            canvas.paste(cell, (layout.left(column), top))
    for group, top in layout.groups:
        draw.line((_MARGIN, top + 4, layout.size[0] - _MARGIN, top + 4), fill=(200, 200, 200))
        draw.text((_MARGIN, top + 10), group, fill=_QUIET, font=_font())
    return canvas


def save_png(image: Image.Image, path: Path) -> Path:
    """Write a PNG atomically; returns `path`."""
    with replacing(path) as temporary:
        image.save(temporary, format="PNG")
    return path


@dataclass(frozen=True)
class _Layout:
    """Where everything stands, in pixels. cell: (height, width); groups: header and its top."""

    cell: tuple[int, int]
    first_column: int
    header: int
    tops: tuple[int, ...]
    groups: tuple[tuple[str, int], ...]
    size: tuple[int, int]

    @classmethod
    def fit(
        cls, rows: Sequence[GalleryRow], column_labels: Sequence[str], title: str, cell: tuple[int, int]
    ) -> "_Layout":
        first_column = _MARGIN + math.ceil(max(_font().getlength(row.label) for row in rows)) + _MARGIN
        header = _MARGIN + (_TITLE_SIZE + 14 if title else 0)
        y = header + (_FONT_SIZE + 8 if column_labels else 0)
        tops, groups, group = [], [], ""
        for row in rows:
            if row.group != group:
                group = row.group
                groups.append((group, y))
                y += _FONT_SIZE + 20
            tops.append(y)
            y += cell[0] + _GAP
        columns = max(len(column_labels), *(len(row.images) for row in rows))
        width = first_column + columns * (cell[1] + _GAP) - _GAP + _MARGIN
        width = max(width, 2 * _MARGIN + math.ceil(_font(_TITLE_SIZE).getlength(title)))
        return cls(cell, first_column, header, tuple(tops), tuple(groups), (width, y - _GAP + _MARGIN))

    def left(self, column: int) -> int:
        return self.first_column + column * (self.cell[1] + _GAP)

    def centre(self, column: int) -> int:
        return self.left(column) + self.cell[1] // 2


def _font(size: int = _FONT_SIZE) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
