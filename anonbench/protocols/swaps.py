"""What the two swap protocols share: pairs of samples in which one factor differs, and their statistics.

Every identity gets two latents per seed, A and B. For a pair (i, j) that differs in the swapped factor:

    same       d(A[i], A[j])   the factor alone changes
    different  d(A[i], B[j])   factor and latent change
    latent     d(A[i], B[i])   the latent alone changes: diversity

A model without latents has `same` only. The ceiling of each statistic is that of the untouched images, with
the next person of the dataset in the place of the other latent.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anonbench.errors import UsageError
from anonbench.protocols.generation import ImageSet, Sampling
from anonbench.protocols.pair_distances import Distance, Integers, Measure
from anonbench.protocols.pair_results import PairResults, ratio_of_means
from anonbench.protocols.scoring import Context, Floats, Measurement
from anonbench.protocols.surface_pairs import cells_for, surface_comparison

FACTORS = ("identity", "pose", "background")
GALLERY_PERSONS = 2


@dataclass(frozen=True)
class Pairs:
    """K pairs of samples that differ in one factor: positions `first` and `second`, (K,) each.

    next_first, next_second: the same two with the next identity in the person's place. person: identity.
    """

    first: Integers
    second: Integers
    next_first: Integers
    next_second: Integers
    person: Integers


@dataclass(frozen=True)
class Distances:
    """Distances of one seed's pairs, (K,) each; `different` and `latent` need a model with latents."""

    same: Floats
    different: Floats | None = None
    latent: Floats | None = None


def factor_grid(samples: pd.DataFrame) -> Integers:
    """Position of each (identity, pose, background), (P, Q, R). UsageError for data that is not factorial."""
    if not set(FACTORS) <= set(samples.columns):
        raise UsageError("swap protocols need factorial data: run them on --data synthetic")
    shape = tuple(int(samples[factor].max()) + 1 for factor in FACTORS)
    grid = np.full(shape, -1, dtype=np.int64)
    grid[tuple(samples[factor].to_numpy() for factor in FACTORS)] = np.arange(len(samples))
    if (grid < 0).any():
        raise UsageError(f"factorial data of {shape} needs {grid.size} samples, found {len(samples)}")
    return grid


def swap_pairs(samples: pd.DataFrame, factor: str) -> Pairs:
    """Every pair of samples that is equal in all factors but one."""
    grid = np.moveaxis(factor_grid(samples), FACTORS.index(factor), -1)
    following = np.roll(grid, -1, axis=0)
    left, right = np.triu_indices(grid.shape[-1], k=1)
    person = np.broadcast_to(np.arange(len(grid))[:, None, None], grid[..., left].shape)
    return Pairs(
        first=grid[..., left].ravel(),
        second=grid[..., right].ravel(),
        next_first=following[..., left].ravel(),
        next_second=following[..., right].ravel(),
        person=person.ravel(),
    )


def measure_swap(context: Context, factor: str, measures: list[Measure]) -> Measurement:
    """Every measure on all pairs that differ in `factor`, and the gallery of the swap."""
    pairs = swap_pairs(context.crops.samples, factor)
    keys = context.crops.samples["key"].to_numpy()
    names = [f"{a}|{b}" for a, b in zip(keys[pairs.first], keys[pairs.second], strict=True)]
    results = PairResults(names, pairs.person, context.preset.resamples)
    for measure in measures:
        found = [pair_distances(context, pairs, seed, measure.distance) for seed in context.seeds]
        original = original_distances(context, pairs, measure.distance)
        _add(results, f"{factor}_swap", measure, found, original)
    add_overlap(results, context, f"{factor}_swap", pairs.first, pairs.second)
    return Measurement(results.metrics, results.samples, swap_strips(context, factor))


def pair_distances(context: Context, pairs: Pairs, seed: int, distance: Distance) -> Distances:
    """The distances of every pair for one seed."""
    tokens = tuple(f"swap/{identity}" for identity in context.crops.samples["identity"])
    a = context.generation.anonymized(Sampling("one z per identity", 2 * seed, tokens))
    same = distance(a, pairs.first, a, pairs.second)
    if not context.generation.has_latents:
        return Distances(same)
    b = context.generation.anonymized(Sampling("another z per identity", 2 * seed + 1, tokens))
    return Distances(
        same,
        different=distance(a, pairs.first, b, pairs.second),
        latent=distance(a, pairs.first, b, pairs.first),
    )


def original_distances(context: Context, pairs: Pairs, distance: Distance) -> Distances:
    """The same of the untouched images, the next person in the place of the other latent."""
    images = context.generation.original()
    return Distances(
        distance(images, pairs.first, images, pairs.second),
        different=distance(images, pairs.first, images, pairs.next_second),
        latent=distance(images, pairs.first, images, pairs.next_first),
    )


def add_overlap(
    results: PairResults, context: Context, prefix: str, first: Integers, second: Integers
) -> None:
    """How much of the body the two images of a pair share: it decides which pairs have a surface distance."""
    images: ImageSet = context.generation.original()
    for cells in cells_for(context.crops.dataset.size):
        found = surface_comparison(images, first, images, second, context.crops, cells)
        shared, unscored = found.shared[:, 0], 100.0 * np.isnan(found.distance[:, 0])
        results.mean(f"{prefix}.surface_shared.{cells.name}", [shared], "cells", "none")
        results.mean(f"{prefix}.surface_unscored.{cells.name}", [unscored], "percent", "none")


def _add(
    results: PairResults, prefix: str, measure: Measure, found: list[Distances], original: Distances
) -> None:
    """The statistics of one measure; `sensitivity` is D_factor / D_z, the whole body only."""

    def key(statistic: str) -> str:
        return f"{prefix}.{measure.statistic(statistic)}.{measure.extractor}"

    same = [d.same for d in found]
    different = [d.different for d in found if d.different is not None]
    latent = [d.latent for d in found if d.latent is not None]
    results.mean(key("same"), same, measure.unit, "lower", original.same)
    if not different or not latent or original.different is None or original.latent is None:
        return
    results.ratio(key("ratio"), same, different, ratio_of_means(original.same, original.different))
    results.auc(key("auc"), same, different, (original.same, original.different))
    if measure.part:
        return
    results.mean(key("different"), different, measure.unit, "none", original.different)
    results.mean(key("latent"), latent, measure.unit, "higher", original.latent)
    sensitivity = f"{prefix}.sensitivity.{measure.extractor}"
    results.ratio(sensitivity, same, latent, ratio_of_means(original.same, original.latent))


def swap_strips(context: Context, factor: str) -> dict[str, NDArray[np.uint8]]:
    """The swapped factor across, one z per identity: originals, t=0 and t=1 (thesis Figures 5.1 and 5.2)."""
    grid = np.moveaxis(factor_grid(context.crops.samples), FACTORS.index(factor), -1)
    chosen = grid[:GALLERY_PERSONS, 0].ravel().tolist()
    tokens = tuple(f"swap/{context.crops.samples['identity'].iloc[i]}" for i in chosen)
    name = f"{factor}_swap"
    strips = {f"{name}.original": context.crops.load(chosen).image.numpy()}
    for truncation in (0.0, 1.0) if context.generation.has_latents else (1.0,):
        sampling = Sampling("gallery", 0, tokens, truncation=truncation)
        strips[f"{name}.t{truncation:.0f}"] = context.generation.anonymized_subset(chosen, sampling)
    return strips
