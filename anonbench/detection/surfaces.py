"""Surfaces for people who were found with mask and keypoints alone, from the packaged surface head."""

from dataclasses import replace

import torch
from torch import Tensor

from anonbench.crops import NO_VERTEX, PACKAGED_TEMPLATE, Outcome
from anonbench.detection.cropping import crop_people
from anonbench.detection.people import Person, PersonDetections, Window
from anonbench.detection.surface_head import load_surface_detector

SIZE = (144, 80)
"""(H, W) of the crops in which surfaces are found.

A pixel of a person who fills it is about 1.3 cm, finer than the 2 cm between the vertices that the head
tells apart (`anonbench.detection.coordinates.SPACING`), and a fourth of the work of 288x160.
"""


def with_surfaces(detections: PersonDetections, device: str = "cpu") -> PersonDetections:
    """The same people, those without a surface but with mask and enough keypoints now with one.

    The others keep their outcome: nobody was told from the background, a surface is there already, too few
    keypoints are seen, or the head expects its map to be wrong (`SurfaceHeadOptions`). Surfaces lie inside
    the mask. Detections that refer to another body template than the packaged one come back as they are.
    Raises WeightsError when the packaged checkpoint is absent or another file.
    """
    bare = [i for i, person in enumerate(detections.people) if person.outcome == Outcome.MASK_ONLY]
    if not bare or detections.template != PACKAGED_TEMPLATE:
        return detections
    people = list(detections.people)
    # The head looks at masks and keypoints alone, so a black image serves.
    black = torch.zeros(1, dtype=torch.uint8).expand(3, *detections.size)
    alone = detections.with_people([people[i] for i in bare])
    crops, windows = crop_people(black, alone, SIZE, cover_all=True)
    surfaces = load_surface_detector(device).fill_surfaces(crops).surface
    for i, surface, window in zip(bare, surfaces, windows, strict=True):
        people[i] = replace(people[i], surface=_on_the_person(surface, window, people[i]))
    return detections.with_people(people)


def _on_the_person(surface: Tensor, window: Window, person: Person) -> Tensor:
    """int32 (h, w) over the person's window, by nearest pixel, from int32 (H, W) over `window`."""
    inside = person.window.relative_to(window)
    rows = _nearest(inside.top, inside.bottom, surface.shape[0] / window.size[0])
    columns = _nearest(inside.left, inside.right, surface.shape[1] / window.size[1])
    return surface[rows][:, columns].masked_fill(~person.mask, NO_VERTEX)


def _nearest(start: int, end: int, scale: float) -> Tensor:
    """int64 (end - start,): the pixels at `scale` that hold the centres of pixels `start` to `end` - 1."""
    return ((torch.arange(start, end) + 0.5) * scale).floor().long()
