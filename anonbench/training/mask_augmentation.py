"""Person masks grown at random, so that their outline tells less about hair and clothes (thesis 7.2.4)."""

import math

import torch
from torch import Tensor

REACH = 1 / 24
"""Largest half axis of a structuring element, in heights of the crop: 3 pixels at 72x40, 12 at 288x160."""


def dilate_masks(person_mask: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    """Each mask, with `probability`, dilated by a structuring element of its own.

    The element is a diamond, an ellipse or a rectangle; its half axes lie between one pixel and REACH heights.
    Masks only grow: a smaller one would leave parts of the person outside.
    person_mask: bool (B, 1, H, W). generator: on the CPU; nothing is drawn from it at probability 0.
    Returns bool (B, 1, H, W).
    """
    if probability == 0:
        return person_mask
    applies, shape, *axes = torch.rand(4, len(person_mask), generator=generator)
    chosen = (applies < probability).nonzero()[:, 0]
    if not len(chosen):
        return person_mask
    radius = max(1, math.ceil(REACH * person_mask.shape[2]))
    elements = structuring_elements(shape[chosen], torch.stack(axes, dim=1)[chosen], radius)
    grown = person_mask.clone()
    grown[chosen] |= dilate(person_mask[chosen], elements.to(person_mask.device))
    return grown


def structuring_elements(shape: Tensor, axes: Tensor, radius: int) -> Tensor:
    """bool (B, 2 radius + 1, 2 radius + 1), symmetric about their centre, which they contain.

    shape: float (B,) in [0, 1): a third each for diamond, ellipse and rectangle.
    axes: float (B, 2) in [0, 1): half height and half width, from one pixel to `radius`.
    """
    offsets = torch.arange(-radius, radius + 1).abs().float()
    half_height, half_width = (1 + axes * (radius - 1)).unbind(dim=1)
    y, x = offsets[:, None] / half_height[:, None, None], offsets / half_width[:, None, None]
    distances = torch.stack([y + x, torch.hypot(y, x), torch.maximum(y, x)])
    return distances[(shape * 3).long(), torch.arange(len(shape))] <= 1


def dilate(masks: Tensor, elements: Tensor) -> Tensor:
    """bool (B, 1, H, W) dilated by bool (B, k, k), k odd, each by its own.

    A convolution counts the pixels of the mask under the element. By the Fourier transform, which takes a
    tenth of the time of a direct one at 288x160.
    """
    radius = elements.shape[1] // 2
    height, width = masks.shape[2:]
    size = (height + 2 * radius, width + 2 * radius)
    spectrum = torch.fft.rfft2(masks.float(), size) * torch.fft.rfft2(elements[:, None].float(), size)
    hits: Tensor = torch.fft.irfft2(spectrum, size)
    return hits[:, :, radius : radius + height, radius : radius + width] > 0.5
