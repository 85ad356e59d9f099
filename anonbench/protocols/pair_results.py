"""Metrics of pairs of images: means, ratios of means, separations. Intervals draw whole persons."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anonbench.metrics.path_length import median_over_groups
from anonbench.metrics.ratios import ratio_over_groups
from anonbench.metrics.surface import auc_interval, separation
from anonbench.protocols.scoring import Floats, interval_over, long_form
from anonbench.records import Direction, Metric


class PairResults:
    """Collects metrics and the values behind them as they are found.

    names: (K,) of the pairs, each once. person: (K,), whose pairs correlate.
    Distances come as one (K,) array per seed; nan is left out, and what has no value in a seed is not recorded.
    """

    def __init__(self, names: Sequence[str], person: NDArray[np.int64], resamples: int) -> None:
        self.metrics: dict[str, Metric] = {}
        self._names = names
        self._person = person
        self._resamples = resamples
        self._samples: list[pd.DataFrame] = []

    @property
    def samples(self) -> pd.DataFrame:
        """Per-pair values as `scoring.long_form` makes them."""
        return pd.concat(self._samples, ignore_index=True)

    def mean(
        self,
        key: str,
        per_seed: Sequence[Floats],
        unit: str,
        direction: Direction,
        original: Floats | None = None,
    ) -> None:
        """The mean over pairs and seeds. original: the same of the untouched images, the ceiling."""
        if any(np.isnan(v).all() for v in per_seed):
            return
        values = np.concatenate(per_seed)
        self._samples.append(long_form(self._names, key, per_seed, self._person))
        self.metrics[key] = Metric(
            value=float(np.nanmean(values)),
            unit=unit,
            direction=direction,
            n=_scored(per_seed),
            interval=interval_over(values, np.tile(self._person, len(per_seed)), self._resamples),
            seeds=tuple(float(np.nanmean(v)) for v in per_seed),
            ceiling=_mean(original),
        )

    def median(
        self,
        key: str,
        per_seed: Sequence[Floats],
        unit: str,
        direction: Direction,
        original: Floats | None = None,
    ) -> None:
        """The median over pairs and seeds, which few large values do not move."""
        if any(np.isnan(v).all() for v in per_seed):
            return
        values, groups = np.concatenate(per_seed), np.tile(self._person, len(per_seed))
        value, interval = median_over_groups(values, groups, resamples=self._resamples)
        known = original is not None and not np.isnan(original).all()
        self.metrics[key] = Metric(
            value=value,
            unit=unit,
            direction=direction,
            n=_scored(per_seed),
            interval=(interval.low, interval.high) if interval else None,
            seeds=tuple(median_over_groups(v, self._person, resamples=1)[0] for v in per_seed),
            ceiling=float(np.nanmedian(original)) if original is not None and known else None,
        )

    def ratio(
        self,
        key: str,
        above: Sequence[Floats],
        below: Sequence[Floats],
        ceiling: float | None = None,
        direction: Direction = "lower",
    ) -> None:
        """Mean of `above` over mean of `below`; not recorded where `below` is 0 or persons are fewer than 2."""
        values, divisors = np.concatenate(above), np.concatenate(below)
        groups = np.tile(self._person, len(above))
        if len(np.intersect1d(_measured(values, groups), _measured(divisors, groups))) < 2:
            return
        ratio = ratio_over_groups(values, groups, divisors, groups, resamples=self._resamples)
        if ratio is None:
            return
        per_seed = [ratio_of_means(a, b) for a, b in zip(above, below, strict=True)]
        self._samples.append(long_form(self._names, key, above, self._person, below))
        self.metrics[key] = Metric(
            value=ratio.value,
            unit="ratio",
            direction=direction,
            n=_scored(above),
            interval=(ratio.interval.low, ratio.interval.high),
            seeds=tuple(value for value in per_seed if value is not None),
            ceiling=ceiling,
        )

    def auc(
        self,
        key: str,
        near: Sequence[Floats],
        far: Sequence[Floats],
        original: tuple[Floats, Floats] | None = None,
    ) -> None:
        """Probability that a pair of `near` is closer than one of `far`, mean over seeds.

        original: near and far of the untouched images.
        """
        if any(np.isnan(v).all() for v in (*near, *far)):
            return
        per_seed = [separation(n, f).auc for n, f in zip(near, far, strict=True)]
        interval = auc_interval(near, far, self._person, resamples=self._resamples)
        known = original is not None and not any(np.isnan(v).all() for v in original)
        self.metrics[key] = Metric(
            value=float(np.mean(per_seed)),
            unit="probability",
            direction="higher",
            n=_scored(near),
            interval=(interval.low, interval.high) if interval else None,
            seeds=tuple(per_seed),
            chance=0.5,
            ceiling=separation(*original).auc if original is not None and known else None,
        )


def ratio_of_means(above: Floats, below: Floats) -> float | None:
    """Mean over mean, None where there is nothing to divide (by)."""
    top, bottom = _mean(above), _mean(below)
    return top / bottom if top is not None and bottom else None


def _mean(values: Floats | None) -> float | None:
    return None if values is None or np.isnan(values).all() else float(np.nanmean(values))


def _measured(values: Floats, groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """The groups that have a value."""
    return groups[~np.isnan(values)]


def _scored(per_seed: Sequence[Floats]) -> int:
    """Pairs that have a value, per seed."""
    return int(np.mean([(~np.isnan(values)).sum() for values in per_seed]))
