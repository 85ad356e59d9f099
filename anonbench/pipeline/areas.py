"""Which pixels of an image are changed for a person, and what stands in for a person before that."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from anonbench.anonymizers.naive import gaussian_matrix
from anonbench.detection.people import Person, Window

GRID = 64
"""Cells over the longer side of the surroundings that are blurred; the blur hides that they are few."""

SIGMA = 2.0
"""Standard deviation of the blur in cells. Colours of the near background lead into the person's place, and
those of the farthest still count in double precision where nothing nearer is known."""

VIEW = 0.25
"""How far the surroundings reach, as a share of the longer side of what they surround."""


SOFT = 1 / 144
"""How far the edge of a new person is soft, as a share of the longer side: about two pixels of a crop of 288.
More of it would draw the surroundings around somebody over people who stand behind."""


@dataclass(frozen=True)
class Margins:
    """How far beyond a person's mask pixels change, as shares of the longer side of the mask's bounds.

    dilate: the mask grows by this first (thesis section 3.5); nothing of the original is left inside.
    seam: beyond that the blur that hides the person fades linearly into the image. Farther away no pixel changes.
    """

    dilate: float = 0.02
    seam: float = 0.02

    def __post_init__(self) -> None:
        if not (0 <= self.dilate <= 1 and 0 <= self.seam <= 1):
            raise ValueError(f"margins are shares from 0 to 1, got {self}")


DEFAULT_MARGINS = Margins()


@dataclass(frozen=True)
class Area:
    """The pixels that change for one person: a part of the image.

    hidden: float32 (h, w) in [0, 1], how much of the original is taken away: all of it on the person and in
        the dilation, less in the seam.
    weight: float32 (h, w) in [0, 1], how much of the new person is put there: 1 on the person, less along a
        soft edge.
    """

    window: Window
    hidden: Tensor
    weight: Tensor

    @staticmethod
    def of(person: Person, size: tuple[int, int], margins: Margins) -> "Area":
        """The area around a person's mask in an image of `size` (H, W). The mask must not be empty."""
        longer = max(person.window.size)
        dilate, reach = margins.dilate * longer, (margins.dilate + margins.seam) * longer
        window = grown(person.window, math.ceil(reach), size)
        outside = torch.ones(window.size, dtype=torch.bool)
        outside[person.window.relative_to(window).slices] = ~person.mask
        distance = _distance_to_zero(outside)
        edge = min(max(1.0, SOFT * longer), reach)
        return Area(window, _falling(distance, dilate, reach), _falling(distance, 0, edge))


def grown(window: Window, by: int, size: tuple[int, int]) -> Window:
    """The window, `by` pixels larger on every side, as far as an image of `size` (H, W) goes."""
    return Window(
        max(window.top - by, 0),
        max(window.left - by, 0),
        min(window.bottom + by, size[0]),
        min(window.right + by, size[1]),
    )


def blend(image: Tensor, new: Tensor, weight: Tensor) -> Tensor:
    """uint8 (3, h, w): `new`, float or uint8, as far as `weight` says, float (h, w) in [0, 1]; 0: `image` bit-exact."""
    mixed = torch.lerp(image.float(), new.float(), weight).round().clamp(0, 255).to(torch.uint8)
    return torch.where(weight > 0, mixed, image)


def without_people(image: Tensor, areas: Sequence[Area]) -> Tensor:
    """The image with everybody replaced by a blur of what surrounds them: uint8 (3, H, W).

    image: uint8 (3, H, W). Where a person is wholly hidden, the result depends on pixels where nobody is
    alone: changing anybody's pixels changes nothing.
    """
    size = (image.shape[1], image.shape[2])
    known = torch.ones(size, dtype=torch.bool)
    for area in areas:
        known[area.window.slices] &= area.hidden < 1
    result = image.clone()
    for area in areas:
        view = grown(area.window, math.ceil(VIEW * max(area.window.size)), size)
        blurred = _surroundings(image[:, *view.slices], known[view.slices])
        part = result[:, *area.window.slices]
        part.copy_(blend(part, blurred[:, *area.window.relative_to(view).slices], area.hidden))
    return result


def interpolation(old: int, new: int) -> Tensor:
    """float32 (new, old): the matrix that resizes `old` values to `new`, linear and antialiased."""
    return F.interpolate(torch.eye(old)[None, None], (new, old), mode="bilinear", antialias=True)[0, 0]


def _surroundings(image: Tensor, known: Tensor) -> Tensor:
    """A blur of the known pixels, everywhere: uint8 (3, H, W); mid-grey where nothing is known.

    Normalized convolution (Knutsson and Westin, CVPR 1993): pixels that are not known have no weight.
    """
    size = (image.shape[1], image.shape[2])
    scale = min(1.0, GRID / max(size))
    rows, columns = (max(1, round(side * scale)) for side in size)
    weighted = torch.cat([image * known, known[None]]).float()
    cells = F.interpolate(weighted[None], (rows, columns), mode="bilinear", antialias=True)[0].double()
    cells = gaussian_matrix(rows, SIGMA) @ cells @ gaussian_matrix(columns, SIGMA).T
    colour = torch.where(cells[3:] > 0, cells[:3] / cells[3:], 127.5).float()
    smooth = F.interpolate(colour[None], size, mode="bilinear", align_corners=False)[0]
    return smooth.round().clamp(0, 255).to(torch.uint8)


def _falling(distance: Tensor, start: float, end: float) -> Tensor:
    """float32: 1 up to the distance `start`, 0 from `end` on, linear in between."""
    tiny = torch.finfo(torch.float32).tiny  # where both are equal, values fall at once
    return (1 - (distance - start) / max(end - start, tiny)).clamp(0, 1)


def _distance_to_zero(values: Tensor) -> Tensor:
    """float32 (h, w): euclidean distance in pixels to the nearest false of bool (h, w); 0 where false."""
    found = cv2.distanceTransform(values.numpy().astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return torch.from_numpy(np.asarray(found, dtype=np.float32))
