"""From a sweep to curves: many small benchmarks, at every level, and what two of them tell apart."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from anonbench.metrics.paired import paired_bootstrap, paired_permutation
from anonbench.metrics.uncertainty import Interval
from anonbench.metrics.validity import (
    Design,
    Runs,
    divisions,
    dynamic_range,
    noise_exponent,
    order,
    resolve,
)
from anonbench.progress import track
from anonbench.protocols.validity_planting import HALVES, SHARES, Integers, Quantity, Samples, Sweep
from anonbench.reporting.validity_record import Curve, FivePoints, Resolved, Size

IMAGES = (100, 200, 500, 1000, 2000, 5000, 10000)
"""Benchmark sizes at which resolutions are given."""
REFERENCES = (0.0, 0.2)
FIVE_POINTS = ((0.0, 0.05), (0.2, 0.25))
SIZES = 5
COARSE = 0.1
"""Order is judged on levels this far apart; the fine steps of p are there for resolution."""
RESAMPLES = 1000
PairedDesign = Literal["paired", "coupled"]
UNPAIRED: Literal["unpaired"] = "unpaired"
PAIRED: Literal["paired"] = "paired"
COUPLED: Literal["coupled"] = "coupled"


def curves_of(sweep: Sweep, fault: str, benchmarks: int) -> list[Curve]:
    """Every quantity of a sweep in benchmarks of half of the people, a quarter, and so on; at least so many of each."""
    sizes = _sizes(sweep.groups, sweep.least)
    found = [
        simulate(sweep, size, -(-benchmarks // (sweep.groups // size)))
        for size in track(sizes, f"{sweep.data}: {fault}", len(sizes))
    ]
    return [_curve(sweep, fault, q, [runs[q.key] for runs in found]) for q in sweep.quantities]


def simulate(sweep: Sweep, size: int, repeats: int) -> dict[str, Runs]:
    """All quantities in disjoint benchmarks of `size` people, for so many divisions of the people."""
    values: dict[str, list[float]] = {quantity.key: [] for quantity in sweep.quantities}
    for repeat, parts in enumerate(divisions(sweep.groups, size, repeats)):
        for members in parts:
            for half in range(sweep.halves):
                for level in range(len(sweep.levels)):
                    for key, value in sweep.measure(members, half, repeat, level).items():
                        values[key].append(value)
    shape = (repeats, sweep.groups // size, sweep.halves, len(sweep.levels))
    tables = {key: np.array(found).reshape(shape) for key, found in values.items()}
    return {
        key: Runs(size, table.repeat(len(HALVES) // sweep.halves, axis=2)) for key, table in tables.items()
    }


def five_points(sweep: Sweep, people: int, comparisons: int) -> list[FivePoints]:
    """Do intervals over people exclude 0 where p differs by 0.05? Once on the first `people`, then how often."""
    repeats = -(-comparisons // max(1, sweep.groups // people))
    designs: tuple[PairedDesign, ...] = (PAIRED, COUPLED)
    return [
        test
        for shares in FIVE_POINTS
        for design in designs
        for test in _five_points(sweep, shares, design, people, repeats)
    ]


def _five_points(
    sweep: Sweep, shares: tuple[float, float], design: PairedDesign, people: int, repeats: int
) -> Iterator[FivePoints]:
    first, second = (sweep.levels.index(share) for share in shares)

    def compare(members: Integers, half: int, repeat: int) -> dict[str, _Compared]:
        other = half if design == COUPLED else 1 - half
        before = sweep.samples(members, half, repeat, first)
        after = sweep.samples(members, other, repeat, second)
        return {key: _Compared(before[key], after[key]) for key in before}

    once = compare(np.arange(people), 0, 0)
    repeated = [
        {key: 0 not in compared.interval for key, compared in compare(members, half, repeat).items()}
        for repeat, parts in enumerate(_parts(sweep.groups, people, repeats))
        for members in parts
        for half in HALVES
    ]
    titles = {quantity.key: quantity.title for quantity in sweep.quantities}
    for key, compared in once.items():
        interval = compared.interval
        yield FivePoints(
            key=key,
            title=titles[key],
            design=design,
            shares=shares,
            people=people,
            difference=compared.difference,
            interval=(interval.low, interval.high),
            p_value=compared.p_value,
            found=float(np.mean([found[key] for found in repeated])),
            repetitions=len(repeated),
        )


@dataclass(frozen=True)
class _Compared:
    """The same samples of two systems."""

    before: Samples
    after: Samples

    @property
    def difference(self) -> float:
        return float(np.nanmean(self.after.values - self.before.values))

    @property
    def interval(self) -> Interval:
        return paired_bootstrap(self.after.values, self.before.values, self.after.person, resamples=RESAMPLES)

    @property
    def p_value(self) -> float:
        return paired_permutation(self.after.values, self.before.values, self.after.person)


def _parts(groups: int, people: int, repeats: int) -> Iterator[Integers]:
    """Divisions of everybody into comparisons; everybody at once where there are too few for two."""
    if groups // people < 2:
        return iter([np.arange(people)[None]] * repeats)
    return divisions(groups, people, repeats)


def _sizes(groups: int, least: int) -> list[int]:
    """Half of the people, and so on, five sizes at most, ascending."""
    halved = [groups // 2**k for k in range(1, SIZES + 1)]
    return sorted({size for size in halved if size >= least} or {halved[0]})


def _curve(sweep: Sweep, fault: str, quantity: Quantity, found: list[Runs]) -> Curve:
    sign = 1 if quantity.direction == "lower" else -1
    coarse = _coarse(sweep.levels)
    order_found = order(found[-1], coarse, sign)
    middle = len(sweep.levels) // 2
    return Curve(
        key=quantity.key,
        title=quantity.title,
        role=quantity.role,
        unit=quantity.unit,
        direction=quantity.direction,
        data=sweep.data,
        fault=fault,
        axis=sweep.axis,
        levels=sweep.levels,
        sizes=tuple(_size(runs, sweep.images_per_group) for runs in found),
        tau=order_found.tau,
        tau_interval=order_found.interval,
        steps=order_found.steps,
        dynamic_range=dynamic_range(found[-1]),
        noise_exponent=noise_exponent(found, middle) if len(found) > 1 else None,
        resolved=() if quantity.role == "control" else tuple(_resolved(sweep, found, sign)),
    )


def _size(runs: Runs, images_per_group: float) -> Size:
    return Size(
        people=runs.groups,
        images=runs.groups * images_per_group,
        benchmarks=int(np.prod(runs.values.shape[:2])),
        monte_carlo_error=runs.monte_carlo_error,
        values=tuple(runs.curve),
        deviations=tuple(runs.deviations),
    )


def _resolved(sweep: Sweep, found: list[Runs], sign: int) -> Iterator[Resolved]:
    designs: tuple[Design, ...] = (UNPAIRED, PAIRED, COUPLED) if sweep.halves > 1 else (UNPAIRED, COUPLED)
    sizes = [runs.groups for runs in found]
    for reference in (r for r in REFERENCES if r in sweep.levels):
        start = sweep.levels.index(reference)
        above = range(start + 1, len(sweep.levels))
        differences = [sweep.levels[level] - reference for level in above]
        for design in designs:
            strengths = [runs.strengths(start, above, design, sign) for runs in found]
            for images in IMAGES:
                people = images / sweep.images_per_group
                at = resolve(sizes, strengths, differences, people)
                yield Resolved(
                    design=design,
                    reference=reference,
                    images=images,
                    people=people,
                    smallest=at.smallest,
                    at_most=at.bound,
                    extrapolated=at.extrapolated,
                )


def _coarse(levels: tuple[float, ...]) -> list[int]:
    """Positions of the levels without the fine steps: of p every tenth, of damage all."""
    if max(levels) > 1 or len(levels) < len(SHARES):
        return list(range(len(levels)))
    return [i for i, level in enumerate(levels) if np.isclose(level / COARSE, round(level / COARSE))]
