"""Re-identification of anonymized people (thesis Table 5.2), as a matrix of settings, never one number.

original         original -> original: the ceiling
same_latent      anonymized -> anonymized, one z per identity: consistency (high is good)
fresh_latent     anonymized -> anonymized, one z per image: residue (chance is good)
permuted_latent  every image gets the z of a random identity: scored against the assigned identities
                 (assigned_map, high if z decides the look) and the true ones (map, the residue)
linkage          original <-> anonymized, both directions: leakage (chance is good)

Where detection outcomes are mixed, each pair of them is scored on its own too; where they are imposed, the loss is
split between detector and generator (`reid_outcomes`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anonbench.features.base import Extractor
from anonbench.latents import sample_tokens
from anonbench.protocols.generation import Generation, Sampling
from anonbench.protocols.imposed import ImposedGeneration
from anonbench.protocols.reid_labels import Integers, Labels, assigned_identities, latent_tokens
from anonbench.protocols.reid_outcomes import Versions, decompose
from anonbench.protocols.reid_rankings import Features, Ranking, Scores, across, search, summarize, within
from anonbench.protocols.scoring import Context, Measurement, features_of
from anonbench.records import Metric

GALLERY_PERSONS = 2
GALLERY_VIEWS = 6


class FeatureSets(Protocol):
    """The features of N images, float32 (N, D), in the versions that the settings need; None: not available."""

    @property
    def seeds(self) -> range:
        """Latent seeds."""

    def original(self) -> Features | None:
        """Of the untouched images."""

    def same_latent(self, seed: int) -> Features | None:
        """Of images anonymized with one z per identity."""

    def fresh_latent(self, seed: int) -> Features | None:
        """Of images anonymized with one z each."""

    def permuted_latent(self, seed: int) -> tuple[Features, Integers] | None:
        """Of images anonymized with the z of a random identity, and these identities, int64 (N,)."""


@dataclass(frozen=True)
class GeneratedFeatures:
    """Features of images that are anonymized on demand and stored: `FeatureSets`."""

    generation: Generation
    extractor: Extractor
    seeds: range

    def original(self) -> Features:
        """See `FeatureSets`."""
        return features_of(self.generation.original(), self.extractor)

    def same_latent(self, seed: int) -> Features:
        """See `FeatureSets`."""
        return self._anonymized("one z per identity", seed, latent_tokens(self._samples))

    def fresh_latent(self, seed: int) -> Features | None:
        """See `FeatureSets`."""
        if not self.generation.has_latents:
            return None
        return self._anonymized("one z per image", seed, sample_tokens(self._samples["key"].tolist()))

    def permuted_latent(self, seed: int) -> tuple[Features, Integers] | None:
        """See `FeatureSets`."""
        if not self.generation.has_latents:
            return None
        assigned = assigned_identities(self._samples, seed)
        tokens = [f"person/{person}" for person in assigned]
        return self._anonymized("z of a random identity", seed, tokens), assigned

    @property
    def _samples(self) -> pd.DataFrame:
        return self.generation.crops.samples

    def _anonymized(self, name: str, seed: int, tokens: list[str]) -> Features:
        return features_of(self.generation.anonymized(Sampling(name, seed, tuple(tokens))), self.extractor)


def measure(context: Context) -> Measurement:
    """Run every setting that the model allows with every re-ID extractor."""
    labels = Labels.of(context.crops.samples, context.crops.outcome)
    scores: list[Scores] = []
    for extractor in context.of_kind("reid"):
        features = GeneratedFeatures(context.generation, extractor, context.seeds)
        found = [score(features, labels, extractor.name, context.preset.resamples)]
        if isinstance(context.generation, ImposedGeneration):
            perfect = GeneratedFeatures(context.generation.perfect, extractor, context.seeds)
            versions = _versions(features, perfect)
            generates = context.generation.has_latents
            found.append(
                decompose(versions, labels, extractor.name, context.preset.resamples, generates=generates)
            )
        scores.append(with_ceilings(Scores.joined(found)))
    joined = Scores.joined(scores)
    samples = pd.concat(joined.samples, ignore_index=True)
    return Measurement(joined.metrics, samples, _strips(context, labels))


def score(features: FeatureSets, labels: Labels, extractor: str, resamples: int) -> Scores:
    """Every setting for which there are features, over all seeds."""
    found: dict[str, list[Ranking]] = {}
    for rankings in _rankings(features, labels):
        for setting, ranking in rankings.items():
            if ranking.result.scored.any():
                found.setdefault(setting, []).append(ranking)
    parts = [summarize(setting, rankings, extractor, resamples) for setting, rankings in found.items()]
    return Scores.joined(parts)


def _rankings(features: FeatureSets, labels: Labels) -> Iterator[dict[str, Ranking]]:
    """What is ranked, by setting; `a.b` is part b of setting a."""
    original = features.original()
    if original is not None:
        yield within("original", original, labels)
    for seed in features.seeds:
        same, fresh = features.same_latent(seed), features.fresh_latent(seed)
        if same is not None:
            yield within("same_latent", same, labels)
        if same is not None and original is not None:
            yield across("linkage", original, same, labels)
        if fresh is not None:
            yield within("fresh_latent", fresh, labels)
        if (permuted := features.permuted_latent(seed)) is not None:
            images, assigned = permuted
            yield {
                "permuted_latent": search(images, images, labels),
                "permuted_latent.assigned": search(images, images, labels.relabelled(assigned)),
            }


def _versions(imposed: GeneratedFeatures, perfect: GeneratedFeatures) -> Iterator[Versions]:
    for seed in imposed.seeds:
        yield Versions(imposed.original(), perfect.same_latent(seed), imposed.same_latent(seed))


def with_ceilings(scores: Scores) -> Scores:
    """The same statistic of the untouched images as ceiling, where there is one."""

    def add(key: str, metric: Metric) -> Metric:
        _, setting, statistic, extractor = key.split(".")
        original = scores.metrics.get(f"reid.original.{statistic}.{extractor}")
        if original is None or setting == "original":
            return metric
        return metric.model_copy(update={"ceiling": original.value})

    return Scores({key: add(key, metric) for key, metric in scores.metrics.items()}, scores.samples)


def _strips(context: Context, labels: Labels) -> dict[str, NDArray[np.uint8]]:
    """Several views of the first identities: originals and one z per identity, t=1."""
    searchable = np.concatenate([labels.query, labels.gallery])
    persons = np.unique(labels.person[labels.query])[:GALLERY_PERSONS]
    chosen = np.concatenate([_spread(searchable[labels.person[searchable] == p]) for p in persons])
    tokens = latent_tokens(context.crops.samples)
    sampling = Sampling("gallery", 0, tuple(tokens[i] for i in chosen))
    return {
        "reid.original": context.crops.load(chosen.tolist()).image.numpy(),
        "reid": context.generation.anonymized_subset(chosen.tolist(), sampling),
    }


def _spread(indices: Integers) -> Integers:
    """At most `GALLERY_VIEWS` of them, evenly spaced: neighbours of a track look alike."""
    count = min(GALLERY_VIEWS, len(indices))
    return indices[np.linspace(0, len(indices) - 1, count).astype(np.int64)]
