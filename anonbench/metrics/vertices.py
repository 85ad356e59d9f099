"""How many vertices of the body a surface map shows: the criteria that tell misdetections (thesis Appendix A).

A failed surface detection has few different vertices, and often some of every part of the body. The number of
vertices per body part is low for both.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class VertexCounts:
    """Different vertices in B surface maps.

    of_part: int64 (B, P), by body part.
    """

    of_part: Tensor

    @property
    def vertices(self) -> Tensor:
        """int64 (B,): different vertices in all (the first criterion of Appendix A)."""
        return self.of_part.sum(dim=1)

    @property
    def parts(self) -> Tensor:
        """int64 (B,): body parts of which at least one vertex shows."""
        return (self.of_part > 0).sum(dim=1)

    @property
    def per_part(self) -> Tensor:
        """float64 (B,): mean over the parts that show (the second criterion); nan for an empty map."""
        return self.vertices.double() / self.parts


def count_vertices(surface: Tensor, part: Tensor, parts: int | None = None) -> VertexCounts:
    """Count the vertices of surface maps by body part.

    surface: int (B, H, W), vertex id, -1 outside. part: int (V,), the body part of each vertex, from 0 on; all 0
    where parts are not known. parts: how many there are; None: as many as occur. ValueError where a map names a
    vertex that the template does not have.
    """
    if surface.ndim != 3 or surface.is_floating_point():
        raise ValueError(f"surface must be vertex ids (B, H, W), got {surface.dtype} {tuple(surface.shape)}")
    if surface.numel() and int(surface.max()) >= len(part):
        raise ValueError(f"surface names vertex {int(surface.max())}, the template has {len(part)}")
    batch, row, column = (surface >= 0).nonzero(as_tuple=True)
    seen = torch.zeros(len(surface), len(part), dtype=torch.int64, device=surface.device)
    seen[batch, surface[batch, row, column].long()] = 1
    count = int(part.max()) + 1 if parts is None else parts
    of_part = torch.zeros(len(surface), count, dtype=torch.int64, device=surface.device)
    return VertexCounts(of_part.index_add_(1, part.long().to(surface.device), seen))
