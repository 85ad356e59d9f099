"""Measures on pairs of images over planted inconsistency: surface and perceptual distance, warping error."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from anonbench.features.base import PerceptualExtractor
from anonbench.metrics.surface import separation
from anonbench.protocols.generation import Generation, ImageSet
from anonbench.protocols.pair_distances import Distance, perceptual_measure, surface_measures
from anonbench.protocols.reid_labels import Labels
from anonbench.protocols.scoring import Floats
from anonbench.protocols.surface_pairs import template_patches
from anonbench.protocols.swaps import factor_grid
from anonbench.protocols.validity_consistency import Pairs, Planted
from anonbench.protocols.validity_planting import HALVES, Integers, Pair, Quantity, Samples
from anonbench.protocols.video_clips import Clips
from anonbench.records import Direction

MEAN, AUC = "mean", "auc"


@dataclass(frozen=True)
class Table:
    """Distances of K pairs of images for either choice of z on either side.

    values: (2 halves, K, 2, 2), nan where a pair has none; the last axes say whether the first and the second image
    is fresh. first, second: (K,) positions of the images. below: what statistics relate the mean to, (2, K) each.
    auc_against: which of `below` holds pairs of different z. lag: the second image has the faults of another run.
    """

    values: Floats
    first: Integers
    second: Integers
    below: Mapping[str, Floats] = field(default_factory=dict)
    auc_against: str | None = None
    lag: int = 0


class PairDistances(Planted):
    """Mean distances of pairs of images, over other distances where the measure is a ratio.

    tables: name -> table. quantities: each with the table and the statistic ("mean", "auc", else a key of
    `Table.below`) behind it.
    """

    def __init__(
        self,
        generation: Generation,
        pairs: Pairs,
        tables: Mapping[str, Table],
        statistics: Mapping[Quantity, tuple[str, str]],
    ) -> None:
        super().__init__(generation, pairs, statistics)
        self.tables = tables
        self.statistics = statistics

    def measure(self, members: Integers, half: int, repeat: int, level: int) -> dict[str, float]:
        """Every statistic on the pairs of these people."""
        inside, found = self.belongs(members), {}
        chosen = {
            name: self._choose(table, inside, half, repeat, level) for name, table in self.tables.items()
        }
        for quantity, (name, statistic) in self.statistics.items():
            table, (kept, values) = self.tables[name], chosen[name]
            if statistic == AUC:
                found[quantity.key] = separation(values, table.below[table.auc_against or ""][half][kept]).auc
                continue
            below = 1.0 if statistic == MEAN else np.nanmean(table.below[statistic][half][kept])
            found[quantity.key] = float(np.nanmean(values) / below)
        return found

    def samples(self, members: Integers, half: int, repeat: int, level: int) -> dict[str, Samples]:
        """Values of every pair, of the measures that are means."""
        inside, found = self.belongs(members), {}
        for quantity, (name, statistic) in self.statistics.items():
            if statistic == MEAN:
                kept, values = self._choose(self.tables[name], inside, half, repeat, level)
                found[quantity.key] = Samples(values, self.person[self.tables[name].first[kept]])
        return found

    def _choose(
        self, table: Table, inside: NDArray[np.bool_], half: int, repeat: int, level: int
    ) -> tuple[Integers, Floats]:
        kept = np.flatnonzero(inside[self.person[table.first]])
        share = self.levels[level]
        fresh = self.mixer.faults(half, repeat, share).astype(np.int64)
        other = self.mixer.faults(half + table.lag, repeat, share).astype(np.int64)
        values = table.values[half, kept, fresh[table.first[kept]], other[table.second[kept]]]
        return kept, values


def surface_across_cameras(generation: Generation, pairs: Pairs) -> PairDistances:
    """Surface distance between a person's queries and gallery images in `reid`: pose, view and place all differ."""
    labels = Labels.of(generation.crops.samples)
    match = labels.person[labels.query][:, None] == labels.person[labels.gallery]
    i, j = np.nonzero(match & (labels.camera[labels.query][:, None] != labels.camera[labels.gallery]))
    first, second = labels.query[i], labels.gallery[j]
    table = pair_table(pairs, first, second, _surface(generation))
    statistics = _pair_statistics("pairs", "surface", "template", "surface", "across cameras")
    return PairDistances(generation, pairs, {"surface": table}, statistics)


