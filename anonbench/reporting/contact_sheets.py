"""Contact sheets: many pictures of one size, each with a line of text, for the human eye."""

import math
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from anonbench.reporting.galleries import Images

PAGE = 60
"""Pictures on a page."""

_MARGIN, _GAP, _CAPTION, _FONT_SIZE = 16, 10, 18, 13
_INK, _PAPER = (26, 26, 26), (255, 255, 255)


def contact_sheet(images: Images, captions: Sequence[str], columns: int = 6) -> Image.Image:
    """One picture of all `images`, uint8 (N, H, W, 3), in rows of `columns`, captions below them.

    A caption that is wider than its picture is cut. ValueError for no images, or another number of captions.
    """
    if len(images) == 0 or len(captions) != len(images):
        raise ValueError(
            f"a contact sheet needs pictures with one caption each, got {len(images)} and {len(captions)}"
        )
    height, width = images.shape[1:3]
    columns = min(columns, len(images))
    step = height + _CAPTION + _GAP, width + _GAP
    size = (
        2 * _MARGIN + columns * step[1] - _GAP,
        2 * _MARGIN + math.ceil(len(images) / columns) * step[0] - _GAP,
    )
    canvas = Image.new("RGB", size, _PAPER)
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(_FONT_SIZE)
    for place, (image, caption) in enumerate(zip(images, captions, strict=True)):
        row, column = divmod(place, columns)
        left, top = _MARGIN + column * step[1], _MARGIN + row * step[0]
        canvas.paste(Image.fromarray(image), (left, top))
        while draw.textlength(caption, font) > width:
            caption = caption[:-1]
        draw.text((left, top + height + 2), caption, fill=_INK, font=font)
    return canvas


def page_paths(path: Path, pictures: int) -> list[Path]:
    """The files of `pictures` pictures, PAGE each: FILE.png, FILE.2.png and so on."""
    pages = math.ceil(pictures / PAGE)
    return [path if page == 1 else path.with_suffix(f".{page}{path.suffix}") for page in range(1, pages + 1)]
