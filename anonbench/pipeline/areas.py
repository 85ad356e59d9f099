"""Which pixels of an image are changed for a person, and what stands in for a person before that."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from anonbench.anonymizers.naive import HEAVY_SIGMA, gaussian_matrix
from anonbench.crops import NO_VERTEX
from anonbench.detection.people import Person, Window

GRID = 64
"""Cells over the longer side of the surroundings that are blurred; the blur hides that they are few."""

VIEW = 0.25
"""How far the surroundings reach, as a share of the longer side of what they surround."""


@dataclass(frozen=True)
class Margins:
    """How far beyond a person's mask pixels change, as shares of the longer side of the mask's bounds.

    dilate: the mask grows by this first (thesis section 3.5); nothing of the original is left inside.
    seam: beyond that the new person fades linearly into the image. Farther away no pixel changes.
    """

    dilate: float = 0.01
    seam: float = 0.02

    def __post_init__(self) -> None:
        if not (0 <= self.dilate <= 1 and 0 <= self.seam <= 1):
            raise ValueError(f"margins are shares from 0 to 1, got {self}")


DEFAULT_MARGINS = Margins()


@dataclass(frozen=True)
class Area:
    """The pixels that change for one person: a part of the image.

    weight: float32 (h, w) in [0, 1], how much of a pixel is new: 1 on the person, less in the seam.
    """

    window: Window
    weight: Tensor

    @property
    def core(self) -> Tensor:
        """bool (h, w): the person, with the dilation. No original pixel is left here."""
        return self.weight >= 1

    @staticmethod
    def of(person: Person, size: tuple[int, int], margins: Margins) -> "Area":
        """The area around a person's mask in an image of `size` (H, W). The mask must not be empty."""
        reach = max(person.window.size)
        dilate, seam = margins.dilate * reach, margins.seam * reach
        window = grown(person.window, math.ceil(dilate + seam), size)
        outside = ~_in_window(person.mask, person.window, window, False)
        distance = torch.from_numpy(_distance_to_zero(outside))
        tiny = torch.finfo(torch.float32).tiny  # without a seam, weights fall from 1 to 0 at once
        return Area(window, (1 - (distance - dilate) / max(seam, tiny)).clamp(0, 1))

    def person(self, person: Person) -> Person:
        """The same person with every pixel of the area in the mask. Where it grew there is no surface."""
        surface = _in_window(person.surface, person.window, self.window, NO_VERTEX)
        return Person(person.box, person.score, self.window, self.weight > 0, surface, person.keypoints)


def grown(window: Window, by: int, size: tuple[int, int]) -> Window:
    """The window, `by` pixels larger on every side, as far as an image of `size` (H, W) goes."""
    return Window(
        max(window.top - by, 0),
        max(window.left - by, 0),
        min(window.bottom + by, size[0]),
        min(window.right + by, size[1]),
    )


def without_people(image: Tensor, areas: Sequence[Area]) -> Tensor:
    """The image with everybody replaced by a heavy blur of what surrounds them: uint8 (3, H, W).

    image: uint8 (3, H, W). Only pixels in the cores of `areas` change, and what they become depends on
    pixels outside all cores alone: changing anybody's pixels changes nothing in the result.
    """
    size = (image.shape[1], image.shape[2])
    known = torch.ones(size, dtype=torch.bool)
    for area in areas:
        known[area.window.slices] &= ~area.core
    result = image.clone()
    for area in areas:
        view = grown(area.window, math.ceil(VIEW * max(area.window.size)), size)
        blurred = _surroundings(image[:, *view.slices], known[view.slices])
        part = result[:, *area.window.slices]
        part[:, area.core] = blurred[:, *area.window.relative_to(view).slices][:, area.core]
    return result


def interpolation(old: int, new: int) -> Tensor:
    """float32 (new, old): the matrix that resizes `old` values to `new`, linear and antialiased."""
    return F.interpolate(torch.eye(old)[None, None], (new, old), mode="bilinear", antialias=True)[0, 0]


def _surroundings(image: Tensor, known: Tensor) -> Tensor:
    """A heavy blur of the known pixels, everywhere: uint8 (3, H, W); mid-grey where nothing is known.

    Normalized convolution (Knutsson and Westin, CVPR 1993): pixels that are not known have no weight.
    """
    size = (image.shape[1], image.shape[2])
    scale = min(1.0, GRID / max(size))
    rows, columns = (max(1, round(side * scale)) for side in size)
    weighted = torch.cat([image * known, known[None]]).float()
    cells = F.interpolate(weighted[None], (rows, columns), mode="bilinear", antialias=True)[0].double()
    sigma = HEAVY_SIGMA * max(rows, columns)
    cells = gaussian_matrix(rows, sigma) @ cells @ gaussian_matrix(columns, sigma).T
    colour = torch.where(cells[3:] > 0, cells[:3] / cells[3:], 127.5).float()
    smooth = F.interpolate(colour[None], size, mode="bilinear", align_corners=False)[0]
    return smooth.round().clamp(0, 255).to(torch.uint8)


def _in_window(values: Tensor, held: Window, window: Window, fill: bool | int) -> Tensor:
    """`values` (h, w) of the window `held` as part of a larger one, `fill` around them."""
    result = torch.full(window.size, fill, dtype=values.dtype)
    result[held.relative_to(window).slices] = values
    return result


def _distance_to_zero(values: Tensor) -> "np.ndarray[tuple[int, int], np.dtype[np.float32]]":
    """float32 (h, w): euclidean distance in pixels to the nearest false; 0 where false."""
    found = cv2.distanceTransform(values.numpy().astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(found, dtype=np.float32)
