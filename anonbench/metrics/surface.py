"""Pose-independent surface similarity: one place on the body compared across poses (thesis section 7.2.2).

A surface map says which template vertex each pixel shows. Colours are pooled per cell of the template, and
two images are compared over the cells that both show. A cell is a single vertex where the image has the
pixels for it, or a patch of neighbouring vertices where it has not: at 288x160 a person covers about 13,000
pixels and vertices work (ask for 200 shared ones); at 72x40 it covers about 800, so pool over about a hundred
patches. Hair and loose clothes have no vertex and are not scored.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.stats import mannwhitneyu
from torch import Tensor

from anonbench.metrics.uncertainty import Interval, finite_values

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Separation:
    """How well surface distance tells one appearance from another.

    same_mean, different_mean: mean distance of pairs with one latent and with different latents.
    ratio: same_mean / different_mean; 0 = perfectly consistent, 1 = the latent does not show; nan where
        different_mean is 0.
    auc: probability that a same-latent pair is closer than a different-latent pair, ties half; 0.5 = chance.
    n_same, n_different: pairs that were scored.
    """

    same_mean: float
    different_mean: float
    ratio: float
    auc: float
    n_same: int
    n_different: int


def vertex_colours(
    image: Tensor, surface: Tensor, cells: Tensor, *, min_pixels: int = 1
) -> tuple[Tensor, Tensor]:
    """Mean colour of every template cell in every image.

    image: uint8 (B, 3, H, W), RGB. surface: int32 (B, H, W), vertex id, -1 outside.
    cells: int64 (V,), the cell of each vertex, numbered 0 to C-1; -1 leaves the vertex out.
    `torch.arange(V)` compares single vertices. min_pixels: a cell with fewer pixels counts as not visible.
    Returns colours float32 (B, C, 3) in [0, 1], zero where not visible, and visible bool (B, C).
    """
    _check_maps(image, surface, cells)
    count = int(cells.max()) + 1
    cell = torch.where(surface >= 0, cells[surface.clamp(min=0).long()], -1)
    batch, row, column = (cell >= 0).nonzero(as_tuple=True)
    index = batch * count + cell[batch, row, column]
    pixels = image[batch, :, row, column].long()

    # Whole numbers: exact sums, so the colours do not depend on batch or device.
    total = torch.zeros(len(image) * count, 3, dtype=torch.int64, device=image.device)
    total.index_add_(0, index, pixels)
    size = torch.bincount(index, minlength=len(image) * count)
    visible = size >= min_pixels
    colours = torch.where(visible[:, None], total / (255.0 * size.clamp(min=1)[:, None]), 0.0)
    return colours.view(len(image), count, 3), visible.view(len(image), count)


def surface_distance(
    colours_a: Tensor, visible_a: Tensor, colours_b: Tensor, visible_b: Tensor, *, min_shared: int
) -> tuple[Tensor, Tensor]:
    """Mean absolute colour difference over the cells that both images of a pair show.

    colours: float (B, C, 3) in [0, 1]; visible: bool (B, C), both from `vertex_colours`.
    min_shared: fewest shared cells for a pair to be scored, at least 1.
    Returns distance float64 (B,) in [0, 1], nan where the overlap is too small (front against back), and
    overlap int64 (B,), the number of shared cells.
    """
    if colours_a.shape != colours_b.shape or visible_a.shape != visible_b.shape:
        raise ValueError(f"pairs do not fit: {tuple(colours_a.shape)} and {tuple(colours_b.shape)}")
    if min_shared < 1:
        raise ValueError(f"min_shared must be at least 1, got {min_shared}")
    shared = visible_a & visible_b
    difference = (colours_a.double() - colours_b.double()).abs().mean(dim=2)
    overlap = shared.sum(dim=1)
    distance = difference.where(shared, 0.0).sum(dim=1) / overlap
    return distance.where(overlap >= min_shared, float("nan")), overlap


def region_distances(
    colours_a: Tensor,
    visible_a: Tensor,
    colours_b: Tensor,
    visible_b: Tensor,
    region: Tensor,
    *,
    regions: int,
    min_shared: int,
) -> tuple[Tensor, Tensor]:
    """`surface_distance` for each region of the body by itself: head, arms, ...

    region: int64 (C,), the region of each cell, below R = `regions`. min_shared: fewest shared cells in a region.
    Returns distance float64 (B, R) in [0, 1], nan where the overlap is too small, and overlap int64 (B, R).
    """
    if region.shape != visible_a.shape[1:]:
        raise ValueError(f"{visible_a.shape[1]} cells need a region each, got {tuple(region.shape)}")
    found = [
        surface_distance(
            colours_a[:, region == r],
            visible_a[:, region == r],
            colours_b[:, region == r],
            visible_b[:, region == r],
            min_shared=min_shared,
        )
        for r in range(regions)
    ]
    return torch.stack([f[0] for f in found], dim=1), torch.stack([f[1] for f in found], dim=1)


def separation(same: ArrayLike, different: ArrayLike) -> Separation:
    """Compare distances of same-latent pairs with those of different-latent pairs; nan pairs are left out.

    ValueError where one side has no scored pair: lower `min_shared` or choose pairs that overlap.
    """
    same_values = finite_values(same, "same-latent surface distances")
    different_values = finite_values(different, "different-latent surface distances")
    closer = mannwhitneyu(different_values, same_values).statistic
    same_mean, different_mean = float(same_values.mean()), float(different_values.mean())
    return Separation(
        same_mean=same_mean,
        different_mean=different_mean,
        ratio=same_mean / different_mean if different_mean > 0 else float("nan"),
        auc=float(closer) / (len(same_values) * len(different_values)),
        n_same=len(same_values),
        n_different=len(different_values),
    )


def auc_interval(
    same: Sequence[ArrayLike],
    different: Sequence[ArrayLike],
    groups: ArrayLike,
    *,
    resamples: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Interval | None:
    """Percentile bootstrap of the mean `Separation.auc` over latent seeds, drawing whole groups (persons).

    same, different: for each seed the (N,) distances of the same N pairs; nan is left out. groups: (N,).
    A drawn group brings its pairs on both sides, so an AUC is a ratio of two quadratic forms in how often each
    group was drawn. None for fewer than 2 groups with a value on both sides in every seed.
    """
    labels = np.unique(np.asarray(groups), return_inverse=True)[1]
    tables = [
        _wins(np.asarray(s, float), np.asarray(d, float), labels)
        for s, d in zip(same, different, strict=True)
    ]
    used = np.logical_and.reduce([(n.sum(0) > 0) & (n.sum(1) > 0) for _, n in tables])
    if used.sum() < 2:
        return None
    count = int(used.sum())
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), resamples).astype(float)
    inside = np.ix_(used, used)
    values = [
        ((drawn @ wins[inside]) * drawn).sum(1) / ((drawn @ n[inside]) * drawn).sum(1) for wins, n in tables
    ]
    tail = 50 * (1 - confidence)
    low, high = np.percentile(np.mean(values, axis=0), [tail, 100 - tail])
    return Interval(float(low), float(high), confidence)


def _wins(same: Floats, different: Floats, labels: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """(G, G): how often a same-latent pair of group p is closer than a different-latent pair of group q, ties
    half; and how many comparisons there are."""
    count = int(labels.max()) + 1
    near, far = ~np.isnan(same), ~np.isnan(different)
    wins = np.zeros((count, count))
    for q in np.unique(labels[far]):
        others = np.sort(different[far & (labels == q)])
        below = np.searchsorted(others, same[near], "left") + np.searchsorted(others, same[near], "right")
        wins[:, q] = np.bincount(labels[near], len(others) - below / 2, minlength=count)
    sizes = (np.bincount(labels[side], minlength=count).astype(float) for side in (near, far))
    return wins, np.outer(*sizes)


def _check_maps(image: Tensor, surface: Tensor, cells: Tensor) -> None:
    if image.dtype != torch.uint8 or image.ndim != 4 or image.shape[1] != 3:
        raise ValueError(f"image must be uint8 (B, 3, H, W), got {image.dtype} {tuple(image.shape)}")
    if surface.shape != (len(image), *image.shape[2:]):
        raise ValueError(f"surface {tuple(surface.shape)} does not fit image {tuple(image.shape)}")
    if len(image) == 0:
        raise ValueError("surface colours need at least one image")
    if cells.ndim != 1 or len(cells) == 0 or int(cells.max()) < 0:
        raise ValueError("cells must name a cell for at least one vertex")
    if int(surface.max()) >= len(cells):
        raise ValueError(f"surface names vertex {int(surface.max())}, the template has {len(cells)}")
