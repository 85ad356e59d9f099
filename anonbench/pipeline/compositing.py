"""People of an image, anonymized and put back: what happens to a photo, and to every frame of a video."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from anonbench.anonymizers.base import Anonymizer
from anonbench.cards import ModelCard
from anonbench.crops import PersonCrops
from anonbench.detection.cropping import CROP_SIZE, crop_people
from anonbench.detection.people import Person, PersonDetections, Window
from anonbench.pipeline.areas import DEFAULT_MARGINS, Area, Margins, blend, interpolation, without_people

OBSCURING = ("gaussian_blur", "pixelate")
"""Kinds of anonymizers whose result is made of the person's own pixels: they alone get to see them."""


@dataclass(frozen=True)
class Canvas:
    """An image without people, and the crops of those who are put back into it.

    base: uint8 (3, H, W). Everybody's pixels are replaced by a blur of their surroundings.
    people: indices of the detections with a mask, nearest person last. `crops`, `areas` and `windows`
        (what each crop shows of the image) are in this order.
    """

    base: Tensor
    people: tuple[int, ...]
    crops: PersonCrops
    areas: tuple[Area, ...]
    windows: tuple[Window, ...]

    def paste(self, images: Tensor) -> Tensor:
        """The image uint8 (3, H, W) with `images`, uint8 (B, 3, h, w) in the order of `crops`, put back.

        Nearer people cover those behind them. In its seam, a person fades into what is there already.
        """
        result = self.base.clone()
        for image, area, window in zip(images, self.areas, self.windows, strict=True):
            shared = area.window.overlap(window)
            assert shared is not None  # a crop shows its whole person
            part = result[:, *shared.slices]
            weight = area.weight[shared.relative_to(area.window).slices]
            part.copy_(blend(part, _part_of(image, window, shared), weight))
        return result


def prepare(
    image: Tensor,
    detections: PersonDetections,
    card: ModelCard,
    margins: Margins = DEFAULT_MARGINS,
    size: tuple[int, int] = CROP_SIZE,
) -> Canvas:
    """The image without people, and a crop of each person for the anonymizer that `card` describes.

    image: uint8 (3, H, W). size: (H, W) of the crops.
    No crop shows a pixel of anybody, except to kinds in `OBSCURING`, and to these of its own person alone.
    """
    order = _far_to_near(detections.people)
    people = [detections.people[i] for i in order]
    areas = tuple(Area.of(person, detections.size, margins) for person in people)
    base = without_people(image, areas)
    found = detections.with_people(people)
    keys = tuple(" ".join(f"{side:g}" for side in person.box) for person in people)
    crops, windows = crop_people(base, found, size, keys, cover_all=True)
    if card.kind in OBSCURING:
        crops = crops.with_image(_with_themselves(image, base, found, size))
    return Canvas(base, order, crops, areas, windows)


def anonymize_people(
    image: Tensor,
    detections: PersonDetections,
    anonymizer: Anonymizer,
    latents: Tensor | None = None,
    truncation: float = 1.0,
    margins: Margins = DEFAULT_MARGINS,
    size: tuple[int, int] = CROP_SIZE,
) -> Tensor:
    """The image with everybody anonymized: uint8 (3, H, W); bit-exact beyond masks and seams.

    image: uint8 (3, H, W). latents: float32 (N, latent_dim), one per person in the order of `detections`;
    ignored where `card.latent_dim` is None. truncation: see `Anonymizer.anonymize`.
    People with a surface are synthesized. Of those with a mask alone a blur is left (thesis 5.3.5),
    made of what surrounds them. Detections without a mask are left as they are.
    """
    if latents is not None and len(latents) != len(detections):
        raise ValueError(f"{len(detections)} people need as many latents, got {len(latents)}")
    canvas = prepare(image, detections, anonymizer.card, margins, size)
    if not canvas.people:
        return image.clone()
    own = None if latents is None else latents[list(canvas.people)]
    return canvas.paste(anonymizer.anonymize(canvas.crops, own, truncation))


def _far_to_near(people: Sequence[Person]) -> tuple[int, ...]:
    """Who has a mask, the lowest last: on level ground who stands lower in the image is nearer.

    Ties are broken by what the people are, not by their order in the detections.
    """
    masked = [i for i, person in enumerate(people) if person.mask.any()]
    return tuple(sorted(masked, key=lambda i: (people[i].box[3], people[i].box, people[i].score)))


def _with_themselves(image: Tensor, base: Tensor, people: PersonDetections, size: tuple[int, int]) -> Tensor:
    """Crops uint8 (B, 3, h, w) of the base, in each of which its own person is to be seen again."""
    images = [torch.empty((0, 3, *size), dtype=torch.uint8)]
    for person in people.people:
        seen, own = base.clone(), person.window.slices
        seen[:, *own] = torch.where(person.mask, image[:, *own], base[:, *own])
        images.append(crop_people(seen, people.with_people([person]), size)[0].image)
    return torch.cat(images)


def _part_of(crop: Tensor, window: Window, part: Window) -> Tensor:
    """float32 (3, h, w): a crop uint8 (3, H, W), which shows `window`, at full size in `part` of the window.

    Two matrix products in place of an enlarged crop, of which a small part may be wanted.
    """
    inside = part.relative_to(window)
    rows = interpolation(crop.shape[1], window.size[0])[inside.top : inside.bottom]
    columns = interpolation(crop.shape[2], window.size[1])[inside.left : inside.right]
    return rows @ crop.float() @ columns.T
