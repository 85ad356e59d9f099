"""From features to the numbers of re-identification: rankings by setting, part and seed, and their metrics.

A part restricts a setting. Between anonymized images it is a pair of detection outcomes, of the query and of the
gallery image; between untouched and anonymized images it is the outcome of the anonymized one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anonbench.metrics.ranking import (
    RankingResult,
    chance_map,
    chance_rank_k,
    euclidean_distances,
    hits_within,
    rank,
)
from anonbench.protocols.reid_labels import Flags, Integers, Labels
from anonbench.protocols.scoring import interval_over, long_form
from anonbench.records import Direction, Metric

Features = NDArray[np.float32]
Floats = NDArray[np.float64]
RANKS = (1, 5, 10, 20)


@dataclass(frozen=True)
class Ranking:
    """What Q queries found, and how each is called."""

    result: RankingResult
    queries: tuple[str, ...]

    @property
    def average_precision(self) -> Floats:
        """Percent (Q,), nan where not scored."""
        return 100 * self.result.average_precision


def search(query: Features, gallery: Features, labels: Labels, strangers: Flags | None = None) -> Ranking:
    """Rank the gallery for every query by euclidean distance.

    query, gallery: (N, D) features of the N images of `labels`, which take part as queries and in the gallery.
    strangers: bool (Q, G), pairs that are infinitely far apart.
    """
    q, g = labels.query, labels.gallery
    distances = euclidean_distances(query[q], gallery[g])
    if strangers is not None:
        distances[strangers] = np.inf
    result = rank(distances, labels.person[q], labels.person[g], labels.camera[q], labels.camera[g])
    return Ranking(result, tuple(labels.key[q].tolist()))


def within(setting: str, features: Features, labels: Labels) -> dict[str, Ranking]:
    """Images among themselves: all of them, and `<setting>.<query outcome>_to_<gallery outcome>`."""
    found = {setting: search(features, features, labels)}
    outcomes = labels.by_outcome()
    for asked, queries in outcomes.items():
        for shown, gallery in outcomes.items():
            part = labels.restricted(queries, gallery)
            if len(part.query) and len(part.gallery):
                found[f"{setting}.{asked}_to_{shown}"] = search(features, features, part)
    return found


def across(setting: str, original: Features, anonymized: Features, labels: Labels) -> dict[str, Ranking]:
    """Untouched against anonymized images, both directions: all, and `<setting>.<outcome of the anonymized>`."""
    found = {setting: both_directions(original, anonymized, labels)}
    for outcome, images in labels.by_outcome().items():
        if images[labels.query].any() and images[labels.gallery].any():
            found[f"{setting}.{outcome}"] = both_directions(original, anonymized, labels, images)
    return found


def both_directions(
    original: Features, anonymized: Features, labels: Labels, images: Flags | None = None
) -> Ranking:
    """Original queries in an anonymized gallery, then the reverse, as one list of queries.

    images: bool (N,), which anonymized images take part; None: all.
    """
    forward = search(original, anonymized, labels.restricted(gallery=images))
    backward = search(anonymized, original, labels.restricted(query=images))
    result = RankingResult(
        *(
            np.concatenate([getattr(forward.result, name), getattr(backward.result, name)])
            for name in ("average_precision", "first_hit_rank", "relevant", "candidates", "person_id")
        )
    )
    names = [f"{q}|anonymized" for q in forward.queries] + [f"{q}|original" for q in backward.queries]
    return Ranking(result, tuple(names))


_DIRECTIONS: dict[str, Direction] = {
    "original": "higher",
    "same_latent": "higher",
    "fresh_latent": "lower",
    "permuted_latent": "lower",
    "permuted_latent.assigned": "higher",
    "linkage": "lower",
    "perfect_detection": "higher",
    "perfect_detection.linkage": "lower",
    "ideal_generator": "higher",
}


@dataclass(frozen=True)
class Scores:
    """Metrics by key, and the per-query values behind them in long form."""

    metrics: dict[str, Metric]
    samples: list[pd.DataFrame]

    @classmethod
    def joined(cls, parts: Sequence["Scores"]) -> "Scores":
        """All of them as one."""
        metrics = {key: metric for part in parts for key, metric in part.metrics.items()}
        return cls(metrics, [rows for part in parts for rows in part.samples])


def summarize(setting: str, rankings: Sequence[Ranking], extractor: str, resamples: int) -> Scores:
    """mAP and rank-k in percent over the rankings of all seeds; a part of a setting gives its mAP only."""
    base, _, part = setting.partition(".")
    direction = _DIRECTIONS.get(setting, _DIRECTIONS[base])
    results = [r.result for r in rankings]
    chance = float(np.mean([chance_map(r) for r in results]))
    prefix = f"reid.{base}"
    columns = {_map_key(prefix, part): ([r.average_precision for r in rankings], chance)}
    for k in () if part else RANKS:
        hits = [100 * hits_within(r, k) for r in results]
        columns[f"{prefix}.rank{k}"] = hits, float(np.mean([chance_rank_k(r, k) for r in results]))
    scores = Scores({}, [])
    for name, (values, by_chance) in columns.items():
        key = f"{name}.{extractor}"
        scores.metrics[key] = query_mean(values, rankings, "percent", direction, resamples, 100 * by_chance)
        scores.samples.append(per_query(key, values, rankings))
    return scores


def _map_key(prefix: str, part: str) -> str:
    if part in ("assigned", "linkage"):
        return f"{prefix}.{part}_map"
    return f"{prefix}.map_{part}" if part else f"{prefix}.map"


def query_mean(
    per_seed: Sequence[Floats],
    rankings: Sequence[Ranking],
    unit: str,
    direction: Direction,
    resamples: int,
    chance: float | None = None,
) -> Metric:
    """The mean over scored queries and seeds; the interval resamples identities, whose queries correlate.

    per_seed: for each seed the values (Q,) of the queries of its ranking.
    """
    kept = [v[r.result.scored] for v, r in zip(per_seed, rankings, strict=True)]
    people: Integers = np.concatenate([r.result.person_id[r.result.scored] for r in rankings])
    values = np.concatenate(kept)
    return Metric(
        value=float(values.mean()),
        unit=unit,
        direction=direction,
        n=max(len(v) for v in kept),
        interval=interval_over(values, people, resamples),
        seeds=tuple(float(v.mean()) for v in kept),
        chance=chance,
    )


def per_query(key: str, per_seed: Sequence[Floats], rankings: Sequence[Ranking]) -> pd.DataFrame:
    """The values behind one metric; what is independent is the person."""
    rows = [
        long_form(ranking.queries, key, [values], ranking.result.person_id).assign(seed=seed)
        for seed, (values, ranking) in enumerate(zip(per_seed, rankings, strict=True))
    ]
    return pd.concat(rows, ignore_index=True)
