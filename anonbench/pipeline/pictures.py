"""Crops with their detections drawn in, for people who check them."""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from anonbench.crops import PersonCrops
from anonbench.template import SurfaceTemplate

OUTLINE = torch.tensor([230, 40, 40], dtype=torch.uint8)
"""Colour of the mask's border, RGB."""


def detection_pictures(crops: PersonCrops, template: SurfaceTemplate) -> NDArray[np.uint8]:
    """uint8 (B, H, 2 W, 3): the crop with its person mask outlined, and beside it the surface in colours.

    Near vertices have like colours, left and right unlike ones.
    """
    outlined = torch.where(_outline(crops.person_mask), OUTLINE[None, :, None, None], crops.image)
    dimmed = crops.image // 3
    painted = torch.where(
        crops.surface_mask, _colours(template)[crops.surface.long()].permute(0, 3, 1, 2), dimmed
    )
    pictures = torch.cat([outlined, painted], dim=3).permute(0, 2, 3, 1)
    return np.ascontiguousarray(pictures.numpy())


def _outline(mask: Tensor) -> Tensor:
    """bool (B, 1, H, W): the pixels just outside of a mask."""
    return (F.max_pool2d(mask.float(), 3, stride=1, padding=1) > 0) & ~mask


def _colours(template: SurfaceTemplate) -> Tensor:
    """uint8 (V, 3): three channels of the embedding, each spread evenly over its range by rank."""
    rank = template.embedding[:, :3].argsort(dim=0).argsort(dim=0)
    return (64 + 191 * rank / max(1, len(rank) - 1)).to(torch.uint8)
