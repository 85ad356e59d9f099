"""What the two swap protocols share: pairs of samples in which one factor differs, and their statistics.

Every identity gets two latents per seed, A and B. For a pair (i, j) that differs in the swapped factor:

    same       d(A[i], A[j])   the factor alone changes
    different  d(A[i], B[j])   factor and latent change
    latent     d(A[i], B[i])   the latent alone changes: diversity

A model without latents has `same` only. The ceiling of each statistic is that of the untouched images, with
the next person of the dataset in the place of the other latent.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from anonbench.errors import UsageError
from anonbench.features.base import PerceptualExtractor
from anonbench.features.store import KeyPart
from anonbench.metrics.ratios import ratio_over_groups
from anonbench.metrics.similarity import pair_distance
from anonbench.metrics.surface import separation, surface_distance, vertex_colours
from anonbench.protocols.crops import BATCH, CropSource
from anonbench.protocols.generation import ImageSet, Sampling
from anonbench.protocols.scoring import Context, Floats, Measurement, interval_over, long_form
from anonbench.records import Direction, Metric
from anonbench.template import patches

Integers = NDArray[np.int64]
FACTORS = ("identity", "pose", "background")
PATCHES = 128
"""Patches of the template over which colours are pooled; about 2 % of the body's height across."""
LEAST_SHARED = 12
"""Patches that both images of a pair must show."""
GALLERY_PERSONS = 2

Distance = Callable[[ImageSet, Integers, ImageSet, Integers], Floats]


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


@dataclass(frozen=True)
class Measure:
    """A way to compare two samples: a name for its statistics, the extractor behind it, and the unit."""

    name: str
    extractor: str
    distance: Distance
    unit: str


def measure_swap(context: Context, factor: str, measures: list[Measure]) -> Measurement:
    """Every measure on all pairs that differ in `factor`, and the gallery of the swap."""
    pairs = swap_pairs(context.crops.samples, factor)
    metrics: dict[str, Metric] = {}
    samples = []
    for m in measures:
        statistics, found = swap_metrics(context, pairs, m.distance, m.name, m.unit)
        metrics |= {f"{factor}_swap.{key}.{m.extractor}": metric for key, metric in statistics.items()}
        samples.append(long_form_pairs(context, pairs, factor, m, found))
    return Measurement(metrics, pd.concat(samples, ignore_index=True), swap_strips(context, factor))


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


def swap_metrics(
    context: Context, pairs: Pairs, distance: Distance, name: str, unit: str
) -> tuple[dict[str, Metric], list[Distances]]:
    """Metrics by statistic name, and the distances of each seed; `sensitivity` is D_factor / D_z."""
    found = [pair_distances(context, pairs, seed, distance) for seed in context.seeds]
    original = original_distances(context, pairs, distance)
    person, resamples = pairs.person, context.preset.resamples
    metrics = {
        f"{name}_same": _mean([d.same for d in found], person, unit, "lower", resamples, original.same)
    }
    different = [d.different for d in found if d.different is not None]
    latent = [d.latent for d in found if d.latent is not None]
    if not different or not latent or original.different is None or original.latent is None:
        return metrics, found
    same = [d.same for d in found]
    metrics |= {
        f"{name}_different": _mean(different, person, unit, "none", resamples, original.different),
        f"{name}_latent": _mean(latent, person, unit, "higher", resamples, original.latent),
        f"{name}_auc": _auc(same, different, _separation(original.same, original.different)),
    }
    for statistic, below, ceiling in (
        (f"{name}_ratio", different, original.different),
        ("sensitivity", latent, original.latent),
    ):
        ratio = _ratio(same, below, person, resamples, float(np.nanmean(original.same) / np.nanmean(ceiling)))
        if ratio is not None:
            metrics[statistic] = ratio
    return metrics, found


def surface_distances(crops: CropSource) -> Distance:
    """Distance of colours pooled over template patches, over the patches that both images show."""
    cells = patches(PATCHES)
    pooled: dict[tuple[KeyPart, ...], tuple[torch.Tensor, torch.Tensor]] = {}

    def colours(images: ImageSet) -> tuple[torch.Tensor, torch.Tensor]:
        if images.key not in pooled:
            parts = [
                vertex_colours(image, batch.surface, cells, min_pixels=2)
                for image, batch in zip(images.batches(), crops.batches(), strict=True)
            ]
            pooled[images.key] = (torch.cat([p[0] for p in parts]), torch.cat([p[1] for p in parts]))
        return pooled[images.key]

    def distance(a: ImageSet, i: Integers, b: ImageSet, j: Integers) -> Floats:
        (colour_a, visible_a), (colour_b, visible_b) = colours(a), colours(b)
        found, _ = surface_distance(
            colour_a[i], visible_a[i], colour_b[j], visible_b[j], min_shared=LEAST_SHARED
        )
        return found.numpy()

    return distance


