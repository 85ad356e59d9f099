"""What all anonymizers that synthesize people share: which crops they see, and how their output is put back."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from anonbench.anonymizers.naive import heavy_blur
from anonbench.crops import Outcome, PersonCrops, composite, resize
from anonbench.latents import latents_for, sample_tokens

ToBytes = Literal["round", "truncate"]

CHUNK = 64
"""Crops per pass, which bounds memory."""


def chunks_with(crops: PersonCrops, outcome: Outcome, size: int = CHUNK) -> tuple[Tensor, ...]:
    """Indices of the crops with this outcome, at most `size` at a time."""
    index = (crops.outcome == outcome).nonzero()[:, 0]
    return torch.split(index, size) if len(index) else ()


def blurred(crops: PersonCrops) -> Tensor:
    """The images uint8 (B, 3, H, W), persons of whom only a mask is known heavily blurred (thesis 5.3.5)."""
    result = crops.image.clone()
    for index in chunks_with(crops, Outcome.MASK_ONLY):
        result[index] = heavy_blur(crops.image[index], crops.person_mask[index])
    return result


def latents_of(crops: PersonCrops, latents: Tensor | None, dim: int) -> Tensor:
    """float32 (B, dim): `latents`, or one per sample key. Raises ValueError for another shape."""
    if latents is None:
        return latents_for(0, sample_tokens(crops.key), dim)
    if tuple(latents.shape) != (len(crops), dim):
        raise ValueError(f"latents must be ({len(crops)}, {dim}), got {tuple(latents.shape)}")
    return latents.float()


def at_resolution(crops: PersonCrops, size: tuple[int, int]) -> PersonCrops:
    """The crops at `size`, with every pixel masked that received any of the person's colour.

    `resize` gives a pixel to whoever fills half of it. The network must not see the other half: its
    condition would hold colours of the person that it is to hide.
    """
    return resize(crops, size, cover_all=True)


def put_back(crops: PersonCrops, generated: Tensor, to_bytes: ToBytes = "round") -> Tensor:
    """Generated people in the crops that they are for: uint8 (B, 3, H, W), bit-exact outside the masks.

    generated: float (B, 3, h, w) in [-1, 1], whose background is the crops' own: where it is enlarged,
    interpolation draws the background into the rim of the person.
    to_bytes: what becomes of fractions of a level; cutting them off darkens people by half a level.
    """
    if tuple(generated.shape[2:]) != crops.size:
        generated = F.interpolate(generated, crops.size, mode="bilinear", align_corners=False)
    levels = (generated.clamp(-1, 1) + 1) * 127.5
    pixels = (levels.round() if to_bytes == "round" else levels.floor()).to(torch.uint8)
    return composite(crops.image, pixels, crops.person_mask)
