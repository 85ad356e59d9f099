"""Paired tests between the models of a comparison, on the per-sample values beside their records.

Two models are compared on the same samples, seeds averaged first. The p value is that of a sign-flip permutation
over groups (people, clips), the interval that of a bootstrap over them. Holm's correction runs over all tests of
the headline table, and over all tests of the other rows: each row belongs to one family, in every table.
Statistics of whole sets (Fréchet distance, KID, precision, coverage, AUC) have no per-sample values and no
test: their seed spread and their intervals decide (`marks.rank`).
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from anonbench.metrics.paired import paired_bootstrap, paired_permutation
from anonbench.metrics.uncertainty import holm
from anonbench.records import Record
from anonbench.reporting.comparison import Comparison, Row, compare
from anonbench.reporting.headlines import HEADLINES
from anonbench.reporting.marks import Difference, Mark, leader, rank
from anonbench.reporting.paired import Pairs, Samples, pair

RESAMPLES = 1000
"""Of the bootstrap behind each interval."""

FEWEST_GROUPS = 2


def compare_with_tests(sources: Sequence[tuple[Record, Path]]) -> list[Comparison]:
    """`comparison.compare` with paired tests. sources: records, each with the folder that its files lie in."""

    def folder_of(wanted: Record) -> Path:
        return next(folder for record, folder in sources if record is wanted)

    return [with_tests(comparison, folder_of) for comparison in compare(record for record, _ in sources)]


def with_tests(comparison: Comparison, folder_of: Callable[[Record], Path]) -> Comparison:
    """The comparison with differences between its models, and marks that heed the paired tests.

    folder_of: where the files of a record lie. Raises DataError for damaged per-sample values.
    """
    read = {id(record): Samples.of(record, folder_of(record)) for record in comparison.records}

    def paired(row: Row, model: str, against: str) -> Pairs | None:
        first, second = row.records[model], row.records[against]
        return pair(read[id(first)], read[id(second)], str(row.key))

    rows = [replace(row, differences=_differences(row, paired)) for row in comparison.rows]
    headline = [row for row in rows if row.key.measure in HEADLINES]
    others = [row for row in rows if row.key.measure not in HEADLINES]
    adjusted = {(row.key, row.variant): row for row in chain(_adjusted(headline), _adjusted(others))}
    lost = tuple(column for column, record in comparison.by_column() if _is_lost(record, comparison, read))
    return replace(
        comparison,
        rows=tuple(adjusted[row.key, row.variant] for row in rows),
        without_samples=tuple(dict.fromkeys(lost)),
    )


def _is_lost(record: Record, comparison: Comparison, read: dict[int, Samples | None]) -> bool:
    """Whether a record lacks the per-sample values that it names, or that others of its protocol have."""
    others = [r for r in comparison.records if r.protocol.name == record.protocol.name]
    expected = record.samples is not None or any(read[id(other)] for other in others)
    return expected and read[id(record)] is None


def _differences(row: Row, paired: Callable[[Row, str, str], Pairs | None]) -> tuple[Difference, ...]:
    """Of two models, the first minus the second; of more, each minus the best."""
    best = leader(row.metrics_ranked)
    if best is None:
        return ()
    ranked = list(row.metrics_ranked)
    couples = [tuple(ranked)] if len(ranked) == 2 else [(m, best) for m in ranked if m != best]
    return tuple(_difference(row, model, against, paired(row, model, against)) for model, against in couples)


def _difference(row: Row, model: str, against: str, pairs: Pairs | None) -> Difference:
    found = Difference(model, against, row.metrics[model].value - row.metrics[against].value)
    if pairs is None:
        return found
    found = replace(found, unshared=pairs.unshared)
    if pairs.group_count < FEWEST_GROUPS or not pairs.mostly_shared:
        return found
    interval = paired_bootstrap(pairs.a, pairs.b, pairs.groups, over=pairs.over, resamples=RESAMPLES)
    return replace(
        found,
        interval=(interval.low, interval.high),
        p=paired_permutation(pairs.a, pairs.b, pairs.groups, over=pairs.over),
        groups=pairs.group_count,
    )


def _adjusted(rows: Sequence[Row]) -> list[Row]:
    """Rows of one family with Holm's p values, marked anew."""
    p = [difference.p for row in rows for difference in row.differences if difference.p is not None]
    adjusted = iter(holm(p).tolist() if p else [])
    result = []
    for row in rows:
        differences = tuple(
            d if d.p is None else replace(d, adjusted=next(adjusted)) for d in row.differences
        )
        result.append(replace(row, differences=differences, marks=_marks(row, differences)))
    return result


def _marks(row: Row, differences: Sequence[Difference]) -> dict[str, Mark]:
    best = leader(row.metrics_ranked)
    p = {d.against if d.model == best else d.model: d.adjusted for d in differences if d.adjusted is not None}
    return rank(row.metrics_ranked, p)
