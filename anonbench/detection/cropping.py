"""From an image and the people in it to person crops, one person each, as generators are trained on them."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from anonbench.crops import NO_VERTEX, UNKNOWN_ID, PersonCrops
from anonbench.detection.people import Person, PersonDetections, Window

CROP_SIZE = (288, 160)
"""(H, W) of a crop (thesis section 4.3.2)."""

MARGIN = 0.1
"""Both sides of a person's bounds grow by this share of the square root of their area.

It is what FDH's crops were cut with (`axis_minimum_expansion` in DeepPrivacy2's configs). A standing person
then fills 0.9 to 0.95 of the height, as in the synthetic crops.
"""

BACKGROUND = 0.3
"""Least share of a crop that is not the person (`percentage_background` in DeepPrivacy2's configs)."""


def crop_window(person: Person, size: tuple[int, int] = CROP_SIZE) -> Window:
    """The part of the image that a crop of `size` (H, W) shows: the person in its middle, the aspect of `size`.

    The window may reach beyond the image, and holds the person's whole mask. Moving it into the image instead,
    as FDH's were, puts people whom the border cuts beside the middle, where the surface head was not trained:
    its median error for half a person rose from 7.4 to 10.4 cm.
    """
    h, w = person.window.size
    margin = MARGIN * math.sqrt(h * w)
    area = int(person.mask.sum()) / (1 - BACKGROUND)
    aspect = size[0] / size[1]
    height = math.ceil(max(h + margin, (w + margin) * aspect, math.sqrt(area * aspect)))
    width = math.ceil(height / aspect)
    top = math.floor((person.window.top + person.window.bottom - height) / 2)
    left = math.floor((person.window.left + person.window.right - width) / 2)
    return Window(top, left, top + height, left + width)


def crop_people(
    image: Tensor,
    detections: PersonDetections,
    size: tuple[int, int] = CROP_SIZE,
    keys: Sequence[str] | None = None,
    cover_all: bool = False,
) -> tuple[PersonCrops, tuple[Window, ...]]:
    """One crop per person, in the order of `detections`, and the window of the image that each shows.

    image: uint8 (3, H, W); size: (H, W) of the crops; keys: their names, else "0", "1" and so on.
    A crop's mask, surface and keypoints are of its own person alone, whoever else is in view. Beyond the
    image its edge pixels are repeated. Masks are resampled by area (>= 0.5), surfaces by nearest pixel.
    cover_all: mask every pixel that received any of the person's colour, so that none is left outside.
    Raises ValueError when the image is not of the size that the detections are of.
    """
    if tuple(image.shape[1:]) != detections.size:
        raise ValueError(f"an image of {tuple(image.shape[1:])} and detections of {detections.size}")
    people = detections.people
    windows = tuple(crop_window(person, size) for person in people)
    pairs = list(zip(people, windows, strict=True))
    n = len(people)
    crops = PersonCrops(
        image=_stack([cut_out(image, window, size) for window in windows], (0, 3, *size), torch.uint8),
        person_mask=_stack(
            [_mask(person, window, size, cover_all) for person, window in pairs], (0, 1, *size), torch.bool
        ),
        surface=_stack([_surface(person, window, size) for person, window in pairs], (0, *size), torch.int32),
        keypoints=_stack(
            [_keypoints(person, window, size) for person, window in pairs], (0, 17, 3), torch.float32
        ),
        person_id=torch.full((n,), UNKNOWN_ID, dtype=torch.int64),
        camera_id=torch.full((n,), UNKNOWN_ID, dtype=torch.int64),
        outcome=torch.tensor([int(person.outcome) for person in people], dtype=torch.int64),
        key=tuple(keys) if keys is not None else tuple(str(i) for i in range(n)),
        template=detections.template,
    )
    return crops, windows


def cut_out(image: Tensor, window: Window, size: tuple[int, int]) -> Tensor:
    """What `window` shows of an image, uint8 (3, H, W), at `size` (h, w): uint8 (3, h, w).

    The window may reach beyond the image, whose edge pixels are repeated there, but must meet it.
    Raises ValueError where it does not.
    """
    inside = _within(window, Window(0, 0, image.shape[1], image.shape[2]))
    found = _resample(image[(slice(None), *inside.slices)].float(), inside, window, size, "replicate")
    return found.round().clamp(0, 255).to(torch.uint8)


def _stack(parts: list[Tensor], empty: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    return torch.stack(parts) if parts else torch.empty(empty, dtype=dtype)


def _mask(person: Person, window: Window, size: tuple[int, int], cover_all: bool) -> Tensor:
    """bool (1, h, w): the person's mask in the window."""
    share = _resample(person.mask[None].float(), person.window, window, size, "constant")
    return share > 0 if cover_all else share >= 0.5


def _surface(person: Person, window: Window, size: tuple[int, int]) -> Tensor:
    """int32 (h, w): vertices of the person at the centres of the crop's pixels."""
    (h, w), (height, width), own = size, window.size, person.window
    rows = ((torch.arange(h) + 0.5) * height / h + window.top - own.top).floor().long()
    columns = ((torch.arange(w) + 0.5) * width / w + window.left - own.left).floor().long()
    known = ((rows >= 0) & (rows < own.size[0]))[:, None] & ((columns >= 0) & (columns < own.size[1]))[None]
    found = person.surface[rows.clamp(0, own.size[0] - 1)][:, columns.clamp(0, own.size[1] - 1)]
    return found.masked_fill(~known, NO_VERTEX)


def _keypoints(person: Person, window: Window, size: tuple[int, int]) -> Tensor:
    """float32 (17, 3) in pixels of the crop; those that are not known stay zero."""
    (h, w), (height, width) = size, window.size
    shifted = person.keypoints - torch.tensor([window.left, window.top, 0.0])
    scaled = shifted * torch.tensor([w / width, h / height, 1.0])
    return scaled * (person.keypoints[:, 2:] > 0)


def _within(window: Window, image: Window) -> Window:
    inside = window.overlap(image)
    if inside is None:
        raise ValueError(f"{window} shows nothing of an image of {image.size}")
    return inside


def _resample(values: Tensor, held: Window, window: Window, size: tuple[int, int], mode: str) -> Tensor:
    """`window` of an image at `size`, bilinear and antialiased, from float (C, h, w) that covers `held` of it.

    mode: how the rest of the window is filled, for `F.pad`. Rows and columns are padded and resized one
    after the other, so that what lies beyond the image never takes memory: a window around a person in an
    image of 20,000x10 is mostly that.
    """
    top, bottom = held.top - window.top, window.bottom - held.bottom
    left, right = held.left - window.left, window.right - held.right
    (h, w), (height, width) = size, window.size

    def resize_rows(part: Tensor) -> Tensor:
        padded = F.pad(part, (0, 0, top, bottom), mode=mode)
        return F.interpolate(padded, (h, part.shape[3]), mode="bilinear", antialias=True)

    def resize_columns(part: Tensor) -> Tensor:
        padded = F.pad(part, (left, right, 0, 0), mode=mode)
        return F.interpolate(padded, (part.shape[2], w), mode="bilinear", antialias=True)

    rows_first = height * held.size[1] <= width * held.size[0]
    steps = (resize_rows, resize_columns) if rows_first else (resize_columns, resize_rows)
    return steps[1](steps[0](values[None]))[0]
