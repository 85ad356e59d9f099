"""Surface coordinates: the continuous space in which the surface head predicts template vertices."""

from functools import cache

import torch
from torch import Tensor

from anonbench import template

CHANNELS = 3 + 16
"""Rest position and surface embedding."""

SPACING = 0.02
"""Edge of the cells that keep one vertex each, in half body extents: about 2 cm on an adult."""


@cache
def coordinates() -> Tensor:
    """float32 (V, 19): what the surface head predicts for each template vertex.

    The rest position, in half body extents, tells where on the body a vertex lies. The surface embedding
    tells apart what is close in space and far along the skin: inner thighs, an arm beside the trunk. It is
    scaled to the spread of the positions, so that both halves weigh the same.
    """
    position, embedding = rest_positions(), template.embedding()
    scale = (position.var(dim=0).sum() / embedding.var(dim=0).sum()).sqrt()
    return torch.cat([position, embedding * scale], dim=1)


@cache
def rest_positions() -> Tensor:
    """float32 (V, 3): the template at rest, centred, in half body extents (half of its largest extent)."""
    low, high = template.positions().amin(dim=0), template.positions().amax(dim=0)
    return (template.positions() - (low + high) / 2) / ((high - low).max() / 2)


def nearest_vertices(points: Tensor, chunk: int = 256) -> Tensor:
    """The template vertex nearest to each point: float (N, 19) -> int32 (N,).

    One vertex per cell of SPACING takes part. That is finer than a pixel of a 128x64 crop and than the head's
    error, and three times faster than all vertices. chunk: points per matrix product, few enough for the cache.
    """
    vertex = thinned_vertices().to(points.device)
    candidates = coordinates().to(points.device)[vertex]
    # |p - c|^2 without |p|^2, which is the same for all candidates: one product with a constant column.
    table = torch.cat([-2 * candidates, candidates.square().sum(dim=1, keepdim=True)], dim=1).T.contiguous()
    extended = torch.cat([points.float(), points.new_ones(len(points), 1, dtype=torch.float32)], dim=1)
    nearest = [(part @ table).argmin(dim=1) for part in torch.split(extended, chunk)]
    return vertex[torch.cat(nearest)].to(torch.int32)


@cache
def thinned_vertices() -> Tensor:
    """int64 (n,): the lowest vertex id of every occupied cell, so that coverage is even over the body."""
    cell = (rest_positions() / SPACING).floor().to(torch.int64)
    _, inverse = torch.unique(cell, dim=0, return_inverse=True)
    first = torch.full((int(inverse.max()) + 1,), template.VERTICES, dtype=torch.int64)
    return first.scatter_reduce(0, inverse, torch.arange(template.VERTICES), "amin").sort().values
