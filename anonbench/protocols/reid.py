"""Re-identification of anonymized people (thesis Table 5.2), as a matrix of settings, never one number.

original         original -> original: the ceiling
same_latent      anonymized -> anonymized, one z per identity: consistency (high is good)
fresh_latent     anonymized -> anonymized, one z per image: residue (chance is good)
permuted_latent  every image gets the z of a random identity: scored against the assigned identities
                 (assigned_map, high if z decides the look) and the true ones (map, the residue)
linkage          original <-> anonymized, both directions: leakage (chance is good)
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anonbench.crops import Outcome
from anonbench.errors import DataError
from anonbench.features.base import Extractor
from anonbench.latents import person_tokens, sample_tokens
from anonbench.metrics.ranking import (
    DISTRACTOR_ID,
    RankingResult,
    chance_map,
    chance_rank_k,
    euclidean_distances,
    hits_within,
    rank,
)
from anonbench.protocols.generation import ImageSet, Sampling
from anonbench.protocols.scoring import Context, Measurement, features_of, interval_over, long_form
from anonbench.records import Direction, Metric

Integers = NDArray[np.int64]
RANKS = (1, 5, 10, 20)
GALLERY_PERSONS = 2
GALLERY_VIEWS = 6


@dataclass(frozen=True)
class Labels:
    """Who is on which image, from which camera, and where the queries and the gallery are."""

    person: Integers
    camera: Integers
    query: Integers
    gallery: Integers

    @classmethod
    def of(cls, samples: pd.DataFrame) -> "Labels":
        """From a dataset's sample table. Raises DataError where there is nothing to search."""
        role = samples["role"].to_numpy()
        query, gallery = np.flatnonzero(role == "query"), np.flatnonzero(role == "gallery")
        if not len(query) or not len(gallery):
            raise DataError(
                f"re-identification needs queries and a gallery, found {len(query)} and {len(gallery)} images: "
                "give data in Market-1501 layout, market1501=PATH"
            )
        person = samples["person_id"].to_numpy(np.int64)
        return cls(person, samples["camera_id"].to_numpy(np.int64), query, gallery)

    def relabelled(self, person: Integers) -> "Labels":
        """The same images under other identities."""
        return Labels(person, self.camera, self.query, self.gallery)

    def restricted(self, keep: NDArray[np.bool_]) -> "Labels":
        """Only the queries and gallery images where `keep` is true."""
        return Labels(
            self.person, self.camera, self.query[keep[self.query]], self.gallery[keep[self.gallery]]
        )


def measure(context: Context) -> Measurement:
    """Run every setting that the model allows with every re-ID extractor."""
    labels = Labels.of(context.crops.samples)
    metrics: dict[str, Metric] = {}
    samples: list[pd.DataFrame] = []
    for extractor in context.of_kind("reid"):
        for setting, results in _settings(context, labels, extractor).items():
            found = _summarize(setting, results, extractor.name, context.preset.resamples)
            metrics |= _with_ceiling(found, metrics, extractor.name)
            keys = _query_names(context, labels, setting)
            samples += [_per_query(key, results, keys) for key in found]
    return Measurement(metrics, pd.concat(samples, ignore_index=True), _strips(context, labels))


def latent_tokens(samples: pd.DataFrame) -> list[str]:
    """One token per identity; distractors (id 0) and unknown people (id -1) get a latent of their own."""
    person = samples["person_id"].where(samples["person_id"] != DISTRACTOR_ID, -1)
    return person_tokens(person.tolist(), samples["key"].tolist())


def assigned_identities(samples: pd.DataFrame, seed: int) -> Integers:
    """A random known identity for every image, depending on the image's key and the seed only."""
    known: Integers = np.unique(samples["person_id"].to_numpy(np.int64))
    known = known[known > DISTRACTOR_ID]
    draws = [_uniform(seed, key) for key in samples["key"]]
    assigned: Integers = known[(np.array(draws) * len(known)).astype(np.int64)]
    return assigned


def _settings(context: Context, labels: Labels, extractor: Extractor) -> dict[str, list[RankingResult]]:
    """For each setting the rankings of each seed. A key `a.b` means statistic prefix b of setting a."""
    original = _features(context.generation.original(), extractor)
    found: dict[str, list[RankingResult]] = {"original": [_rank(original, original, labels)]}
    for seed in context.seeds:
        same = _features(context.generation.anonymized(_same(context, seed)), extractor)
        _add(found, "same_latent", _rank(same, same, labels))
        _add(found, "linkage", _both_directions(original, same, labels))
        for outcome, kept in _mixed_outcomes(context, labels).items():
            _add(found, f"same_latent.{outcome}", _rank(same, same, kept))
        if context.generation.has_latents:
            fresh = _features(context.generation.anonymized(_fresh(context, seed)), extractor)
            _add(found, "fresh_latent", _rank(fresh, fresh, labels))
            assigned = assigned_identities(context.crops.samples, seed)
            permuted = _features(context.generation.anonymized(_permuted(assigned, seed)), extractor)
            _add(found, "permuted_latent", _rank(permuted, permuted, labels))
            _add(found, "permuted_latent.assigned", _rank(permuted, permuted, labels.relabelled(assigned)))
    return found


def _add(found: dict[str, list[RankingResult]], setting: str, result: RankingResult) -> None:
    if result.scored.any():
        found.setdefault(setting, []).append(result)


def _same(context: Context, seed: int) -> Sampling:
    return Sampling("one z per identity", seed, tuple(latent_tokens(context.crops.samples)))


