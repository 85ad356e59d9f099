"""What the re-identification network is taught beside identities: contrast in the batch, and part colours."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from anonbench.metrics.surface import vertex_colours
from anonbench.template import PARTS, part_of_vertex


@dataclass(frozen=True)
class PartColours:
    """What the auxiliary head learns: the mean colour of each body part of each of P persons.

    value: float32 (P, 3 * parts), standardized over persons. known: the same shape, 1 where a part was ever
    visible, else 0.
    """

    value: Tensor
    known: Tensor


def part_colours(image: Tensor, surface: Tensor, persons: Tensor) -> PartColours:
    """Mean colour of the body parts of every person over all images that show them.

    image: uint8 (N, 3, H, W). surface: int32 (N, H, W), template vertices. persons: int64 (N,).
    """
    colour, visible = vertex_colours(image, surface, part_of_vertex().long(), min_pixels=6)
    shown = visible[..., None].float()
    labels = torch.unique(persons, return_inverse=True)[1]
    count, parts = int(labels.max()) + 1, len(PARTS)
    total = torch.zeros(count, parts, 3).index_add_(0, labels, colour * shown)
    seen = torch.zeros(count, parts).index_add_(0, labels, visible.float())[..., None]
    known = (seen > 0).float()
    value = total / seen.clamp(min=1)
    persons_with = known.sum(dim=0).clamp(min=1)
    mean = (value * known).sum(dim=0) / persons_with
    spread = ((value - mean).square() * known).sum(dim=0).div(persons_with).sqrt().clamp(min=0.02)
    standardized = (value - mean) / spread * known
    return PartColours(standardized.flatten(1), known.expand_as(value).flatten(1))


def supervised_contrastive(features: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Cross-entropy of finding each anchor's positives among the rest of the batch (Khosla et al. 2020, Eq. 2).

    features: float (B, D), compared by cosine. labels: (B,), every label at least twice.
    """
    unit = F.normalize(features, dim=1)
    itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    similarity = (unit @ unit.T / temperature).masked_fill(itself, -torch.inf)
    log_probability = similarity - similarity.logsumexp(dim=1, keepdim=True)
    positive = (labels[:, None] == labels[None]) & ~itself
    return -(log_probability.masked_fill(~positive, 0.0).sum(dim=1) / positive.sum(dim=1)).mean()
