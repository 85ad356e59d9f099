"""Images with people drawn from the body template: exact masks, surfaces and keypoints in milliseconds."""

from functools import cache

import torch
from torch import Tensor

from anonbench.crops import PersonCrops
from anonbench.detection.people import Person, PersonDetections
from tests.detection.template_person import template_person


def scene(
    people: int = 2, size: tuple[int, int] = (120, 160), seed: int = 0
) -> tuple[Tensor, PersonDetections]:
    """An image uint8 (3, H, W) and everybody in it, from left to right, each in a colour of their own.

    Those whose feet are lower stand nearer and hide the others, whose masks hold what is seen of them; with
    more than three people they begin to overlap. seed: another background, other colours and heights.
    """
    rng = torch.Generator().manual_seed(seed)
    image = _background(size, rng)
    figures = [_placed(i, people, size, float(torch.rand(1, generator=rng))) for i in range(people)]
    colours = torch.randint(0, 256, (people, 3), generator=rng, dtype=torch.uint8)
    nearest_first = sorted(range(people), key=lambda i: -figures[i][3])
    hidden = torch.zeros(size, dtype=torch.bool)
    found: dict[int, Person | None] = {}
    for i in nearest_first:
        mask, surface, keypoints, _ = figures[i]
        seen = mask & ~hidden
        image[:, seen] = colours[i][:, None]
        found[i] = Person.of_mask(seen, 0.99 - 0.01 * i, keypoints, surface.masked_fill(~seen, -1))
        hidden |= mask
    present = [person for i in range(people) if (person := found[i]) is not None]
    return image, PersonDetections(size, tuple(present))


def _background(size: tuple[int, int], rng: torch.Generator) -> Tensor:
    h, w = size
    shade = torch.linspace(60, 200, h)[:, None] + torch.linspace(-30, 30, w)[None]
    return (shade + torch.randint(-20, 20, (3, h, w), generator=rng)).clamp(0, 255).to(torch.uint8)


def _placed(
    index: int, people: int, size: tuple[int, int], tallness: float
) -> tuple[Tensor, Tensor, Tensor, int]:
    """Mask bool (H, W), surface int32 (H, W), keypoints float32 (17, 3), and the row of the feet."""
    h, w = size
    height = max(1, round(h * (0.65 + 0.2 * tallness)))
    width = max(1, round(0.55 * height))
    figure = _figure((height, width))
    top = round((h - height) * (0.3 + 0.6 * tallness))
    left = round((index + 0.5) * w / people - width / 2)
    mask, surface = torch.zeros(size, dtype=torch.bool), torch.full(size, -1, dtype=torch.int32)
    columns = slice(max(0, left), min(w, left + width))
    inside = slice(columns.start - left, columns.stop - left)
    mask[top : top + height, columns] = figure.person_mask[0, 0, :, inside]
    surface[top : top + height, columns] = figure.surface[0, :, inside]
    keypoints = figure.keypoints[0] + torch.tensor([left, top, 0.0])
    return mask, surface, keypoints, top + height


@cache
def _figure(size: tuple[int, int]) -> PersonCrops:
    return template_person(size)
