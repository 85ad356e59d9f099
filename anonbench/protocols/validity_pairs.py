"""Measures on pairs of images over planted inconsistency: surface and perceptual distance, warping error."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from anonbench.features.base import Extractor, PerceptualExtractor
from anonbench.metrics.surface import separation
from anonbench.protocols.generation import Generation, ImageSet
from anonbench.protocols.identity_pairs import identity_pairs
from anonbench.protocols.pair_distances import (
    Distance,
    Measure,
    perceptual_measure,
    reid_measure,
    surface_measures,
)
from anonbench.protocols.scoring import Floats
from anonbench.protocols.surface_pairs import template_patches
from anonbench.protocols.swaps import factor_grid
from anonbench.protocols.validity_consistency import Pairs, Planted
from anonbench.protocols.validity_planting import HALVES, Integers, Pair, Quantity, Samples
from anonbench.protocols.video_clips import Clips
from anonbench.records import Direction


@dataclass(frozen=True)
class Table:
    """Distances of K pairs of images for either choice of z on either side.

    values: (2 halves, K, 2, 2), nan where a pair has none; the last axes say whether the first and the second image
    is fresh. first, second: (K,) positions of the images. lag: added to the half that the faults of the second image
    belong to; 0 where both images are of one run.
    """

    values: Floats
    first: Integers
    second: Integers
    lag: int = 0


@dataclass(frozen=True)
class Statistic:
    """What a quantity makes of tables: a mean, with `against` a ratio of means, with `auc` the AUC of the two."""

    table: str
    against: str | None = None
    auc: bool = False


class PairDistances(Planted):
    """Statistics of distances between pairs of images. tables: by name. statistics: behind every quantity."""

    def __init__(
        self,
        generation: Generation,
        pairs: Pairs,
        tables: Mapping[str, Table],
        statistics: Mapping[Quantity, Statistic],
    ) -> None:
        super().__init__(generation, pairs, statistics)
        self.tables = tables
        self.statistics = statistics

    def measure(self, members: Integers, half: int, repeat: int, level: int) -> dict[str, float]:
        """Every statistic on the pairs of these people."""
        chosen = {name: self._choose(name, members, half, repeat, level).values for name in self.tables}
        found = {}
        for quantity, statistic in self.statistics.items():
            values = chosen[statistic.table]
            if statistic.against is None:
                found[quantity.key] = float(np.nanmean(values))
            elif statistic.auc:
                found[quantity.key] = separation(values, chosen[statistic.against]).auc
            else:
                found[quantity.key] = float(np.nanmean(values) / np.nanmean(chosen[statistic.against]))
        return found

    def samples(self, members: Integers, half: int, repeat: int, level: int) -> dict[str, Samples]:
        """Values of every pair, of the quantities that are means."""
        return {
            quantity.key: self._choose(statistic.table, members, half, repeat, level)
            for quantity, statistic in self.statistics.items()
            if statistic.against is None
        }

    def _choose(self, name: str, members: Integers, half: int, repeat: int, level: int) -> Samples:
        table, share = self.tables[name], self.levels[level]
        kept = np.flatnonzero(self.belongs(members)[self.person[table.first]])
        first, second = table.first[kept], table.second[kept]
        fresh = self.mixer.faults(half, repeat, share).astype(np.int64)[first]
        other = self.mixer.faults(half + table.lag, repeat, share).astype(np.int64)[second]
        return Samples(table.values[half, kept, fresh, other], self.person[first])


def across_cameras(generation: Generation, pairs: Pairs, extractor: Extractor) -> PairDistances:
    """The pairs of the protocol `pairs`: pose, view and place all differ, and strangers are compared with.

    A stranger may be none of the people of the benchmark.
    """
    natural = identity_pairs(generation.crops.samples)
    tables: dict[str, Table] = {}
    statistics: dict[Quantity, Statistic] = {}
    for measure in (reid_measure(extractor), surface_measures(generation.crops, template_patches())[0]):
        other = f"{measure.name} of strangers"
        tables[measure.name] = mixed_table(pairs, natural.first, natural.second, measure.distance)
        tables[other] = mixed_table(pairs, natural.first, natural.other, measure.distance)
        statistics |= _statistics("pairs", measure, "across cameras", {"ratio": other, "auc": other})
    return PairDistances(generation, pairs, tables, statistics)


def across_backgrounds(
    generation: Generation, pairs: Pairs, perceptual: PerceptualExtractor
) -> PairDistances:
    """Aligned pairs of `background_swap`: every image with one other of the same pose before another background.

    Controls: the distance of an image to the untouched one, and between two runs (diversity), which mixing must
    not move.
    """
    grid = factor_grid(generation.crops.samples)
    even = grid[..., : grid.shape[-1] // 2 * 2]
    first, second, alone = even[..., 0::2].ravel(), even[..., 1::2].ravel(), grid[:, :, 0].ravel()
    tables: dict[str, Table] = {}
    statistics: dict[Quantity, Statistic] = {}
    inside = perceptual_measure(generation.crops, perceptual)
    for measure in (inside, surface_measures(generation.crops, template_patches())[0]):
        different, latent = f"{measure.name} of two z", f"{measure.name} of one crop and two z"
        tables[measure.name] = mixed_table(pairs, first, second, measure.distance)
        tables[different] = _table_of_two_z(pairs, first, second, measure.distance)
        tables[latent] = _table_of_two_z(pairs, first, first, measure.distance)
        below = {"ratio": different, "sensitivity": latent, "auc": different}
        statistics |= _statistics("background_swap", measure, "aligned", below)
    tables["original"] = _table_to_original(generation.original(), pairs, alone, inside.distance)
    tables["diversity"] = _table_between_runs(pairs, alone, inside.distance)
    name = perceptual.key
    statistics |= {
        Quantity(f"lpips.random_masked.{name}", "distance to the original", "control", "distance", "none"):
            Statistic("original"),
        Quantity(f"lpips.diversity_masked.{name}", "diversity", "control", "distance", "higher"):
            Statistic("diversity"),
    }  # fmt: skip
    return PairDistances(generation, pairs, tables, statistics)


def along_tracks(generation: Generation, pairs: Pairs) -> PairDistances:
    """Warping error of `walks` along the exact flow, over that of the untouched clips."""
    clips = Clips(generation.crops)
    values = np.stack([_warping(clips, pair) for pair in pairs])
    untouched = np.broadcast_to(clips.errors(generation.original()).warping[:, None, None], values.shape)
    tables = {
        "warping": Table(values, clips.pairs.now, clips.pairs.before),
        "untouched": Table(untouched, clips.pairs.now, clips.pairs.before),
    }
    key = f"video.same_latent.warping_ratio.{clips.dataset.flow_source}"
    ratio = Quantity(key, "video warping ratio", "consistency", "ratio", "lower")
    return PairDistances(generation, pairs, tables, {ratio: Statistic("warping", "untouched")})


def mixed_table(pairs: Pairs, first: Integers, second: Integers, distance: Distance) -> Table:
    """Distances within one run, for every choice of z."""
    values = [_both_sides(lambda a, b: distance(a, first, b, second), pair) for pair in pairs]
    return Table(np.stack(values), first, second)


def _table_of_two_z(pairs: Pairs, first: Integers, second: Integers, distance: Distance) -> Table:
    """Distances between images that have no z in common, whatever is mixed."""
    values = np.stack([distance(pair.same, first, pair.fresh, second) for pair in pairs])
    return Table(np.broadcast_to(values[..., None, None], (*values.shape, 2, 2)), first, second)


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


def _statistics(
    protocol: str, measure: Measure, where: str, below: Mapping[str, str]
) -> dict[Quantity, Statistic]:
    """The mean distance, and what the protocols relate it to. below: statistic -> table."""
    kind = "re-ID" if measure.name == "reid" else measure.name

    def quantity(statistic: str, words: str, unit: str, direction: Direction) -> Quantity:
        key = f"{protocol}.{measure.statistic(statistic)}.{measure.extractor}"
        return Quantity(key, f"{kind} {words}, {where}", "consistency", unit, direction)

    found = {quantity("same", "distance", measure.unit, "lower"): Statistic(measure.name)}
    for statistic, table in below.items():
        if statistic == "auc":
            auc = quantity(statistic, "AUC", "probability", "higher")
            found[auc] = Statistic(measure.name, table, auc=True)
        else:
            found[quantity(statistic, statistic, "ratio", "lower")] = Statistic(measure.name, table)
    return found
