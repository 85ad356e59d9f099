"""Pictures of where a training run stands."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from anonbench.cache import write_atomic
from anonbench.crops import PersonCrops
from anonbench.generators.conditions import Conditions, conditions_of, generator_input, mapper_input
from anonbench.generators.config import ConditionName
from anonbench.template import SurfaceTemplate
from anonbench.training.networks import Networks

DRAWN_ROWS = 5


@torch.no_grad()
def sample_rows(
    networks: Networks, crops: PersonCrops, names: Sequence[ConditionName], template: SurfaceTemplate
) -> list[Tensor]:
    """Rows of images uint8 (B, 3, H, W), one column per crop, from the averaged weights.

    The crops themselves; with an appearance mapper their reconstructions, and all with the appearance of the
    first; then the zero latent and a few drawn ones, each the same in a whole row.
    names: `conditions` of the generator's configuration. template: what the crops' surfaces refer to.
    """
    device = next(networks.generator.parameters()).device
    conditions = conditions_of(crops.to(device), template)
    seen = generator_input(conditions, names)
    latents = [torch.zeros(networks.generator.latent_dim)]
    latents += list(torch.randn(DRAWN_ROWS, len(latents[0]), generator=torch.Generator().manual_seed(1)))
    per_row = [z.expand(len(crops), -1).to(device) for z in latents]
    if networks.average_mapper is not None:
        mu, _ = networks.average_mapper(mapper_input(conditions, names), conditions.person_mask)
        per_row = [mu, mu[:1].expand_as(mu), *per_row]
    return [crops.image] + [_paint(networks, conditions, seen, z) for z in per_row]


def _paint(networks: Networks, conditions: Conditions, seen: Tensor, latents: Tensor) -> Tensor:
    image = conditions.composite(networks.average_generator(seen, latents))
    return ((image.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).cpu()


def grid_of(rows: list[Tensor]) -> Tensor:
    """Rows of images uint8 (B, 3, H, W) as one picture uint8 (3, rows * H, B * W)."""
    return torch.cat([torch.cat(list(row), dim=2) for row in rows], dim=1)


def write_grid(path: Path, rows: list[Tensor], scale: int = 2) -> None:
    """Writes rows of images uint8 (B, 3, H, W) as one PNG, enlarged without smoothing."""
    pixels = np.ascontiguousarray(grid_of(rows).permute(1, 2, 0).numpy()).repeat(scale, 0).repeat(scale, 1)
    write_atomic(path, lambda partial: Image.fromarray(pixels).save(partial))
