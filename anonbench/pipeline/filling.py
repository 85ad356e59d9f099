"""People where no detector saw them, or saw only a part of them: borrowed from another frame of the same track."""

import math

import torch
import torch.nn.functional as F
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from anonbench.crops import NO_VERTEX
from anonbench.detection.people import Person, Window
from anonbench.pipeline.areas import grown
from anonbench.pipeline.tracking import Box

GROWTH = 0.03
"""A borrowed mask grows by this share of its longer side: arms and legs have moved since."""


def moved(person: Person, source: Box, place: Box, size: tuple[int, int]) -> Person | None:
    """The person as if `source` were at `place`: moved, scaled, and slightly larger all around.

    size: (H, W) of the image. None where nothing of them is left inside the image.
    Masks and surfaces are taken from the nearest pixel.
    """
    across = (place[2] - place[0]) / max(source[2] - source[0], 1.0)
    down = (place[3] - place[1]) / max(source[3] - source[1], 1.0)
    old = person.window
    left, right = (place[0] + (x - source[0]) * across for x in (old.left, old.right))
    top, bottom = (place[1] + (y - source[1]) * down for y in (old.top, old.bottom))
    new = _whole_pixels(top, left, bottom, right)
    seen = new.overlap(Window(0, 0, *size))
    if seen is None:
        return None
    inside = seen.relative_to(new).slices
    mask = _resized(person.mask, new.size)[inside]
    if not mask.any():
        return None
    scale, shift = torch.tensor([across, down, 1.0]), torch.tensor([source[0], source[1], 0.0])
    points = (person.keypoints - shift) * scale + torch.tensor([place[0], place[1], 0.0])
    reach = math.ceil(GROWTH * max(seen.size))
    window = grown(seen, reach, size)
    surface = _resized(person.surface, new.size)[inside]
    mask, surface = _enlarged(
        _spread(mask, seen, window, False), _spread(surface, seen, window, NO_VERTEX), reach
    )
    return Person(
        box=place,
        score=person.score,
        window=window,
        mask=mask,
        surface=surface,
        keypoints=points * (person.keypoints[:, 2:] > 0),
    )


def completed(seen: Person, borrowed: Person, grow: bool) -> Person:
    """A person who was seen, with what was borrowed where something is missing.

    grow: the mask is too small, and covers what either covers; otherwise it stays, and only the surface
    is completed inside it.
    """
    window = _around(seen.window, borrowed.window) if grow else seen.window
    own, other = (_spread(p.mask, p.window, window, False) for p in (seen, borrowed))
    mask = own | other if grow else own
    known, lent = (_spread(p.surface, p.window, window, NO_VERTEX) for p in (seen, borrowed))
    surface = torch.where(known >= 0, known, lent).masked_fill(~mask, NO_VERTEX)
    keypoints = seen.keypoints if seen.keypoints[:, 2].any() else borrowed.keypoints
    return Person(seen.box, seen.score, window, mask, surface, keypoints)


def _whole_pixels(top: float, left: float, bottom: float, right: float) -> Window:
    y, x = round(top), round(left)
    return Window(y, x, max(round(bottom), y + 1), max(round(right), x + 1))


def _around(a: Window, b: Window) -> Window:
    """The smallest window that holds both."""
    return Window(min(a.top, b.top), min(a.left, b.left), max(a.bottom, b.bottom), max(a.right, b.right))


def _spread(values: Tensor, held: Window, window: Window, fill: bool | int) -> Tensor:
    """(h, w) of `window` from `values` (H, W) of the window `held`, `fill` where these do not reach."""
    result = torch.full(window.size, fill, dtype=values.dtype)
    shared = held.overlap(window)
    if shared:
        result[shared.relative_to(window).slices] = values[shared.relative_to(held).slices]
    return result


def _enlarged(mask: Tensor, surface: Tensor, reach: int) -> tuple[Tensor, Tensor]:
    """The mask (h, w) grown by `reach` pixels, all of it with the vertex of the nearest pixel that has one."""
    grown_mask = torch.from_numpy(distance_transform_edt(~mask.numpy()) <= reach)
    if not (surface >= 0).any():
        return grown_mask, surface
    rows, columns = distance_transform_edt(surface.numpy() < 0, return_distances=False, return_indices=True)
    return grown_mask, surface[rows, columns].masked_fill(~grown_mask, NO_VERTEX)


def _resized(values: Tensor, size: tuple[int, int]) -> Tensor:
    """(h, w) at another size, each pixel from the nearest; vertex ids are exact in double."""
    if tuple(values.shape) == size:
        return values
    return F.interpolate(values[None, None].double(), size, mode="nearest-exact")[0, 0].to(values.dtype)
