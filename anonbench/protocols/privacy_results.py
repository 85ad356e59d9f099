"""From rankings to metrics: values per query, intervals over people, chance and ceiling."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anonbench.metrics.privacy import ExpectedRanking
from anonbench.metrics.ratios import ratio_over_groups
from anonbench.protocols.reid_labels import Labels
from anonbench.protocols.scoring import Floats, interval_over, long_form
from anonbench.records import Metric


@dataclass
class Results:
    """What has been found so far. resamples: bootstrap resamples behind each interval."""

    resamples: int
    metrics: dict[str, Metric] = field(default_factory=dict)
    samples: list[pd.DataFrame] = field(default_factory=list)

    def add(
        self,
        key: str,
        per_seed: Sequence[Floats],
        names: Sequence[str],
        persons: NDArray[np.int64],
        chance: float | None = None,
        ceiling: float | None = None,
    ) -> None:
        """The mean of values in percent, lower is better; nan is left out.

        per_seed: for each seed (N,). names: (N,) samples. persons: (N,), resampled as wholes for the interval.
        """
        values = np.stack(per_seed)
        kept = ~np.isnan(values).any(axis=0)
        values, groups = values[:, kept], persons[kept]
        if not values.size:
            return
        self.metrics[key] = Metric(
            value=float(values.mean()),
            unit="percent",
            direction="lower",
            n=values.shape[1],
            interval=interval_over(values.ravel(), np.tile(groups, len(values)), self.resamples),
            seeds=tuple(float(v) for v in values.mean(axis=1)),
            chance=chance,
            ceiling=ceiling,
        )
        kept_names = [name for name, keep in zip(names, kept, strict=True) if keep]
        self.samples.append(long_form(kept_names, key, list(values), groups))

    def add_ratio(
        self,
        key: str,
        above: Sequence[Floats],
        below: Sequence[Floats],
        names: Sequence[str],
        persons: NDArray[np.int64],
    ) -> None:
        """The mean of `above` over the mean of `below`, for each seed (N,), in percent; lower is better."""
        groups = np.tile(persons, len(above))
        ratio = ratio_over_groups(
            np.concatenate(above), groups, np.concatenate(below), groups, resamples=self.resamples
        )
        if ratio is None:
            return
        self.metrics[key] = Metric(
            value=ratio.value,
            unit="percent",
            direction="lower",
            n=len(names),
            interval=(ratio.interval.low, ratio.interval.high),
            seeds=tuple(float(a.mean() / b.mean()) for a, b in zip(above, below, strict=True)),
        )
        self.samples.append(long_form(names, key, above, persons, below))


@dataclass(frozen=True)
class Scores:
    """Percentages of one attack: for each seed (Q,) average precision and hits at rank 1, and their chance."""

    precision: list[Floats]
    first: list[Floats]
    chance_precision: Floats
    chance_first: Floats

    @classmethod
    def of(cls, rankings: Sequence[ExpectedRanking]) -> "Scores":
        """From the ranking of each seed; all have the same queries and candidates."""
        return cls(
            precision=[100 * r.average_precision for r in rankings],
            first=[100 * r.first for r in rankings],
            chance_precision=100 * rankings[0].chance_average_precision,
            chance_first=100 * rankings[0].chance_first,
        )

    @property
    def map(self) -> float:
        """mAP over queries and seeds."""
        return float(np.nanmean(self.precision))

    @property
    def rank1(self) -> float:
        """Rank-1 over queries and seeds."""
        return float(np.nanmean(self.first))


class Reporter:
    """Puts the scores of attacks on the tested people into `results`."""

    def __init__(self, results: Results, labels: Labels) -> None:
        self._results = results
        self._names = [str(name) for name in labels.key[labels.query]]
        self._persons = labels.person[labels.query]

    def retrieval(
        self,
        setting: str,
        prefix: str,
        extractor: str,
        scores: Scores,
        ceiling: Scores | None = None,
        suffix: str = "",
    ) -> None:
        """`<prefix>map<suffix>`, and `<prefix>rank1` where there is no suffix."""
        self._add(
            f"{setting}.{prefix}map{suffix}.{extractor}",
            scores.precision,
            float(np.nanmean(scores.chance_precision)),
            ceiling.map if ceiling else None,
        )
        if not suffix:
            chance, above = float(np.nanmean(scores.chance_first)), ceiling.rank1 if ceiling else None
            self._add(f"{setting}.{prefix}rank1.{extractor}", scores.first, chance, above)

    def gains(self, setting: str, extractor: str, trained: Scores, untrained: Scores) -> None:
        """`advantage` over the untrained network and `over_chance`: differences of mAP on the same queries."""
        for statistic, below in (
            ("advantage", untrained.precision),
            ("over_chance", [trained.chance_precision] * len(trained.precision)),
        ):
            gained = [a - b for a, b in zip(trained.precision, below, strict=True)]
            self._add(f"{setting}.{statistic}.{extractor}", gained, None, None)

    def _add(self, key: str, values: Sequence[Floats], chance: float | None, ceiling: float | None) -> None:
        self._results.add(f"privacy.{key}", values, self._names, self._persons, chance, ceiling)
