"""Has a model become worse? Records of now against records kept as a baseline, metric by metric.

Both were measured on the same data, so what may differ without a cause is the latents. Where both keep per-sample
values, the difference is tested sample by sample, by Student's t over groups (people, clips): a new seed is
noise that differs between people, a regression is not. Elsewhere the intervals and the seeds of the two must both
say that they differ; the intervals count the choice of samples as noise, which they share, and miss more.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from anonbench.errors import DataError, UsageError
from anonbench.metrics.paired import paired_t
from anonbench.metrics.uncertainty import Interval, holm, p_from_intervals, p_from_seeds
from anonbench.records import Metric, Record, read_record
from anonbench.reporting.comparison import extractor_digest
from anonbench.reporting.headlines import HEADLINES
from anonbench.reporting.labels import MetricKey
from anonbench.reporting.paired import Pairs, Samples, pair
from anonbench.reporting.tolerances import Tolerances

Sources = Sequence[tuple[Record, Path]]
"""Records, each with the folder that its files lie in."""

ALPHA = 0.01
"""Adjusted p below which a value has changed."""

NEGLIGIBLE = 0.005
"""Share of the baseline's value by which another processor or library version may round it."""

UNKNOWN_SPREAD = 0.02
"""Share of the baseline's value that a metric may lose of which neither seeds nor intervals nor samples are known."""

FEWEST_GROUPS = 3

Status = Literal["worse", "better", "same", "missing"]
Basis = Literal["samples", "intervals", "seeds", "no spread", "tolerance", ""]


@dataclass(frozen=True)
class Change:
    """What became of one metric of a baseline record.

    record: slug of the baseline record. key: of the metric; empty where the whole record is missing.
    difference: current minus baseline. interval: 95 %, of the difference. p: after Holm.
    basis: what the verdict rests on. groups: how many independent groups are behind `samples`.
    """

    record: str
    key: str
    baseline: Metric | None
    current: Metric | None
    status: Status
    basis: Basis = ""
    interval: tuple[float, float] | None = None
    p: float | None = None
    groups: int | None = None

    @property
    def difference(self) -> float | None:
        """Current minus baseline."""
        if self.baseline is None or self.current is None:
            return None
        return self.current.value - self.baseline.value

    @property
    def failed(self) -> bool:
        """Whether the check fails over this metric."""
        return self.status in ("worse", "missing")


def read_records(path: Path) -> Sources:
    """The record in a file, or all records of a folder. Raises DataError where there is none."""
    folder = path.is_dir()
    paths = [file for file in sorted(path.glob("*.json")) if file.name[0] != "."] if folder else [path]
    if not paths:
        raise DataError(
            f"{path}: no records; write some with 'anonbench run PROTOCOL --model NAME --out {path}'"
        )
    return [(read_record(file), file.parent) for file in paths]


def select(
    sources: Sources,
    *,
    models: Sequence[str] = (),
    protocols: Sequence[str] = (),
    presets: Sequence[str] = (),
) -> Sources:
    """Those of the named models, protocols and presets; nothing named: all. UsageError where a name has none."""
    chosen = list(sources)
    choices: tuple[tuple[str, Sequence[str], Callable[[Record], str]], ...] = (
        ("model", models, lambda record: record.model.name),
        ("protocol", protocols, lambda record: record.protocol.name),
        ("preset", presets, lambda record: record.protocol.preset),
    )
    for what, wanted, name_of in choices:
        known = sorted({name_of(record) for record, _ in chosen})
        if absent := [name for name in wanted if name not in known]:
            raise UsageError(f"no baseline record with {what} '{absent[0]}'; there are: {', '.join(known)}")
        chosen = [source for source in chosen if not wanted or name_of(source[0]) in wanted]
    return chosen


def check(baseline: Sources, current: Sources, tolerances: Tolerances | None = None) -> list[Change]:
    """What became of every metric of the baseline, in its order.

    A value is worse or better where its difference passes its test after Holm's correction, over all headline
    measures or over all others, and is not negligible; with a tolerance, where it exceeds that. Metrics of which no
    direction is better are only looked for.

    Raises UsageError where a record of now does not compare with the baseline's: other data, protocol or
    extractor; DataError for damaged per-sample values.
    """
    now = _by_identity(current)
    allowed = tolerances or Tolerances()
    allowed.require_fitting(key for record, _ in baseline for key in record.metrics)
    changes: list[Change] = []
    for record, folder in baseline:
        found = now.get(_identity(record))
        if found is None:
            changes.append(Change(record.slug, "", None, None, "missing"))
            continue
        _require_comparable(record, found[0])
        changes += _changes((record, folder), found, allowed)
    return _judge(changes)


def _by_identity(sources: Sources) -> dict[tuple[str, ...], tuple[Record, Path]]:
    found: dict[tuple[str, ...], tuple[Record, Path]] = {}
    for record, folder in sources:
        if _identity(record) in found:
            raise UsageError(f"two of the current records measure the same, {record.slug}; keep one")
        found[_identity(record)] = (record, folder)
    return found


