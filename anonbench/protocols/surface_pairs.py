"""Surface distances of pairs of images, over the whole body and by region (thesis section 7.2.2)."""

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anonbench.crops import PACKAGED_TEMPLATE
from anonbench.errors import DataError
from anonbench.features.store import feature_store
from anonbench.metrics.surface import region_distances, surface_distance, vertex_colours
from anonbench.protocols.crops import CropSource
from anonbench.protocols.generation import ImageSet
from anonbench.template import PARTS, VERTICES, part_of_vertex, patches

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

REGIONS = ("head", "torso", "arms", "legs")
_REGION_OF_PART = tuple(
    0 if part == "head" else 1 if "torso" in part else 2 if "arm" in part or "hand" in part else 3
    for part in PARTS
)

PATCHES = 128
"""Patches of the template over which colours are pooled; about 2 % of the body's height across."""
LEAST_PATCHES = 12
"""Patches that both images of a pair must show."""
LEAST_PATCHES_OF_REGION = 3
LEAST_VERTICES = 200
"""The same for single vertices (thesis-sized crops)."""
LEAST_VERTICES_OF_REGION = 50
VERTEX_PIXELS = 288 * 160
"""Crops from this size on have enough pixels to compare single vertices."""

_BLOCK = 128
"""Pairs compared at once: 40 MB of vertex colours."""


@dataclass(frozen=True)
class Cells:
    """Cells of the body template over which colours are pooled.

    name: last part of metric keys. of_vertex: int64 (V,). region: int64 (C,), index into `REGIONS`.
    min_pixels: a cell with fewer is not visible. least, least_of_region: shared cells that a pair needs.
    """

    name: str
    of_vertex: Tensor
    region: Tensor
    min_pixels: int
    least: int
    least_of_region: int


@dataclass(frozen=True)
class SurfaceComparison:
    """K pairs compared over the surface. Column 0 is the whole body, the others are `REGIONS`.

    distance: float64 (K, 5), mean absolute colour difference in [0, 1], nan where too little is shared.
    shared: float64 (K, 5), cells that both images show.
    """

    distance: Floats
    shared: Floats


def template_patches() -> Cells:
    """Patches of the template: the same for crops of all sizes, so that values compare."""
    return Cells(
        "template", patches(PATCHES), _region_of_cells(patches(PATCHES)), 2,
        LEAST_PATCHES, LEAST_PATCHES_OF_REGION,
    )  # fmt: skip


def template_vertices() -> Cells:
    """Single vertices."""
    vertices = torch.arange(VERTICES)
    return Cells(
        "vertices", vertices, _region_of_cells(vertices), 1,
        LEAST_VERTICES, LEAST_VERTICES_OF_REGION,
    )  # fmt: skip


def cells_for(size: tuple[int, int]) -> list[Cells]:
    """Patches for crops of any `size` (H, W), and vertices for those that are large enough."""
    large = size[0] * size[1] >= VERTEX_PIXELS
    return [template_patches(), template_vertices()] if large else [template_patches()]


def surface_comparison(
    a: ImageSet, i: Integers, b: ImageSet, j: Integers, crops: CropSource, cells: Cells
) -> SurfaceComparison:
    """Compare a[i[k]] with b[j[k]] for every k. i, j: (K,), positions in `crops`, whose surfaces are used.

    Stored under the content of images and pairs.
    """
    pairs = hashlib.sha256(np.stack([i, j]).astype(np.int64).tobytes()).hexdigest()
    rule = (
        f"surface/{cells.name}/{len(cells.region)}/{cells.min_pixels}/{cells.least}/{cells.least_of_region}"
    )

    def compute() -> Floats:
        starts = range(0, len(i), _BLOCK)
        blocks = [_block(a, i[s : s + _BLOCK], b, j[s : s + _BLOCK], crops, cells) for s in starts]
        return np.concatenate(blocks)

    found = feature_store().get_or_compute((*a.key, *b.key, crops.digest, pairs, rule), compute)
    return SurfaceComparison(found[..., 0], found[..., 1])


def _block(a: ImageSet, i: Integers, b: ImageSet, j: Integers, crops: CropSource, cells: Cells) -> Floats:
    """(K, 5, 2): distances and shared cells."""
    colours_a, visible_a = _colours(a, i, crops, cells)
    colours_b, visible_b = _colours(b, j, crops, cells)
    pair = (colours_a, visible_a, colours_b, visible_b)
    whole, shared = surface_distance(*pair, min_shared=cells.least)
    distance, overlap = region_distances(
        *pair, cells.region, regions=len(REGIONS), min_shared=cells.least_of_region
    )
    columns = torch.stack(
        [torch.cat([whole[:, None], distance], 1), torch.cat([shared[:, None], overlap], 1).double()], -1
    )
    return columns.numpy()


def _colours(images: ImageSet, index: Integers, crops: CropSource, cells: Cells) -> tuple[Tensor, Tensor]:
    """Colours (K, C, 3) and visibility (K, C); an image that occurs in several pairs is pooled once."""
    chosen, position = np.unique(index, return_inverse=True)
    batch = crops.load(chosen.tolist())
    if batch.template != PACKAGED_TEMPLATE:
        raise DataError(
            f"{crops.dataset.name}: its surfaces refer to the body template '{batch.template}', and surface distances "
            f"know '{PACKAGED_TEMPLATE}' alone; leave the surfaces out, and the surface head makes them"
        )
    pixels = torch.from_numpy(np.ascontiguousarray(images.images[chosen]))
    colours, visible = vertex_colours(pixels, batch.surface, cells.of_vertex, min_pixels=cells.min_pixels)
    return colours[position], visible[position]


def _region_of_cells(cell_of_vertex: Tensor) -> Tensor:
    """int64 (C,): the region that holds most vertices of each cell."""
    region = torch.tensor(_REGION_OF_PART)[part_of_vertex()[: len(cell_of_vertex)].long()]
    votes = torch.zeros(int(cell_of_vertex.max()) + 1, len(REGIONS), dtype=torch.int64)
    votes.index_put_((cell_of_vertex, region), torch.ones_like(region), accumulate=True)
    return votes.argmax(dim=1)
