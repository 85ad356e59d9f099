"""Likeness of image pairs: averages of per-pixel distance maps, and cosine similarity.

The per-pixel maps come from outside: a perceptual network's distance map, or `absolute_difference` below.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class PairDistance:
    """Distance of B image pairs, averaged over two areas; float64 (B,) each, lower = more alike.

    whole: the whole crop, as in the thesis; copied background pulls it towards 0.
    inside: the person mask only; nan where a mask is empty.
    """

    whole: Tensor
    inside: Tensor


def pair_distance(distance_map: Tensor, mask: Tensor) -> PairDistance:
    """Average (B, 1, H, W) or (B, H, W) distance maps over the crop and inside bool masks of either shape."""
    everywhere = torch.ones_like(mask)
    return PairDistance(masked_mean(distance_map, everywhere), masked_mean(distance_map, mask))


GREY = 128
"""What stands in the place of pixels that a comparison must not see."""


def blanked(image: Tensor, mask: Tensor) -> Tensor:
    """uint8 (B, 3, H, W) images, grey outside bool masks (B, 1, H, W).

    A network's distance map looks around each pixel, so a person who is the same to the byte before another
    background differs inside the mask, unless both backgrounds are taken away first.
    """
    return torch.where(mask, image, torch.full_like(image, GREY))


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of each map inside its mask: float64 (B,), nan where the mask is empty.

    values: real, (B, H, W) or (B, 1, H, W), without NaN inside the mask. mask: bool, either shape.
    """
    if mask.dtype != torch.bool:
        raise ValueError(f"mask must be bool, got {mask.dtype}")
    if len(values) == 0:
        raise ValueError("a mean over maps needs at least one map")
    if len(values) != len(mask) or values.shape[-2:] != mask.shape[-2:]:
        raise ValueError(f"maps {tuple(values.shape)} and masks {tuple(mask.shape)} do not fit")
    inside = mask.reshape(len(mask), -1)
    flat = values.reshape(len(values), -1).double().where(inside, 0.0)
    if not torch.isfinite(flat).all():
        raise ValueError("maps hold NaN or infinity inside the mask")
    return flat.sum(dim=1) / inside.sum(dim=1)


def absolute_difference(a: Tensor, b: Tensor) -> Tensor:
    """Mean absolute RGB difference per pixel in [0, 1]: two uint8 (B, 3, H, W) -> float32 (B, H, W)."""
    if a.dtype != torch.uint8 or b.dtype != torch.uint8 or a.shape != b.shape:
        shapes = f"{a.dtype} {tuple(a.shape)} and {b.dtype} {tuple(b.shape)}"
        raise ValueError(f"expected two uint8 images of one shape, got {shapes}")
    return (a.float() - b.float()).abs().mean(dim=1) / 255.0


def cosine_similarity(a: Tensor, b: Tensor) -> Tensor:
    """Cosine of each row pair of two (B, D) feature matrices, float64 (B,) in [-1, 1].

    A row of zeros has no direction and is a ValueError.
    """
    if a.ndim != 2 or a.shape != b.shape or len(a) == 0:
        raise ValueError(f"expected two equal (B, D) matrices, got {tuple(a.shape)} and {tuple(b.shape)}")
    norms = torch.stack([a.double().norm(dim=1), b.double().norm(dim=1)])
    if not (torch.isfinite(norms).all() and (norms > 0).all()):
        raise ValueError("features hold NaN, infinity or a row of zeros")
    return F.cosine_similarity(a.double(), b.double(), dim=1).clamp(-1.0, 1.0)
