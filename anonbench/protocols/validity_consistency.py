"""Measures that take features over planted inconsistency: retrieval, tracks, and distributions, which must not move."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from anonbench.features.base import Extractor
from anonbench.metrics.features import euclidean_distances
from anonbench.metrics.frechet import frechet_distance_of_features
from anonbench.metrics.kernel import kernel_distance
from anonbench.metrics.ranking import hits_within, rank
from anonbench.metrics.surface import separation
from anonbench.metrics.temporal import Steps, track_consistency
from anonbench.protocols.generation import Generation
from anonbench.protocols.reid_labels import Labels
from anonbench.protocols.scoring import Floats, features_of
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
OTHERS = 3
"""People beside each person of a benchmark whose images stand for other identities in the AUC of features."""


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
    """Re-identification and similarity of re-ID features, between the queries and the gallery of `reid`."""

    def __init__(self, generation: Generation, pairs: Pairs, extractor: Extractor) -> None:
        setting, name = "reid.same_latent", extractor.name
        quantities = (
            Quantity(f"{setting}.map.{name}", "re-ID mAP", "consistency", "percent", "higher"),
            Quantity(f"{setting}.rank1.{name}", "re-ID rank-1", "consistency", "percent", "higher"),
            Quantity(f"{setting}.similarity.{name}", "re-ID similarity", "consistency", "cosine", "higher"),
            Quantity(f"{setting}.auc.{name}", "re-ID AUC", "consistency", "probability", "higher"),
        )
        super().__init__(generation, pairs, quantities)
        self.labels = Labels.of(generation.crops.samples)
        self._features = [self.stacked(half, extractor) for half in HALVES]
        self._directions = [f / np.linalg.norm(f, axis=1, keepdims=True) for f in self._features]
        n, query, gallery = len(self.person), self.labels.query, self.labels.gallery
        self._distances = [
            euclidean_distances(f[np.r_[query, n + query]], f[np.r_[gallery, n + gallery]])
            for f in self._features
        ]

    def measure(self, members: Integers, half: int, repeat: int, level: int) -> dict[str, float]:
        """mAP and rank-1, mean cosine of a person's images, and its AUC against other people."""
        chosen = self._choose(members, half, repeat, level)
        same = self._cosine(chosen, chosen.person_q[:, None] == chosen.person_g)
        following = np.roll(members, -1)[np.searchsorted(members, chosen.person_q)]
        others = [following]
        for _ in range(min(OTHERS, len(members) - 1) - 1):
            others.append(np.roll(members, -1)[np.searchsorted(members, others[-1])])
        other = np.concatenate([self._cosine(chosen, o[:, None] == chosen.person_g) for o in others])
        found = {key: float(samples.values.mean()) for key, samples in self._ranked(chosen).items()}
        similarity, auc = (quantity.key for quantity in self.quantities[2:])
        return found | {similarity: float(same.mean()), auc: separation(-same, -other).auc}

    def samples(self, members: Integers, half: int, repeat: int, level: int) -> dict[str, Samples]:
        """Values of every query (mAP, rank-1) and of every pair of images of a person (similarity)."""
        chosen = self._choose(members, half, repeat, level)
        own = chosen.person_q[:, None] == chosen.person_g
        pairs = own & chosen.other_camera
        person = np.broadcast_to(chosen.person_q[:, None], own.shape)[pairs]
        similarity = Samples(self._cosine(chosen, own), person)
        return self._ranked(chosen) | {self.quantities[2].key: similarity}

    def _choose(self, members: Integers, half: int, repeat: int, level: int) -> "_Chosen":
        inside = self.belongs(members)
        fresh = self.mixer.faults(half, repeat, self.levels[level])
        q, g = (
            np.flatnonzero(inside[self.person[part]]) for part in (self.labels.query, self.labels.gallery)
        )
        query, gallery = self.labels.query[q], self.labels.gallery[g]
        rows = q + len(self.labels.query) * fresh[query]
        columns = g + len(self.labels.gallery) * fresh[gallery]
        n = len(self.person)
        return _Chosen(
            self._distances[half][np.ix_(rows, columns)],
            self._directions[half][query + n * fresh[query]],
            self._directions[half][gallery + n * fresh[gallery]],
            self.person[query], self.person[gallery], self.labels.camera[query], self.labels.camera[gallery],
        )  # fmt: skip

    def _ranked(self, chosen: "_Chosen") -> dict[str, Samples]:
        # Identity 0 is a distractor in Market's rules.
        result = rank(
            chosen.distances, chosen.person_q + 1, chosen.person_g + 1, chosen.camera_q, chosen.camera_g
        )
        values = (result.average_precision, hits_within(result, 1))
        keys = (quantity.key for quantity in self.quantities)
        return {key: Samples(100 * v, chosen.person_q) for key, v in zip(keys, values, strict=False)}

    def _cosine(self, chosen: "_Chosen", which: NDArray[np.bool_]) -> Floats:
        i, j = np.nonzero(which & chosen.other_camera)
        cosine: Floats = np.einsum(
            "kd,kd->k", chosen.directions_q[i], chosen.directions_g[j], dtype=np.float64
        )
        return cosine


@dataclass(frozen=True)
class _Chosen:
    """Queries and gallery of one benchmark with one choice of images; directions: features of length 1."""

    distances: NDArray[np.float32]
    directions_q: Features
    directions_g: Features
    person_q: Integers
    person_g: Integers
    camera_q: Integers
    camera_g: Integers

    @cached_property
    def other_camera(self) -> NDArray[np.bool_]:
        """bool (Q, G): pairs seen by two cameras; what one camera sees is too alike to say much."""
        return np.asarray(self.camera_q[:, None] != self.camera_g)


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
