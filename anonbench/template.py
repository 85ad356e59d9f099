"""The body templates that surface maps refer to, above all the packaged one.

A surface map gives a vertex id per pixel. `SurfaceTemplate` is what networks must know of the vertices: their
16-d embedding and their left-right counterparts. The packaged template, the 13380 body vertices of MakeHuman's
base mesh (CC0), also says where a vertex lies at rest and to which body part it belongs. It needs no body
model: the numbers come from `assets/template.safetensors`, which
`anonbench.datasets.synthetic.template_asset` builds.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from anonbench.crops import NO_VERTEX, PACKAGED_TEMPLATE
from anonbench.errors import DataError

VERTICES = 13380
EMBEDDING_SIZE = 16

PARTS = (
    "head", "torso_front", "torso_back",
    "left_upper_arm", "right_upper_arm", "left_lower_arm", "right_lower_arm", "left_hand", "right_hand",
    "left_upper_leg", "right_upper_leg", "left_lower_leg", "right_lower_leg", "left_foot", "right_foot",
)  # fmt: skip
"""Coarse body parts. Left is the person's left."""

ASSET = Path(__file__).with_name("assets") / "template.safetensors"


@dataclass(frozen=True, eq=False)
class SurfaceTemplate:
    """A body template, as networks see it.

    name: what crops and cards call it. embedding: float32 (V, 16), one vector per vertex.
    mirror: int32 (V,), the left-right counterpart of each vertex, an involution; None where it is not known.
    part: int32 (V,), the body part of each vertex, an index into `part_names`; None where it is not known.
    """

    name: str
    embedding: Tensor
    mirror: Tensor | None = None
    part: Tensor | None = None
    part_names: tuple[str, ...] = ()

    def embed(self, surface: Tensor) -> Tensor:
        """Vertex ids int32 (B, H, W) to their embedding float32 (B, 16, H, W), zero where there is no vertex."""
        return _look_up(self.embedding, surface, 0).permute(0, 3, 1, 2).contiguous()

    def mirrored(self, surface: Tensor) -> Tensor:
        """Surface maps int32 (B, H, W) with left and right exchanged; pixels stay where they are.

        A horizontal flip is `mirrored(surface).flip(-1)`. Raises DataError if the counterparts are not known.
        """
        if self.mirror is None:
            raise DataError(
                f"surface template '{self.name}': its left-right counterparts are not known, and flips need "
                "them; add them to the data set or train with flip_probability 0"
            )
        return _look_up(self.mirror, surface, NO_VERTEX)


@lru_cache(maxsize=1)
def body_template() -> SurfaceTemplate:
    """The packaged template."""
    return SurfaceTemplate(PACKAGED_TEMPLATE, embedding(), mirror_vertices(), part_of_vertex(), PARTS)


@lru_cache(maxsize=1)
def _asset() -> dict[str, Tensor]:
    return load_file(ASSET)


@lru_cache(maxsize=1)
def positions() -> Tensor:
    """float32 (VERTICES, 3): metres at rest, in an A-pose; x to the person's left, y to the back, z up."""
    return _asset()["position"]


@lru_cache(maxsize=1)
def embedding() -> Tensor:
    """float32 (VERTICES, 16): Laplace-Beltrami eigenvectors 1..16 of the surface, unit variance each.

    Smooth on the body and different for left and right, like the learned embedding of CSE (Neverova et al.,
    NeurIPS 2020), which starts from the same basis; the thesis conditions its generator on 16 such channels.
    """
    return _asset()["embedding"].float()


@lru_cache(maxsize=1)
def mirror_vertices() -> Tensor:
    """int32 (VERTICES,): the left-right counterpart of each vertex, an involution."""
    return _asset()["mirror"].to(torch.int32)


@lru_cache(maxsize=1)
def part_of_vertex() -> Tensor:
    """int32 (VERTICES,): index into PARTS."""
    return _asset()["part"].to(torch.int32)


def surface_embedding(surface: Tensor) -> Tensor:
    """Vertex ids int32 (B, H, W) to their embedding float32 (B, 16, H, W), zero where there is no vertex."""
    return body_template().embed(surface)


def surface_position(surface: Tensor) -> Tensor:
    """Vertex ids int32 (B, H, W) to rest positions float32 (B, 3, H, W), zero where there is no vertex."""
    return _look_up(positions(), surface, 0).permute(0, 3, 1, 2).contiguous()


def mirror(surface: Tensor) -> Tensor:
    """Surface maps int32 (B, H, W) with left and right exchanged; pixels stay where they are.

    A horizontal flip is `mirror(surface).flip(-1)`.
    """
    return body_template().mirrored(surface)


def parts(surface: Tensor) -> Tensor:
    """int32 (B, H, W): index into PARTS per pixel, -1 where there is no vertex."""
    return _look_up(part_of_vertex(), surface, NO_VERTEX)


@lru_cache(maxsize=4)
def patches(count: int) -> Tensor:
    """int64 (VERTICES,): the patch of each vertex, `count` patches of about equal size on the rest surface.

    Centres by farthest-point sampling from vertex 0, each vertex to its nearest centre: no random numbers.
    """
    points = positions().double()
    owner = torch.zeros(len(points), dtype=torch.int64)
    distance = torch.full((len(points),), float("inf"), dtype=torch.float64)
    centre = 0
    for patch in range(count):
        to_centre = (points - points[centre]).norm(dim=1)
        closer = to_centre < distance
        owner[closer], distance[closer] = patch, to_centre[closer]
        centre = int(distance.argmax())
    return owner


def _look_up(table: Tensor, surface: Tensor, outside: int) -> Tensor:
    """`table` at the ids in `surface`, on its device; `outside` where there is no vertex."""
    # One row more than vertices: id -1 indexes the last, which holds the value for "nothing".
    nothing = torch.full_like(table[:1], outside)
    return torch.cat([table, nothing]).to(surface.device)[surface.long()]