def _identity(record: Record) -> tuple[str, ...]:
    return record.model.name, record.protocol.name, record.data.name, record.protocol.preset


def _require_comparable(baseline: Record, current: Record) -> None:
    """Refuse values that mean something else than the baseline's."""
    shared = baseline.metrics.keys() & current.metrics.keys()
    extractors = {MetricKey.parse(key).extractor: key for key in sorted(shared)}
    compared = [
        ("with another version of the protocol", baseline.protocol.version, current.protocol.version),
        ("with another protocol card", baseline.protocol.card_digest, current.protocol.card_digest),
        ("on other data", baseline.data.digest, current.data.digest),
        *(
            (f"with other weights of {name}", extractor_digest(baseline, key), extractor_digest(current, key))
            for name, key in extractors.items()
        ),
    ]
    for what, before, now in compared:
        if before != now:
            raise UsageError(
                f"{baseline.slug}: measured {what} than the baseline ({str(before)[:12]} there, {str(now)[:12]} "
                "now), so the values do not compare; measure the baseline again"
            )


def _changes(
    baseline: tuple[Record, Path], current: tuple[Record, Path], tolerances: Tolerances
) -> Iterator[Change]:
    """Every metric of one baseline record with its evidence; the tests are not corrected yet."""
    (before, _), (now, _) = baseline, current
    samples = Samples.of(*baseline), Samples.of(*current)
    for key, metric in before.metrics.items():
        found = Change(before.slug, key, metric, now.metrics.get(key), "same")
        allowed = tolerances.of(key, metric.value)
        if found.current is None:
            yield replace(found, status="missing")
        elif metric.direction == "none":
            yield found
        elif allowed is not None:
            yield replace(found, basis="tolerance", status=_direction_of(found, allowed))
        else:
            yield _with_evidence(found, metric, found.current, pair(*samples, key))


def _with_evidence(change: Change, baseline: Metric, current: Metric, pairs: Pairs | None) -> Change:
    """The change with its p value and interval, from the sharpest evidence that there is."""
    if pairs and pairs.mostly_shared and pairs.group_count >= FEWEST_GROUPS:
        test = paired_t(pairs.b, pairs.a, pairs.groups, over=pairs.over and pairs.over[::-1])
        interval = test.interval()
        return replace(
            change, basis="samples", p=test.p, interval=(interval.low, interval.high), groups=test.groups
        )
    found: dict[Basis, float] = {}
    if baseline.interval and current.interval:
        before, now = Interval(*baseline.interval), Interval(*current.interval)
        found["intervals"] = p_from_intervals(baseline.value, before, current.value, now)
    if len(baseline.seeds) > 1 and len(current.seeds) > 1:
        found["seeds"] = p_from_seeds(baseline.seeds, current.seeds)
    if not found:
        return replace(
            change, basis="no spread", status=_direction_of(change, UNKNOWN_SPREAD * abs(baseline.value))
        )
    basis = max(found, key=lambda name: found[name])
    return replace(
        change, basis=basis, p=found[basis], interval=_interval_of_difference(basis, baseline, current)
    )


def _interval_of_difference(basis: Basis, baseline: Metric, current: Metric) -> tuple[float, float] | None:
    """Combined half widths about the difference; seeds alone give a test, but no interval worth printing."""
    if basis != "intervals" or not (baseline.interval and current.interval):
        return None
    before, now = (high - low for low, high in (baseline.interval, current.interval))
    half, difference = math.hypot(before, now) / 2, current.value - baseline.value
    return difference - half, difference + half


def _judge(changes: Sequence[Change]) -> list[Change]:
    """The changes with Holm's p values and the verdicts that follow from them."""
    judged = list(changes)
    for is_headline in (True, False):
        family = {i: c.p for i, c in enumerate(judged) if c.p is not None and _is_headline(c) == is_headline}
        adjusted = holm(list(family.values())).tolist() if family else []
        for i, p in zip(family, adjusted, strict=True):
            tested = replace(judged[i], p=p)
            negligible = NEGLIGIBLE * abs(tested.baseline.value) if tested.baseline else 0.0
            judged[i] = replace(tested, status=_direction_of(tested, negligible)) if p < ALPHA else tested
    return judged


def _is_headline(change: Change) -> bool:
    return MetricKey.parse(change.key).measure in HEADLINES


def _direction_of(change: Change, allowed: float) -> Status:
    """Better or worse, where the difference exceeds what is allowed."""
    difference = change.difference or 0.0
    if change.baseline is None or abs(difference) <= allowed:
        return "same"
    gained = difference > 0 if change.baseline.direction == "higher" else difference < 0
    return "better" if gained else "worse"


def summary(changes: Iterable[Change]) -> dict[Status, int]:
    """How many metrics have each status."""
    counts: dict[Status, int] = {"worse": 0, "missing": 0, "better": 0, "same": 0}
    for change in changes:
        counts[change.status] += 1
    return counts
