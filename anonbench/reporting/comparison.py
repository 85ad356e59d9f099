"""What can stand side by side: records arranged into rows of one metric and columns of one model, with ties.

A row holds one metric key, measured by one version of a protocol on the same bytes of data. Records of
different data or presets never meet: each pair has a comparison of its own.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Literal

from anonbench.errors import UsageError
from anonbench.records import Direction, Metric, Record
from anonbench.reporting.headlines import HEADLINES
from anonbench.reporting.labels import ARROWS, MetricKey, decimals
from anonbench.reporting.marks import Difference, Mark, leader, rank

REFERENCE_KIND = "original"
"""Kind of the model that leaves images untouched: shown beside the others, never ranked with them."""

Shared = Literal["n", "chance", "floor", "ceiling"]

SHARED: tuple[Shared, ...] = ("n", "chance", "floor", "ceiling")
"""Fields of a metric that describe the row rather than one model."""


@dataclass(frozen=True)
class Row:
    """One metric of several models, measured alike. `metrics`, `marks` and `records` are keyed by column.

    title: what was measured, in words.
    marks: who is best; two or more are "tie" where nothing tells them apart (`rank`).
    differences: of two models, the first minus the second; of more, each minus the best (`significance`).
    variant: says how the row was measured, where the comparison holds the same key measured in two ways.
    """

    key: MetricKey
    title: str
    metrics: dict[str, Metric]
    marks: dict[str, Mark]
    records: dict[str, Record] = field(repr=False)
    variant: str = ""
    differences: tuple[Difference, ...] = ()

    @property
    def label(self) -> str:
        """What was measured, with an arrow for which way is better."""
        variant = f" ({self.variant})" if self.variant else ""
        return f"{self.title}{variant} {self.arrow}".rstrip()

    @property
    def arrow(self) -> str:
        """An arrow that points to better, or nothing."""
        return ARROWS[self.direction]

    @property
    def direction(self) -> Direction:
        """Which way is better."""
        return next(iter(self.metrics.values())).direction

    @property
    def unit(self) -> str:
        """Unit of every value in the row."""
        return next(iter(self.metrics.values())).unit

    @property
    def decimals(self) -> int:
        """Digits after the point that fit every value of the row."""
        return decimals(self.unit, (metric.value for metric in self.metrics.values()))

    def value(self, model: str) -> str:
        """The value of a model as printed; empty where it was not measured."""
        return f"{self.metrics[model].value:.{self.decimals}f}" if model in self.metrics else ""

    def interval(self, model: str) -> str:
        """The 95 % interval of a model as printed; empty where there is none."""
        metric = self.metrics.get(model)
        if metric is None or metric.interval is None:
            return ""
        low, high = (f"{bound:.{self.decimals}f}" for bound in metric.interval)
        return f"[{low}, {high}]"

    def difference(self, difference: Difference) -> str:
        """A difference with its interval as printed."""
        low, high = difference.interval or (None, None)
        interval = "" if low is None else f" [{low:+.{self.decimals}f}, {high:+.{self.decimals}f}]"
        return f"{difference.value:+.{self.decimals}f}{interval}"

    def verdict(self, difference: Difference) -> str:
        """The better of the two, as far as the marks say: "tie" where nothing tells them apart, empty if unknown."""
        best = leader(self.metrics_ranked)
        if best is None or not any(self.marks.values()):
            return ""
        other = difference.against if difference.model == best else difference.model
        return "tie" if self.marks[other] == "tie" else best

    @property
    def metrics_ranked(self) -> dict[str, Metric]:
        """The metrics of the models that are ranked: all but the untouched images."""
        return {model: self.metrics[model] for model in self.marks}

    def common(self, name: Shared) -> str:
        """A value that the models share, as printed; the range where they differ, empty where absent."""
        values = [v for m in self.metrics.values() if (v := getattr(m, name)) is not None]
        places = 0 if name == "n" else self.decimals
        texts = [f"{value:.{places}f}" for value in sorted(values)]
        return " to ".join(dict.fromkeys((texts[0], texts[-1]))) if texts else ""


@dataclass(frozen=True)
class Comparison:
    """Everything measured on one data name with one preset.

    models: column names in the caller's order, the untouched images first. A name that stands for two
        different models (other card, other checkpoint) is followed by the start of its digest.
    without_samples: columns of which a record has lost its per-sample values, and with them its tests.
    """

    data: str
    preset: str
    models: tuple[str, ...]
    records: tuple[Record, ...]
    rows: tuple[Row, ...] = field(repr=False)
    columns: tuple[str, ...] = field(repr=False)
    without_samples: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Data and preset, for headings."""
        return f"{self.data}, preset {self.preset}"

    @property
    def headlines(self) -> list[Row]:
        """The rows that answer the main questions, titled and ordered as in `headlines.HEADLINES`."""
        return [
            replace(row, title=title)
            for measure, title in HEADLINES.items()
            for row in self.rows
            if row.key.measure == measure
        ]

    @property
    def references(self) -> frozenset[str]:
        """Models that leave the images untouched."""
        return frozenset(c for c, r in self.by_column() if r.model.kind == REFERENCE_KIND)

    def by_column(self) -> list[tuple[str, Record]]:
        """Each record with the name of its column."""
        return list(zip(self.columns, self.records, strict=True))


