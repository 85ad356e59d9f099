"""Linkage by a re-ID network: as it comes, and as the strongest attacker trained on anonymized images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from anonbench.anonymizers.base import Reconstructing
from anonbench.latents import sample_tokens
from anonbench.protocols.generation import ImageSet, Sampling
from anonbench.protocols.privacy_attacks import Pair, attack, untrained
from anonbench.protocols.privacy_people import People, split_cameras
from anonbench.protocols.privacy_results import Reporter, Results, Scores
from anonbench.protocols.privacy_views import AS_IT_IS, Matrix, Views
from anonbench.protocols.scoring import Context

DIRECTIONS = {
    "anonymized_query": ("anonymized", "original"),
    "original_query": ("original", "anonymized"),
    "anonymized": ("anonymized", "anonymized"),
}
"""Setting -> what the queries and the gallery are."""
COPIED = Sampling("latent from the mapper", source="mapper")


@dataclass(frozen=True)
class Attacks:
    """One direction: the network as it comes, and the strongest trained attacker."""

    untrained: Scores
    trained: Scores


def measure_linkage(context: Context, people: People, results: Results, views: Views) -> None:
    """Every direction, with and without the background, and across cameras, by what `views` show."""
    found = Linkage(context, people, results, views)
    for setting in DIRECTIONS:
        found.one_direction(setting)
        found.without_background(setting)
        found.other_cameras(setting)
    found.latent_from_mapper()


def measure_copied_latents(context: Context, people: People, results: Results) -> None:
    """Linkage by z itself, as the appearance mapper reads it from two images of a person."""
    model = context.generation.model
    if not (model.card.can_reconstruct and isinstance(model, Reconstructing)):
        return
    latents = {AS_IT_IS: context.generation.encoded(model).astype(np.float64)}
    found = _attacks([Pair(latents, latents)], people)
    reporter = Reporter(results, people.labels)
    reporter.retrieval("mapper", "", "latent", found.untrained)
    reporter.retrieval("mapper", "trained_", "latent", found.trained)


def fresh_images(context: Context, seed: int) -> ImageSet:
    """Every image with a latent of its own: with one per person, attackers would find the latent."""
    return context.generation.anonymized(
        Sampling("one z per image", seed, tuple(sample_tokens(context.crops.samples["key"].tolist())))
    )


class Linkage:
    """The attacks with one extractor on one model."""

    def __init__(self, context: Context, people: People, results: Results, views: Views) -> None:
        self._context = context
        self._people = people
        self._results = results
        self._views = views
        self._extractor = views.extractor
        self._reporter = Reporter(results, people.labels)
        original = views.of(context.generation.original())
        self._ceiling = _attacks([Pair(original, original)], people)

    def one_direction(self, setting: str) -> None:
        """The network as it comes, the trained attacker, and what training gains."""
        name, add = self._extractor.name, self._reporter
        found = _attacks(self._pairs(setting, self._views, self._context.seeds), self._people)
        add.retrieval(setting, "", name, found.untrained, self._ceiling.untrained)
        add.retrieval(setting, "trained_", name, found.trained, self._ceiling.trained)
        add.gains(setting, name, found.trained, found.untrained)

    def without_background(self, setting: str) -> None:
        """The same where all see the person before grey; the first seed tells enough."""
        pairs = self._pairs(setting, self._views, self._context.seeds[:1], masked=True)
        found = _attacks(pairs, self._people)
        self._reporter.retrieval(setting, "", self._extractor.name, found.untrained, suffix="_masked")
        self._reporter.retrieval(setting, "trained_", self._extractor.name, found.trained, suffix="_masked")

    def other_cameras(self, setting: str) -> None:
        """Trained on one half of the cameras, tried on the other, where there are enough."""
        elsewhere = split_cameras(self._people)
        if elsewhere is None:
            return
        views = Views(self._context.crops, self._extractor, elsewhere.train)
        found = _attacks(self._pairs(setting, views, self._context.seeds), elsewhere)
        reporter = Reporter(self._results, elsewhere.labels)
        reporter.retrieval(setting, "", self._extractor.name, found.untrained, suffix="_cameras")
        reporter.retrieval(setting, "trained_", self._extractor.name, found.trained, suffix="_cameras")

    def latent_from_mapper(self) -> None:
        """Everybody anonymized with the z that the appearance mapper reads from their own image."""
        model, generation = self._context.generation.model, self._context.generation
        if not (model.card.can_reconstruct and isinstance(model, Reconstructing)):
            return
        add = self._reporter.retrieval
        pair = Pair(self._views.of(generation.anonymized(COPIED)), self._views.of(generation.original()))
        found = _attacks([pair], self._people)
        add("mapper", "", self._extractor.name, found.untrained, self._ceiling.untrained)
        add("mapper", "trained_", self._extractor.name, found.trained, self._ceiling.trained)

    def _pairs(self, setting: str, views: Views, seeds: Sequence[int], masked: bool = False) -> list[Pair]:
        def seen(side: str, seed: int) -> Mapping[str, Matrix]:
            images = (
                self._context.generation.original()
                if side == "original"
                else fresh_images(self._context, seed)
            )
            return views.of(images, masked)

        return [Pair(*(seen(side, seed) for side in DIRECTIONS[setting])) for seed in seeds]


def _attacks(pairs: Sequence[Pair], people: People) -> Attacks:
    raw = Scores.of([untrained(pair, people) for pair in pairs])
    return Attacks(raw, Scores.of(attack(pairs, people)))