def perceptual_distances_inside(crops: CropSource, extractor: PerceptualExtractor) -> Distance:
    """Perceptual distance inside the pixels that both images anonymize, which must be aligned."""

    def distance(a: ImageSet, i: Integers, b: ImageSet, j: Integers) -> Floats:
        # A sample is the first of several pairs, and then its own latent pair repeats.
        pairs, position = np.unique(np.stack([i, j]), axis=1, return_inverse=True)
        parts = []
        for start in range(0, pairs.shape[1], BATCH):
            left, right = pairs[:, start : start + BATCH]
            mask = crops.load(left.tolist()).person_mask & crops.load(right.tolist()).person_mask
            first, second = torch.from_numpy(a.images[left]), torch.from_numpy(b.images[right])
            parts.append(pair_distance(extractor.distance_map(first, second), mask).inside.numpy())
        distances: Floats = np.concatenate(parts)[position]
        return distances

    return distance


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


def long_form_pairs(
    context: Context, pairs: Pairs, factor: str, measure: Measure, found: list[Distances]
) -> pd.DataFrame:
    """Per-pair values behind the means and ratios of one measure; the key names both samples."""
    keys = context.crops.samples["key"].to_numpy()
    names = [f"{a}|{b}" for a, b in zip(keys[pairs.first], keys[pairs.second], strict=True)]
    same = [d.same for d in found]
    different = [d.different for d in found if d.different is not None]
    latent = [d.latent for d in found if d.latent is not None]
    statistics: dict[str, tuple[list[Floats], list[Floats] | None]] = {f"{measure.name}_same": (same, None)}
    if different and latent:
        statistics |= {
            f"{measure.name}_different": (different, None),
            f"{measure.name}_latent": (latent, None),
            f"{measure.name}_ratio": (same, different),
            "sensitivity": (same, latent),
        }
    frames = [
        long_form(names, f"{factor}_swap.{statistic}.{measure.extractor}", values, pairs.person, over)
        for statistic, (values, over) in statistics.items()
    ]
    return pd.concat(frames, ignore_index=True)


def _mean(
    per_seed: list[Floats],
    person: Integers,
    unit: str,
    direction: Direction,
    resamples: int,
    original: Floats,
) -> Metric:
    values = np.concatenate(per_seed)
    return Metric(
        value=float(np.nanmean(values)),
        unit=unit,
        direction=direction,
        n=_scored(per_seed),
        interval=interval_over(values, np.tile(person, len(per_seed)), resamples),
        seeds=tuple(float(np.nanmean(v)) for v in per_seed),
        ceiling=float(np.nanmean(original)),
    )


def _ratio(
    above: list[Floats], below: list[Floats], person: Integers, resamples: int, ceiling: float
) -> Metric | None:
    groups = np.tile(person, len(above))
    ratio = ratio_over_groups(
        np.concatenate(above), groups, np.concatenate(below), groups, resamples=resamples
    )
    if ratio is None:
        return None
    return Metric(
        value=ratio.value,
        unit="ratio",
        direction="lower",
        n=_scored(above),
        interval=(ratio.interval.low, ratio.interval.high),
        seeds=tuple(float(np.nanmean(a) / np.nanmean(b)) for a, b in zip(above, below, strict=True)),
        ceiling=ceiling,
    )


def _auc(same: list[Floats], different: list[Floats], ceiling: float) -> Metric:
    per_seed = [_separation(s, d) for s, d in zip(same, different, strict=True)]
    return Metric(
        value=float(np.mean(per_seed)),
        unit="probability",
        direction="higher",
        n=_scored(same),
        seeds=tuple(per_seed),
        chance=0.5,
        ceiling=ceiling,
    )


def _separation(same: Floats, different: Floats) -> float:
    return separation(same, different).auc


def _scored(per_seed: list[Floats]) -> int:
    """Pairs that have a value, per seed."""
    return int(np.mean([(~np.isnan(values)).sum() for values in per_seed]))