def compare(records: Iterable[Record]) -> list[Comparison]:
    """One comparison per data name and preset, in the order of first appearance.

    The part of a data name after a slash (a split) does not separate: each protocol samples its own split. What
    stands after a comma does: detection outcomes that were imposed.

    Raises UsageError where two records measure the same thing.
    """
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        source = re.sub(r"/[^,]*", "", record.data.name, count=1)
        groups.setdefault((source, record.protocol.preset), []).append(record)
    return [_comparison(data, preset, group) for (data, preset), group in groups.items()]


def _comparison(data: str, preset: str, records: Sequence[Record]) -> Comparison:
    columns = _column_names(records)
    _refuse_duplicates(columns, records)
    references = {c for c, r in zip(columns, records, strict=True) if r.model.kind == REFERENCE_KIND}
    models = sorted(dict.fromkeys(columns), key=lambda column: column not in references)
    return Comparison(
        data=data,
        preset=preset,
        models=tuple(models),
        records=tuple(records),
        rows=tuple(_rows(columns, records, models, references)),
        columns=tuple(columns),
    )


def _column_names(records: Sequence[Record]) -> list[str]:
    """The model's name, with the start of a digest where one name stands for several models."""
    identities = {(r.model.name, r.model.card_digest, r.model.checkpoint_sha256) for r in records}
    uses = Counter(name for name, _, _ in identities)
    return [
        r.model.name
        if uses[r.model.name] == 1
        else f"{r.model.name} ({(r.model.checkpoint_sha256 or '')[:4]}{r.model.card_digest[:4]})"
        for r in records
    ]


def _refuse_duplicates(columns: Sequence[str], records: Sequence[Record]) -> None:
    seen = Counter((column, *_fingerprint(record)) for column, record in zip(columns, records, strict=True))
    for (model, protocol, *_), count in seen.items():
        if count > 1:
            raise UsageError(
                f"{count} records measure {model} with protocol {protocol} on one data and preset; keep one"
            )


def _fingerprint(record: Record) -> tuple[object, ...]:
    """What must be equal for two values of one key to stand in one row."""
    protocol, data = record.protocol, record.data
    return protocol.name, protocol.version, protocol.card_digest, data.name, data.digest, data.size


def _rows(
    columns: Sequence[str], records: Sequence[Record], models: Sequence[str], references: set[str]
) -> list[Row]:
    """Every (key, fingerprint, extractor) as a row, in reading order."""
    found: dict[tuple[str, tuple[object, ...]], dict[str, Record]] = {}
    for column, record in zip(columns, records, strict=True):
        for key in record.metrics:
            way = (*_fingerprint(record), extractor_digest(record, key))
            found.setdefault((key, way), {})[column] = record
    ways = Counter(key for key, _ in found)
    rows = []
    for (key, _), by_model in found.items():
        metrics = {m: by_model[m].metrics[key] for m in models if m in by_model}
        marks = rank({m: metric for m, metric in metrics.items() if m not in references})
        variant = _variant(next(iter(by_model.values())), key) if ways[key] > 1 else ""
        parsed = MetricKey.parse(key)
        rows.append(Row(parsed, parsed.label, metrics, marks, by_model, variant))
    return sorted(rows, key=lambda row: (row.key.reading_order, row.variant))


def extractor_digest(record: Record, key: str) -> str | None:
    """Digest of the extractor behind a metric; none for plain pixels, exact flow and the like."""
    name = MetricKey.parse(key).extractor
    # Perceptual distances are keyed by their backbone: lpips.random.vgg16 is measured with lpips.vgg16.
    names = (name, f"lpips.{name}", f"perceptual_{name}")
    return next((record.extractors[known] for known in names if known in record.extractors), None)


def _variant(record: Record, key: str) -> str:
    size = "x".join(map(str, record.data.size)) if record.data.size else "features"
    digests = [f"data {record.data.digest[:6]}", f"card {record.protocol.card_digest[:6]}"]
    if extractor := extractor_digest(record, key):
        digests.append(f"extractor {extractor[:6]}")
    return f"{record.data.name} {size}, {', '.join(digests)}, version {record.protocol.version}"


def by_protocol(rows: Iterable[Row]) -> list[tuple[str, list[Row]]]:
    """Rows grouped under the name of their protocol, in the given order."""
    return [(name, list(group)) for name, group in groupby(rows, key=lambda row: row.key.protocol)]
