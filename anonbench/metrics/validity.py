"""Is a measure valid, and how small a fault does it resolve? Curves over a planted fault, and their noise.

A fault of known strength is planted into the data of G independent groups (people), at P levels. The groups are
divided at random into small benchmarks, and the measure is taken in each. What one benchmark says is then
known with its noise, and so is what a comparison of two of them resolves. How two are compared decides as much
as how large they are:

    unpaired  two benchmarks of different people
    paired    the same people; latents and faults are drawn anew: two systems on one benchmark
    coupled   the same people, latents and faults, of which one side has more: a system before and after a change
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Design = Literal["unpaired", "paired", "coupled"]

POWER, ALPHA = 0.8, 0.05
"""A difference counts as resolved where a two-sided test at `ALPHA` finds it with this probability."""


@dataclass(frozen=True)
class Runs:
    """One measure in many small benchmarks.

    groups: people in each of them.
    values: float64 (R, K, 2, P). R times all people are divided at random into K >= 2 disjoint benchmarks; each
        is measured twice, with latents and faults drawn independently, at P levels of the fault.

    Deviations come from differences between the benchmarks of one division: those share nobody, so the variance
    is that of independent benchmarks, without a correction for the finite number of people.
    """

    groups: int
    values: Floats

    def __post_init__(self) -> None:
        shape = self.values.shape
        if len(shape) != 4 or shape[1] < 2 or shape[2] != 2:
            raise ValueError(f"runs are (R, K >= 2, 2, P), got {shape}")
        if not np.isfinite(self.values).all():
            raise ValueError("runs hold nan or infinity: take larger benchmarks")

    @property
    def curve(self) -> Floats:
        """(P,) mean over all benchmarks."""
        return np.asarray(self.values.mean(axis=(0, 1, 2)))

    @property
    def deviations(self) -> Floats:
        """(P,) standard deviation of one benchmark at each level."""
        return np.array([_deviation(self.values[..., level]) for level in range(self.values.shape[-1])])

    def deviation_of_difference(self, a: int, b: int, design: Design) -> float:
        """Standard deviation of the difference between levels a and b in one comparison."""
        low, high = self.values[..., a], self.values[..., b]
        if design == "unpaired":
            return float(np.hypot(_deviation(low), _deviation(high)))
        return _deviation(high - (low if design == "coupled" else low[:, :, ::-1]))

    def strengths(self, reference: int, levels: Sequence[int], design: Design, sign: int) -> Floats:
        """Mean difference of each level to the reference over its deviation, (len(levels),).

        sign: +1 where the measure should rise with the fault, -1 where it should fall; a change in the wrong
        direction has a negative strength. Infinite where a change has no noise, 0 where nothing changes.
        """
        changes = sign * (self.curve[list(levels)] - self.curve[reference])
        noise = [self.deviation_of_difference(reference, level, design) for level in levels]
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.where(changes == 0, 0.0, changes / np.array(noise)))

    @property
    def monte_carlo_error(self) -> float:
        """Relative standard error of a deviation from the number of benchmarks simulated: 1 / sqrt(2 R (K-1))."""
        divisions, parts = self.values.shape[:2]
        return float(1.0 / np.sqrt(2.0 * divisions * (parts - 1)))


@dataclass(frozen=True)
class Order:
    """How reliably the order of levels shows in a single benchmark.

    tau: Kendall's tau between level and value, mean over benchmarks; 1 = always in the right order.
    interval: between these lie 95 % of the benchmarks. steps: share of adjacent levels in the right order.
    """

    tau: float
    interval: tuple[float, float]
    steps: float


@dataclass(frozen=True)
class Resolution:
    """The smallest difference that a comparison resolves.

    smallest: in units of the level; none where not even the largest planted difference is resolved.
    bound: the smallest planted difference is resolved already, so the true value is at most `smallest`.
    extrapolated: the benchmark is larger or smaller than any that was simulated.
    """

    smallest: float | None
    bound: bool
    extrapolated: bool


def divisions(groups: int, size: int, repeats: int, seed: int = 0) -> Iterator[Integers]:
    """`repeats` random divisions of range(groups) into disjoint parts of `size`: (K, size) each, K = groups // size.

    Every part is in ascending order; what is left over is left out.
    """
    parts = groups // size
    if size < 1 or parts < 2:
        raise ValueError(f"{groups} groups give no two disjoint benchmarks of {size}")
    for repeat in range(repeats):
        order = np.random.default_rng([seed, size, repeat]).permutation(groups)[: parts * size]
        yield np.sort(order.reshape(parts, size), axis=1)


def order(runs: Runs, levels: Sequence[int], sign: int) -> Order:
    """Order of the values at `levels` (ascending positions) in every benchmark. sign: as in `Runs.strengths`."""
    curves = sign * runs.values[..., list(levels)].reshape(-1, len(levels))
    if len(levels) < 2:
        raise ValueError("an order needs at least 2 levels")
    left, right = np.triu_indices(len(levels), k=1)
    taus = np.sign(curves[:, right] - curves[:, left]).mean(axis=1)
    low, high = np.quantile(taus, [0.025, 0.975])
    return Order(float(taus.mean()), (float(low), float(high)), float((np.diff(curves) > 0).mean()))


def noise_exponent(runs: Sequence[Runs], level: int) -> float:
    """Slope of log deviation over log people, over benchmarks of several sizes.

    -0.5 for a mean over independent people. nan where a measure has no noise.
    """
    sizes = [r.groups for r in runs]
    if len(set(sizes)) < 2:
        raise ValueError("a slope needs benchmarks of 2 sizes")
    deviations = [r.deviations[level] for r in runs]
    if min(deviations) <= 0:
        return float("nan")
    return float(np.polyfit(np.log(sizes), np.log(deviations), 1)[0])


def dynamic_range(runs: Runs) -> float:
    """Change from the first to the last level over the noise of one benchmark (root mean square over levels)."""
    noise = float(np.sqrt(np.mean(runs.deviations**2)))
    change = abs(float(runs.curve[-1] - runs.curve[0]))
    return change / noise if noise > 0 else float("inf" if change else "nan")


def needed_strength(power: float = POWER, alpha: float = ALPHA) -> float:
    """Difference over its standard deviation that a two-sided z test finds with this power: 2.80 for 0.8 at 0.05."""
    return float(stats.norm.ppf(1 - alpha / 2) + stats.norm.ppf(power))


def strengths_at(sizes: ArrayLike, strengths: ArrayLike, groups: float) -> tuple[Floats, bool]:
    """Strengths of differences in a benchmark of `groups` people, and whether they are extrapolated.

    sizes: (S,) people, ascending; strengths: (S, L) of L differences in benchmarks of those sizes. Between two
    sizes log strength is linear in log size; beyond them it goes with the root of the number of people.
    """
    known, table = np.asarray(sizes, dtype=np.float64), np.asarray(strengths, dtype=np.float64)
    inside = np.log(np.clip(table, 1e-12, 1e12))
    nearest = float(np.clip(groups, known[0], known[-1]))
    at = [np.interp(np.log(nearest), np.log(known), column) for column in inside.T]
    return np.exp(at) * np.sqrt(groups / nearest), bool(nearest != groups)


def resolve(
    sizes: ArrayLike, strengths: ArrayLike, differences: ArrayLike, groups: float, power: float = POWER
) -> Resolution:
    """The smallest of the `differences` (L,), ascending, that a benchmark of `groups` people resolves.

    sizes, strengths: as in `strengths_at`. A difference counts only if every larger one is resolved as well;
    between the last that is not and the first that is, log strength is linear in the log of the difference.
    """
    steps = np.asarray(differences, dtype=np.float64)
    if len(steps) == 0 or steps[0] <= 0 or (np.diff(steps) <= 0).any():
        raise ValueError(f"differences must ascend from above 0, got {steps.tolist()}")
    found, extrapolated = strengths_at(sizes, strengths, groups)
    at_least = np.minimum.accumulate(found[::-1])[::-1]
    enough = at_least >= needed_strength(power)
    if not enough.any():
        return Resolution(None, False, extrapolated)
    first = int(np.argmax(enough))
    if first == 0:
        return Resolution(float(steps[0]), True, extrapolated)
    around = slice(first - 1, first + 1)
    log_step = np.interp(np.log(needed_strength(power)), np.log(at_least[around]), np.log(steps[around]))
    return Resolution(float(np.exp(log_step)), False, extrapolated)


def _deviation(values: Floats) -> float:
    """Standard deviation between the benchmarks of one division, pooled over (R, K, 2)."""
    return float(np.sqrt(values.var(axis=1, ddof=1).mean()))
