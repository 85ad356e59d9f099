"""What shape and pose alone tell about a person: the input that every generator keeps (thesis section 6.1.1)."""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from anonbench.crops import PACKAGED_TEMPLATE, PersonCrops
from anonbench.protocols.crops import CropSource
from anonbench.template import patches

Matrix = NDArray[np.float64]

ALL = "shape"
"""What the view of everything together is called."""
SILHOUETTE = (18, 10)
"""Rows and columns that the mask is averaged over."""
PATCHES = 64
"""Patches of the body template whose share of the visible surface is counted."""
TORSO = (5, 6, 11, 12)
"""Keypoints (shoulders, hips) that give a pose its place and size."""
BONES = (
    (5, 6), (11, 12), (5, 11), (6, 12), (5, 7), (7, 9), (6, 8), (8, 10),
    (11, 13), (13, 15), (12, 14), (14, 16), (0, 5), (0, 6),
)  # fmt: skip


def shape_views(crops: CropSource) -> dict[str, Matrix]:
    """Name -> (N, D) standardized features of the mask, the keypoints, the surface map, and all of them."""
    parts = [(_silhouette(b), _pose(b), _surface(b)) for b in crops.batches()]
    mask, pose, surface = (_standardized(torch.cat(list(column))) for column in zip(*parts, strict=True))
    every = np.concatenate([matrix / np.sqrt(matrix.shape[1]) for matrix in (mask, pose, surface)], axis=1)
    return {"mask": mask, "keypoints": pose, "surface": surface, ALL: every}


def _silhouette(crops: PersonCrops) -> Tensor:
    """A small picture of the mask, its area, and its extent: (B, D)."""
    mask = crops.person_mask.double()
    rows, columns = mask.amax(dim=3).squeeze(1).sum(dim=1), mask.amax(dim=2).squeeze(1).sum(dim=1)
    height, width = crops.size
    extent = torch.stack([mask.mean(dim=(1, 2, 3)), rows / height, columns / width], dim=1)
    return torch.cat([F.adaptive_avg_pool2d(mask, SILHOUETTE).flatten(1), extent], dim=1)


def _pose(crops: PersonCrops) -> Tensor:
    """Keypoints relative to the torso, visibility, and lengths between joints: (B, D).

    What is not visible counts as lying in the middle of the torso.
    """
    point, visible = crops.keypoints[..., :2].double(), (crops.keypoints[..., 2] > 0).double()
    torso, shown = point[:, TORSO], visible[:, TORSO, None]
    centre = (torso * shown).sum(dim=1) / shown.sum(dim=1).clamp(min=1)
    relative = (point - centre[:, None]) / crops.size[0] * visible[..., None]
    start, end = (list(ends) for ends in zip(*BONES, strict=True))
    length = (relative[:, start] - relative[:, end]).norm(dim=2) * visible[:, start] * visible[:, end]
    return torch.cat([relative.flatten(1), visible, length], dim=1)


def _surface(crops: PersonCrops) -> Tensor:
    """Which share of the visible surface each patch of the template takes: (B, PATCHES).

    Zeros where surfaces refer to another body template, whose patches are not known.
    """
    if crops.template != PACKAGED_TEMPLATE:
        return torch.zeros(len(crops), PATCHES, dtype=torch.float64)
    cells = patches(PATCHES)
    cell = torch.where(crops.surface >= 0, cells[crops.surface.clamp(min=0).long()], -1)
    shares = torch.stack([(cell == c).double().mean(dim=(1, 2)) for c in range(PATCHES)], dim=1)
    return shares / shares.sum(dim=1, keepdim=True).clamp(min=1e-12)


def _standardized(features: Tensor) -> Matrix:
    """Columns with mean 0 and deviation 1; constant ones are 0."""
    values = features.numpy()
    deviation = values.std(axis=0)
    return np.asarray((values - values.mean(axis=0)) / np.where(deviation > 1e-9, deviation, np.inf))