def across_backgrounds(
    generation: Generation, pairs: Pairs, perceptual: PerceptualExtractor
) -> PairDistances:
    """Aligned pairs of `background_swap`: every image with one other of the same pose before another background.

    Controls: the distance of an image to the untouched one, and between two runs (diversity), which mixing must
    not move.
    """
    grid = factor_grid(generation.crops.samples)
    even = grid[..., : grid.shape[-1] // 2 * 2]
    first, second = even[..., 0::2].ravel(), even[..., 1::2].ravel()
    inside = perceptual_measure(generation.crops, perceptual).distance
    surface = _surface(generation)
    alone = grid[:, :, 0].ravel()
    name = perceptual.key
    tables = {
        "perceptual": pair_table(pairs, first, second, inside),
        "surface": pair_table(pairs, first, second, surface),
        "original": _table_to_original(generation.original(), pairs, alone, inside),
        "diversity": _table_between_runs(pairs, alone, inside),
    }
    to_original = Quantity(
        f"lpips.random_masked.{name}", "distance to the original", "control", "distance", "none"
    )
    diversity = Quantity(f"lpips.diversity_masked.{name}", "diversity", "control", "distance", "higher")
    statistics = {
        **_pair_statistics("background_swap", "perceptual", name, "perceptual", "aligned"),
        **_pair_statistics("background_swap", "surface", "template", "surface", "aligned"),
        to_original: ("original", MEAN),
        diversity: ("diversity", MEAN),
    }
    return PairDistances(generation, pairs, tables, statistics)


def along_tracks(generation: Generation, pairs: Pairs) -> PairDistances:
    """Warping error of `walks` along the exact flow, over that of the untouched clips."""
    clips = Clips(generation.crops)
    values = np.stack([_warping(clips, pair) for pair in pairs])
    untouched = clips.errors(generation.original()).warping
    table = Table(values, clips.pairs.now, clips.pairs.before, {"ratio": np.stack([untouched] * 2)})
    key = f"video.same_latent.warping_ratio.{clips.dataset.flow_source}"
    ratio = Quantity(key, "video warping ratio", "consistency", "ratio", "lower")
    return PairDistances(generation, pairs, {"warping": table}, {ratio: ("warping", "ratio")})


def _surface(generation: Generation) -> Distance:
    return surface_measures(generation.crops, template_patches())[0].distance


def pair_table(pairs: Pairs, first: Integers, second: Integers, distance: Distance) -> Table:
    """Distances for every choice of z, between different z, and of one crop under two z."""
    values, different, latent = [], [], []
    for pair in pairs:
        values.append(_both_sides(lambda a, b: distance(a, first, b, second), pair))
        different.append(distance(pair.same, first, pair.fresh, second))
        latent.append(distance(pair.same, first, pair.fresh, first))
    below = {"ratio": np.stack(different), "sensitivity": np.stack(latent)}
    return Table(np.stack(values), first, second, below, auc_against="ratio")


def _both_sides(
    distance: Callable[[ImageSet, ImageSet], Floats], pair: Pair, other: Pair | None = None
) -> Floats:
    """(K, 2, 2): the distances for either choice of either image."""
    left, right = (pair.same, pair.fresh), ((other or pair).same, (other or pair).fresh)
    return np.stack([np.stack([distance(a, b) for b in right], axis=1) for a in left], axis=1)


def _table_to_original(original: ImageSet, pairs: Pairs, index: Integers, distance: Distance) -> Table:
    untouched = Pair(original, original)
    values = [_both_sides(lambda a, b: distance(a, index, b, index), pair, untouched) for pair in pairs]
    return Table(np.stack(values), index, index)


def _table_between_runs(pairs: Pairs, index: Integers, distance: Distance) -> Table:
    """The second run has the other half's latents, and faults that no half has."""
    forward = _both_sides(lambda a, b: distance(a, index, b, index), *pairs)
    return Table(np.stack([forward, forward.swapaxes(1, 2)]), index, index, lag=len(HALVES))


def _warping(clips: Clips, pair: Pair) -> Floats:
    """(K, 2, 2): errors are taken of whole clips, so frames of either kind alternate in two of four passes."""
    later_is_odd = clips.frame[clips.pairs.now] % 2 == 1
    errors = {}
    for even, odd in np.ndindex(2, 2):
        sets = (pair.same.images, pair.fresh.images)
        fresh = np.where(clips.frame % 2 == 1, odd, even).astype(bool)[:, None, None, None]
        mixed = ImageSet((*pair.same.key, *pair.fresh.key, even, odd), np.where(fresh, sets[1], sets[0]))
        errors[even, odd] = clips.errors(mixed).warping
    values = np.empty((len(later_is_odd), 2, 2))
    for now, before in np.ndindex(2, 2):
        values[:, now, before] = np.where(later_is_odd, errors[before, now], errors[now, before])
    return values


def _pair_statistics(
    protocol: str, name: str, extractor: str, table: str, where: str
) -> dict[Quantity, tuple[str, str]]:
    """What the swap protocols make of such distances."""
    unit = "colour distance" if name == "surface" else "distance"

    def quantity(statistic: str, words: str, unit: str, direction: Direction) -> Quantity:
        key = f"{protocol}.{name}_{statistic}.{extractor}"
        return Quantity(key, f"{name} {words}, {where}", "consistency", unit, direction)

    return {
        quantity("same", "distance", unit, "lower"): (table, MEAN),
        quantity("ratio", "ratio", "ratio", "lower"): (table, "ratio"),
        quantity("sensitivity", "sensitivity", "ratio", "lower"): (table, "sensitivity"),
        quantity("auc", "AUC", "probability", "higher"): (table, AUC),
    }
