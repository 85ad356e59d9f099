"""Measures that take features over planted inconsistency: retrieval, tracks, and distributions, which must not move."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from anonbench.features.base import Extractor
from anonbench.metrics.features import euclidean_distances
from anonbench.metrics.frechet import frechet_distance_of_features
from anonbench.metrics.kernel import kernel_distance
from anonbench.metrics.ranking import hits_within, rank
from anonbench.metrics.temporal import Steps, track_consistency
from anonbench.protocols.generation import Generation
from anonbench.protocols.reid_labels import Labels
from anonbench.protocols.scoring import features_of
from anonbench.protocols.validity_planting import (
    HALVES,
    SHARES,
    Integers,
    Mixer,
    Pair,
    Quantity,
    Samples,
    Sweep,
)
from anonbench.protocols.video_clips import Clips

Features = NDArray[np.float32]
Pairs = tuple[Pair, Pair]
AXIS = "p, share of images with a z of their own"


class Planted(Sweep):
    """What all sweeps over p share: the people, their images, and which of those get a fresh z.

    person: (N,) position of each image's person among the people, 0 to groups - 1.
    """

    axis = AXIS

    def __init__(
        self, generation: Generation, pairs: Pairs, quantities: Iterable[Quantity],
        levels: tuple[float, ...] = SHARES,
    ) -> None:  # fmt: skip
        samples = generation.crops.samples
        self.pairs = pairs
        self.data = generation.crops.dataset.name
        self.quantities = tuple(quantities)
        self.levels = levels
        self.person: Integers = np.unique(samples["person_id"].to_numpy(np.int64), return_inverse=True)[1]
        self.groups = int(self.person.max()) + 1
        self.images_per_group = len(self.person) / self.groups
        self.mixer = Mixer(samples["key"].tolist())

    def belongs(self, members: Integers) -> NDArray[np.bool_]:
        """bool (groups,): who is in a benchmark."""
        inside = np.zeros(self.groups, dtype=bool)
        inside[members] = True
        return inside

    def stacked(self, half: int, extractor: Extractor) -> Features:
        """(2 N, D): features of the images with the person's z, then of those with a fresh z."""
        pair = self.pairs[half]
        return np.concatenate([features_of(pair.same, extractor), features_of(pair.fresh, extractor)])


class Retrieval(Planted):
    """Re-identification between the queries and the gallery of `reid`."""

    def __init__(self, generation: Generation, pairs: Pairs, extractor: Extractor) -> None:
        quantities = (
            Quantity(f"reid.same_latent.map.{extractor.name}", "re-ID mAP", "consistency", "percent", "higher"),
            Quantity(f"reid.same_latent.rank1.{extractor.name}", "re-ID rank-1", "consistency", "percent", "higher"),
        )  # fmt: skip
        super().__init__(generation, pairs, quantities)
        self.labels = Labels.of(generation.crops.samples)
        n, query, gallery = len(self.person), self.labels.query, self.labels.gallery
        stacked = (self.stacked(half, extractor) for half in HALVES)
        self._distances = [
            euclidean_distances(f[np.r_[query, n + query]], f[np.r_[gallery, n + gallery]]) for f in stacked
        ]

    def measure(self, members: Integers, half: int, repeat: int, level: int) -> dict[str, float]:
        """Both measures, the gallery being that of these people."""
        found = self.samples(members, half, repeat, level)
        return {key: float(np.nanmean(samples.values)) for key, samples in found.items()}

    def samples(self, members: Integers, half: int, repeat: int, level: int) -> dict[str, Samples]:
        """Average precision and hit of every query, in percent."""
        inside = self.belongs(members)
        fresh = self.mixer.faults(half, repeat, self.levels[level])
        q, g = (
            np.flatnonzero(inside[self.person[part]]) for part in (self.labels.query, self.labels.gallery)
        )
        query, gallery = self.labels.query[q], self.labels.gallery[g]
        rows = q + len(self.labels.query) * fresh[query]
        columns = g + len(self.labels.gallery) * fresh[gallery]
        # Identity 0 is a distractor in Market's rules.
        result = rank(
            self._distances[half][np.ix_(rows, columns)],
            self.person[query] + 1, self.person[gallery] + 1,
            self.labels.camera[query], self.labels.camera[gallery],
        )  # fmt: skip
        mean_ap, rank1 = (quantity.key for quantity in self.quantities)
        return {
            mean_ap: Samples(100 * result.average_precision, self.person[query]),
            rank1: Samples(100 * hits_within(result, 1), self.person[query]),
        }


class Tracks(Planted):
    """Likeness within tracks of `walks`, each frame with the z of its track or one of its own."""

    def __init__(self, generation: Generation, pairs: Pairs, extractor: Extractor) -> None:
        key = f"video.same_latent.consistency.{extractor.name}"
        likeness = Quantity(key, "video likeness", "consistency", "cosine", "higher")
        super().__init__(generation, pairs, [likeness])
        self._features = [self.stacked(half, extractor) for half in HALVES]
        self._steps = Clips(generation.crops).pairs

    def measure(self, members: Integers, half: int, repeat: int, level: int) -> dict[str, float]:
        """The mean over pairs of consecutive frames."""
        n = len(self.person)
        fresh = self.mixer.faults(half, repeat, self.levels[level])
        mixed = self._features[half][np.arange(n) + n * fresh]
        kept = self.belongs(members)[self.person[self._steps.now]]
        steps = Steps(*(part[kept] for part in (self._steps.now, self._steps.before, self._steps.first)))
        return {self.quantities[0].key: float(track_consistency(mixed, steps).mean())}


class Distributions(Planted):
    """Frechet and kernel distance between real and anonymized crops of `reid`: controls, blind to identity."""

    def __init__(
        self, generation: Generation, pairs: Pairs, extractor: Extractor, levels: tuple[float, ...]
    ) -> None:
        quantities = (
            Quantity(f"fid.value.{extractor.name}", "Fréchet distance", "control", "distance", "lower"),
            Quantity(f"fid.kid.{extractor.name}", "KID", "control", "squared distance", "lower"),
        )
        super().__init__(generation, pairs, quantities, levels)
        self._real = features_of(generation.original(), extractor)
        self._features = [self.stacked(half, extractor) for half in HALVES]

    def measure(self, members: Integers, half: int, repeat: int, level: int) -> dict[str, float]:
        """Both distances, over the crops of these people."""
        kept = np.flatnonzero(self.belongs(members)[self.person])
        fresh = self.mixer.faults(half, repeat, self.levels[level])[kept]
        real, fake = self._real[kept], self._features[half][kept + len(self.person) * fresh]
        frechet, kernel = (quantity.key for quantity in self.quantities)
        return {
            frechet: frechet_distance_of_features(real=real, fake=fake),
            kernel: kernel_distance(real=real, fake=fake),
        }
