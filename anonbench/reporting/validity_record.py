"""The record of a validity study: curves of measures over planted faults, their noise, and what they resolve."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from anonbench.cards import Strict
from anonbench.records import DataRun, Direction, Environment, ModelRun, read_json, write_json

SCHEMA_VERSION: Literal[1] = 1
RECORD = "validity.json"
INCONSISTENCY = "inconsistency"
"""The planted fault that measures of consistency are judged by; all others are damage to the images."""

Design = Literal["unpaired", "paired", "coupled"]


class Size(Strict):
    """A measure in benchmarks of one size."""

    people: int = Field(ge=1)
    images: float = Field(description="images in such a benchmark")
    benchmarks: int = Field(ge=2, description="how many were simulated, most of them overlapping")
    monte_carlo_error: float = Field(description="relative standard error of a deviation, from their number")
    values: tuple[float, ...] = Field(description="mean at each level")
    deviations: tuple[float, ...] = Field(description="standard deviation of one benchmark at each level")


class Resolved(Strict):
    """The smallest difference of the fault that two benchmarks tell apart with power 0.8 at alpha 0.05."""

    design: Design
    reference: float = Field(description="level that the difference starts from")
    images: int
    people: float
    smallest: float | None = Field(
        default=None, description="absent: not even the largest planted difference"
    )
    at_most: bool = Field(description="the smallest planted difference is resolved: the true value is below")
    extrapolated: bool = Field(
        description="no benchmark of this size was simulated: noise goes with 1/sqrt(n)"
    )


class Curve(Strict):
    """One measure over one planted fault."""

    key: str = Field(description="<protocol>[.<setting>].<statistic>.<extractor>, as in records")
    title: str
    role: Literal["consistency", "control", "quality"]
    unit: str
    direction: Direction
    data: str
    fault: str
    axis: str = Field(description="what a level is")
    levels: tuple[float, ...]
    sizes: tuple[Size, ...] = Field(min_length=1, description="from the smallest benchmark to the largest")
    tau: float = Field(
        description="Kendall's tau of level and value in one benchmark of the largest size, mean"
    )
    tau_interval: tuple[float, float] = Field(description="95 % of those benchmarks")
    steps: float = Field(description="share of adjacent levels in the right order in such a benchmark")
    dynamic_range: float = Field(
        description="change from the first to the last level, in deviations of one benchmark"
    )
    noise_exponent: float | None = Field(
        default=None, description="slope of log deviation over log people, at the middle level"
    )
    resolved: tuple[Resolved, ...] = ()

    @property
    def largest(self) -> Size:
        """The measure in the largest benchmarks."""
        return self.sizes[-1]

    def resolution(self, design: Design, reference: float, images: int) -> Resolved | None:
        """The entry for a comparison, where there is one."""
        wanted = (design, reference, images)
        return next((r for r in self.resolved if (r.design, r.reference, r.images) == wanted), None)


class FivePoints(Strict):
    """Two systems whose share of fresh latents differs by 0.05, measured once on the same people."""

    key: str
    title: str
    design: Literal["paired", "coupled"]
    shares: tuple[float, float]
    people: int
    difference: float = Field(description="the second minus the first, in the unit of the measure")
    interval: tuple[float, float] = Field(description="95 %, people resampled")
    p_value: float = Field(description="sign-flip test over people")
    found: float = Field(ge=0, le=1, description="share of repetitions whose interval excludes 0")
    repetitions: int

    @property
    def resolved(self) -> bool:
        """The interval of the one comparison excludes 0."""
        return not self.interval[0] <= 0 <= self.interval[1]


class ValidityRecord(Strict):
    """A validity study of one model."""

    schema_version: Literal[1] = SCHEMA_VERSION
    model: ModelRun
    preset: str
    data: tuple[DataRun, ...]
    extractors: dict[str, str]
    curves: tuple[Curve, ...]
    five_points: tuple[FivePoints, ...] = ()
    environment: Environment
    seconds: dict[str, float]
    command: str
    created: str

    def curves_of(self, fault: str, role: str = "") -> list[Curve]:
        """Curves over one fault, of one role if it is given."""
        return [curve for curve in self.curves if curve.fault == fault and role in ("", curve.role)]

    def curve(self, key: str, fault: str = INCONSISTENCY) -> Curve:
        """The curve of a measure. KeyError where there is none."""
        for curve in self.curves_of(fault):
            if curve.key == key:
                return curve
        raise KeyError(f"no curve of {key} over {fault}")


def write_validity(record: ValidityRecord, path: Path) -> None:
    """Write the record as JSON, atomically."""
    write_json(record.model_dump(mode="json", exclude_none=True), path)


def read_validity(path: Path) -> ValidityRecord:
    """Read and check a record. Raises CardError naming the file and the key."""
    return read_json(path, ValidityRecord)
