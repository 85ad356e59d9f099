"""One person as a detection file holds it, and back: checks what the schema cannot."""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anonbench.crops import NO_VERTEX, PACKAGED_TEMPLATE, Outcome
from anonbench.detection import coco_masks
from anonbench.detection.file_format import StoredPerson, StoredRLE
from anonbench.detection.people import Person, Window
from anonbench.template import VERTICES

TEMPLATE_VERTICES = {PACKAGED_TEMPLATE: VERTICES, "smpl_27554": 27_554}
"""Number of vertices of the body templates that are known here; of others no id is out of range."""

Size = tuple[int, int]


class StoredPersonError(ValueError):
    """A person that cannot be in this image. key: where in the person, what: in which way."""

    def __init__(self, key: str, what: str) -> None:
        super().__init__(f"{key}: {what}")
        self.key = key
        self.what = what


def store_person(person: Person, size: Size) -> StoredPerson:
    """The person, in an image of `size` (H, W), without the surface, which is kept beside the file."""
    whole = torch.zeros(size, dtype=torch.bool)
    whole[person.window.slices] = person.mask
    window = person.window
    return StoredPerson(
        box=person.box,
        score=person.score,
        outcome=person.outcome.name.lower(),  # type: ignore[arg-type]  # the names of `Outcome`
        mask=StoredRLE(size=size, counts=coco_masks.encode(whole)),
        window=(window.top, window.left, window.bottom, window.right),
        keypoints=_shortest(person.keypoints) if person.keypoints.any() else None,
    )


def restore_person(stored: StoredPerson, surface: NDArray[Any] | None, size: Size, template: str) -> Person:
    """The person in an image of `size` (H, W); surface: what lies beside the file, over the person's window.

    Raises StoredPersonError.
    """
    mask = _mask(stored, size)
    window = _window(stored, mask, size)
    if stored.keypoints and not (stored.mask or stored.polygons):
        raise StoredPersonError("keypoints", "need a mask; add one, or remove them to have the box blurred")
    bounds = (float(window.left), float(window.top), float(window.right), float(window.bottom))
    person = Person(
        box=stored.box or bounds,
        score=stored.score,
        window=window,
        mask=mask[window.slices].clone(),
        surface=_surface(surface, window, template),
        keypoints=torch.tensor(stored.keypoints) if stored.keypoints else torch.zeros(17, 3),
    )
    if stored.outcome and Outcome[stored.outcome.upper()] != person.outcome:
        found = person.outcome.name.lower()
        raise StoredPersonError("outcome", f"says {stored.outcome}, the person has {found}; remove it")
    return person


def _shortest(keypoints: Tensor) -> tuple[tuple[float, float, float], ...]:
    """The shortest decimal numbers that read back as the same float32 values."""
    return tuple((float(str(x)), float(str(y)), float(str(v))) for x, y, v in keypoints.numpy())


def _mask(stored: StoredPerson, size: Size) -> Tensor:
    """bool (H, W)."""
    if stored.mask and stored.mask.size != size:
        raise StoredPersonError("mask.size", f"{stored.mask.size}, but the image is {size} (height, width)")
    try:
        if stored.mask:
            return coco_masks.decode(stored.mask.counts, size)
        if stored.polygons:
            return coco_masks.fill_polygons(stored.polygons, size)
    except ValueError as error:
        raise StoredPersonError("mask.counts" if stored.mask else "polygons", str(error)) from error
    mask = torch.zeros(size, dtype=torch.bool)
    mask[_box_window(stored, size).slices] = True
    return mask


def _window(stored: StoredPerson, mask: Tensor, size: Size) -> Window:
    """What the file says, else the bounds of the mask, else of the box."""
    person = Person.of_mask(mask, stored.score)
    if stored.window is None:
        return person.window if person else _box_window(stored, size)
    try:
        window = Window(*stored.window)
    except ValueError as error:
        raise StoredPersonError("window", "must be top, left, bottom, right of a pixel or more") from error
    if window.overlap(Window(0, 0, *size)) != window:
        raise StoredPersonError("window", "leaves the image")
    if person and window.overlap(person.window) != person.window:
        raise StoredPersonError("window", "does not hold the mask")
    return window


def _box_window(stored: StoredPerson, size: Size) -> Window:
    """The whole pixels that the box touches."""
    if stored.box is None:
        raise StoredPersonError("mask", "missing; a person needs one of mask, polygons and box")
    x0, y0, x1, y1 = stored.box
    top, left = max(0, math.floor(y0)), max(0, math.floor(x0))
    bottom, right = min(size[0], math.ceil(y1)), min(size[1], math.ceil(x1))
    if bottom <= top or right <= left:
        raise StoredPersonError("box", "must be x0, y0, x1, y1 of a box inside the image")
    return Window(top, left, bottom, right)


def _surface(surface: NDArray[Any] | None, window: Window, template: str) -> Tensor:
    """int32 (h, w) over the window."""
    if surface is None:
        return torch.full(window.size, NO_VERTEX, dtype=torch.int32)
    if surface.shape != window.size or not np.issubdtype(surface.dtype, np.integer):
        raise StoredPersonError(
            "surface", f"must be integers of the shape {window.size}, found {surface.dtype} {surface.shape}"
        )
    vertices = TEMPLATE_VERTICES.get(template, 2**31)
    low, high = int(surface.min()), int(surface.max())
    if low < NO_VERTEX or high >= vertices:
        strange = low if low < NO_VERTEX else high
        raise StoredPersonError(
            "surface", f"vertex {strange}, but '{template}' has 0 to {vertices - 1}; -1 is none"
        )
    return torch.from_numpy(surface.astype(np.int32))