def _fresh(context: Context, seed: int) -> Sampling:
    return Sampling("one z per image", seed, tuple(sample_tokens(context.crops.samples["key"].tolist())))


def _permuted(assigned: Integers, seed: int) -> Sampling:
    return Sampling("z of a random identity", seed, tuple(f"person/{person}" for person in assigned))


def _mixed_outcomes(context: Context, labels: Labels) -> dict[str, Labels]:
    """Queries and gallery of one detection outcome each; empty where all crops have the same outcome."""
    outcome = context.crops.outcome
    present = [o for o in Outcome if np.any(outcome == o)]
    if len(present) < 2:
        return {}
    parts = {o.name.lower(): labels.restricted(outcome == o) for o in present}
    return {name: part for name, part in parts.items() if len(part.query) and len(part.gallery)}


def _features(images: ImageSet, extractor: Extractor) -> NDArray[np.float32]:
    return features_of(images, extractor)


def _rank(query: NDArray[np.float32], gallery: NDArray[np.float32], labels: Labels) -> RankingResult:
    q, g = labels.query, labels.gallery
    distances = euclidean_distances(query[q], gallery[g])
    return rank(distances, labels.person[q], labels.person[g], labels.camera[q], labels.camera[g])


def _both_directions(
    original: NDArray[np.float32], anonymized: NDArray[np.float32], labels: Labels
) -> RankingResult:
    """Original queries in an anonymized gallery, then the reverse, as one list of queries."""
    forward, backward = _rank(original, anonymized, labels), _rank(anonymized, original, labels)
    return RankingResult(
        *(
            np.concatenate([getattr(forward, name), getattr(backward, name)])
            for name in ("average_precision", "first_hit_rank", "relevant", "candidates", "person_id")
        )
    )


_DIRECTIONS: dict[str, Direction] = {
    "original": "higher",
    "same_latent": "higher",
    "fresh_latent": "lower",
    "permuted_latent": "lower",
    "permuted_latent.assigned": "higher",
    "linkage": "lower",
}


def _summarize(
    setting: str, results: Sequence[RankingResult], extractor: str, resamples: int
) -> dict[str, Metric]:
    """mAP and rank-k in percent over all seeds; per-outcome and assigned settings give their mAP only."""
    base, _, part = setting.partition(".")
    direction = _DIRECTIONS.get(setting, _DIRECTIONS[base])
    average_precision = _percent(
        [r.average_precision for r in results],
        results,
        float(np.mean([chance_map(r) for r in results])),
        direction,
        resamples,
    )
    if part:
        name = "assigned_map" if part == "assigned" else f"map_{part}"
        return {f"reid.{base}.{name}.{extractor}": average_precision}
    metrics = {f"reid.{base}.map.{extractor}": average_precision}
    for k in RANKS:
        chance = float(np.mean([chance_rank_k(r, k) for r in results]))
        hits = [hits_within(r, k) for r in results]
        metrics[f"reid.{base}.rank{k}.{extractor}"] = _percent(hits, results, chance, direction, resamples)
    return metrics


def _query_names(context: Context, labels: Labels, setting: str) -> list[str]:
    """The queries of a setting's rankings, in their order."""
    base, _, part = setting.partition(".")
    asked = _mixed_outcomes(context, labels).get(part, labels)
    names = context.crops.samples["key"].iloc[asked.query].tolist()
    if base == "linkage":  # the order of `_both_directions`
        return [f"{name}|{gallery}" for gallery in ("anonymized", "original") for name in names]
    return names


def _per_query(key: str, results: Sequence[RankingResult], names: Sequence[str]) -> pd.DataFrame:
    """The values behind one metric: average precision, or whether there is a hit within k."""
    statistic = key.split(".")[2]
    k = int(statistic.removeprefix("rank")) if statistic.startswith("rank") else None
    values = [100 * (hits_within(r, k) if k else r.average_precision) for r in results]
    rows = [long_form(names, key, [v], r.person_id) for v, r in zip(values, results, strict=True)]
    return pd.concat([row.assign(seed=seed) for seed, row in enumerate(rows)], ignore_index=True)


def _with_ceiling(found: dict[str, Metric], known: dict[str, Metric], extractor: str) -> dict[str, Metric]:
    """The same statistic of the untouched images as ceiling, where there is one."""

    def add(key: str, metric: Metric) -> Metric:
        original = known.get(f"reid.original.{key.split('.')[2]}.{extractor}")
        return metric if original is None else metric.model_copy(update={"ceiling": original.value})

    return {key: add(key, metric) for key, metric in found.items()}


def _percent(
    per_seed: Sequence[NDArray[np.float64]],
    results: Sequence[RankingResult],
    chance: float,
    direction: Direction,
    resamples: int,
) -> Metric:
    """A percentage over queries and seeds; the interval resamples identities, whose queries correlate."""
    values = np.concatenate([v[r.scored] for v, r in zip(per_seed, results, strict=True)])
    groups = np.concatenate([r.person_id[r.scored] for r in results])
    return Metric(
        value=100 * float(values.mean()),
        unit="percent",
        direction=direction,
        n=max(int(r.scored.sum()) for r in results),
        interval=interval_over(100 * values, groups, resamples),
        seeds=tuple(100 * float(v[r.scored].mean()) for v, r in zip(per_seed, results, strict=True)),
        chance=100 * chance,
    )


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


def _uniform(seed: int, key: str) -> float:
    """One number in [0, 1) that depends on the seed and the key only."""
    import hashlib

    digest = hashlib.sha256(f"assigned/{seed}/{key}".encode()).digest()
    return int.from_bytes(digest[:8], "little") / 2**64
