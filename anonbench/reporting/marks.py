"""Who is best in a row of a comparison, and by how much: seed spreads and paired tests together."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from anonbench.records import Metric

Mark = Literal["best", "tie", ""]

ALPHA = 0.05
"""Adjusted p below which two models differ."""


@dataclass(frozen=True)
class Difference:
    """One model against another in a row: `model` minus `against`, columns of the comparison.

    Where both records keep per-sample values: interval, 95 % of the paired difference; p, of the sign-flip test;
    adjusted, p after Holm; groups, how many independent groups of samples (people, clips) they share; unshared,
    how many samples only one of them has.
    """

    model: str
    against: str
    value: float
    interval: tuple[float, float] | None = None
    p: float | None = None
    adjusted: float | None = None
    groups: int | None = None
    unshared: int = 0


def leader(metrics: Mapping[str, Metric]) -> str | None:
    """The model with the best value; none where no direction is better, or all are equal."""
    direction = next(iter(metrics.values())).direction if metrics else "none"
    if direction == "none" or len({metric.value for metric in metrics.values()}) < 2:
        return None
    sign = 1 if direction == "higher" else -1
    return max(metrics, key=lambda model: sign * metrics[model].value)


def rank(metrics: Mapping[str, Metric], adjusted_p: Mapping[str, float] | None = None) -> dict[str, Mark]:
    """Who is best in a row, by more than chance explains.

    The best value is marked "best" only if it beats every other; otherwise it and all that it does not beat
    are "tie". To beat another it must

    - be better by more than the seed spread: the larger of their ranges (maximum - minimum) over latent seeds;
    - pass the paired test between the two on the same samples, p below `ALPHA`. Where there is none (statistics
      of whole sets, as Fréchet distances; lost per-sample values), their intervals must not overlap instead.

    What is not known (a single seed, no interval) is not asked for, and where nothing is, nothing is marked.
    adjusted_p: of the test of each other model against the `leader`, after Holm.
    """
    unmarked: dict[str, Mark] = dict.fromkeys(metrics, "")
    best = leader(metrics)
    if best is None:
        return unmarked
    p = adjusted_p or {}
    separate = {m: _separate(metrics[best], metrics[m], p.get(m)) for m in metrics if m != best}
    if None in separate.values():
        return unmarked
    tied = [model for model, apart in separate.items() if not apart]
    if not tied:
        return unmarked | {best: "best"}
    return unmarked | dict.fromkeys([best, *tied], "tie")


def _separate(a: Metric, b: Metric, p: float | None) -> bool | None:
    """Whether two values differ by more than chance explains; None where nothing says how much that is."""
    evidence = []
    spreads = [max(m.seeds) - min(m.seeds) for m in (a, b) if len(m.seeds) > 1]
    if spreads:
        evidence.append(abs(a.value - b.value) > max(spreads))
    if p is not None:
        evidence.append(p < ALPHA)
    elif a.interval and b.interval:
        evidence.append(a.interval[0] > b.interval[1] or b.interval[0] > a.interval[1])
    return all(evidence) if evidence else None
