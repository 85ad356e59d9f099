"""Misdetections planted into crops of synthetic people, and crops to plant them in."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from anonbench.crops import NO_VERTEX, Outcome, PersonCrops, resize
from anonbench.detection.surface_head import fill_surfaces
from anonbench.template import VERTICES

HEIGHT = 288
"""Of the crops that BLOCK is meant for."""
CLOSE_UP = (0.35, 0.6)
"""Least and greatest share of a crop's sides that a close-up shows."""
BLOCK = 24
"""Pixels of a side of the pieces of a patchwork, at 288x160."""
SCATTERED = 40
"""Vertices of a scattered surface."""

Plant = Callable[[PersonCrops, torch.Generator], Tensor]


def of_another(crops: PersonCrops, rng: torch.Generator) -> Tensor:
    """The next person's surface, stretched to the bounds of this person's mask."""
    maps = [_stretched(crops, (i + 1) % len(crops), i) for i in range(len(crops))]
    return torch.where(crops.person_mask[:, 0], torch.stack(maps), NO_VERTEX)


def shuffled(crops: PersonCrops, rng: torch.Generator) -> Tensor:
    """Every vertex exchanged for another one of the template."""
    other = torch.randperm(VERTICES, generator=rng).to(torch.int32)
    return torch.where(crops.surface >= 0, other[crops.surface.clamp(min=0).long()], NO_VERTEX)


def scattered(crops: PersonCrops, rng: torch.Generator) -> Tensor:
    """A few vertices from anywhere: each takes the pixels nearest to it."""
    return torch.stack([_cells(surface, rng) for surface in crops.surface])


def patchwork(crops: PersonCrops, rng: torch.Generator) -> Tensor:
    """All parts at once: square pieces of surfaces from random places on random people."""
    block = max(2, BLOCK * crops.size[0] // HEIGHT)
    return torch.stack([_pieces(surface, crops.surface, block, rng) for surface in crops.surface])


PLANTS: Mapping[str, Plant] = {
    "surface of another person": of_another,
    "shuffled vertices": shuffled,
    "few scattered vertices": scattered,
    "patchwork of all parts": patchwork,
}


def whole_and_close(crops: PersonCrops) -> PersonCrops:
    """Every second crop exchanged for a close-up around a random pixel of the person."""
    rng = np.random.default_rng(0)
    return PersonCrops.concatenate(
        [_close_up(crops.select([i]), rng) if i % 2 else crops.select([i]) for i in range(len(crops))]
    )


def with_found_surfaces(crops: PersonCrops) -> PersonCrops:
    """The crops for which the surface head finds a surface, with that one."""
    blank = replace(
        crops,
        surface=torch.full_like(crops.surface, NO_VERTEX),
        outcome=torch.full_like(crops.outcome, int(Outcome.MASK_ONLY)),
    )
    found = fill_surfaces(blank)
    return found.select((found.outcome == Outcome.SURFACE).nonzero()[:, 0])


def _close_up(crop: PersonCrops, rng: np.random.Generator) -> PersonCrops:
    """A part of one crop at the size of the whole."""
    height, width = crop.size
    share = rng.uniform(*CLOSE_UP)
    h, w = round(share * height), round(share * width)
    place = crop.person_mask[0, 0].nonzero()
    row, column = place[int(rng.integers(len(place)))].tolist()
    top, left = min(max(0, row - h // 2), height - h), min(max(0, column - w // 2), width - w)
    rows, columns = slice(top, top + h), slice(left, left + w)
    points = crop.keypoints - torch.tensor([left, top, 0.0])
    inside = ((points[..., :2] >= 0) & (points[..., :2] < torch.tensor([w, h]))).all(dim=-1, keepdim=True)
    part = replace(
        crop,
        image=crop.image[:, :, rows, columns].contiguous(),
        person_mask=crop.person_mask[:, :, rows, columns].contiguous(),
        surface=crop.surface[:, rows, columns].contiguous(),
        keypoints=points * inside,
    )
    return resize(part, crop.size)


def _stretched(crops: PersonCrops, source: int, target: int) -> Tensor:
    """int32 (H, W): the surface of `source`, its mask's bounds moved onto those of `target`."""
    (top, bottom, left, right), (t0, t1, l0, l1) = (
        _bounds(crops.person_mask[i, 0]) for i in (source, target)
    )
    height, width = crops.size
    row = ((torch.arange(height) - t0 + 0.5) * (bottom - top) / (t1 - t0) + top).floor().long()
    column = ((torch.arange(width) - l0 + 0.5) * (right - left) / (l1 - l0) + left).floor().long()
    return crops.surface[source][row.clamp(0, height - 1)][:, column.clamp(0, width - 1)]


def _bounds(mask: Tensor) -> tuple[int, int, int, int]:
    rows, columns = mask.any(dim=1).nonzero()[:, 0], mask.any(dim=0).nonzero()[:, 0]
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def _cells(surface: Tensor, rng: torch.Generator) -> Tensor:
    place = (surface >= 0).nonzero()
    seeds = place[torch.randint(len(place), (SCATTERED,), generator=rng)]
    vertex = torch.randint(VERTICES, (SCATTERED,), generator=rng, dtype=torch.int32)
    result = torch.full_like(surface, NO_VERTEX)
    result[place[:, 0], place[:, 1]] = vertex[torch.cdist(place.float(), seeds.float()).argmin(dim=1)]
    return result


def _pieces(surface: Tensor, pool: Tensor, block: int, rng: torch.Generator) -> Tensor:
    height, width = surface.shape
    mosaic = torch.full_like(surface, NO_VERTEX)
    for top in range(0, height, block):
        for left in range(0, width, block):
            rows, columns = slice(top, top + block), slice(left, left + block)
            wanted = mosaic[rows, columns]
            if (surface[rows, columns] >= 0).any():
                mosaic[rows, columns] = _piece(pool, tuple(wanted.shape), rng)
    return torch.where(surface >= 0, mosaic, NO_VERTEX)


def _piece(pool: Tensor, size: tuple[int, ...], rng: torch.Generator) -> Tensor:
    """A piece around a random pixel of a random person."""
    person = pool[int(torch.randint(len(pool), (1,), generator=rng))]
    place = (person >= 0).nonzero()
    centre = place[int(torch.randint(len(place), (1,), generator=rng))]
    top, left = (
        int(min(max(0, int(c) - length // 2), side - length))
        for c, length, side in zip(centre, size, person.shape, strict=True)
    )
    return person[top : top + size[0], left : left + size[1]]
