"""What a reader must know before citing the numbers of a comparison."""

from collections.abc import Sequence

from anonbench.records import Record
from anonbench.reporting.comparison import Comparison, Row
from anonbench.reporting.labels import NO_NETWORK, OFFICIAL_EXTRACTORS, MetricKey, protocol_title
from anonbench.reporting.marks import ALPHA, Difference

FEW_SEEDS = 5
"""Fewer latent seeds than this say little about the spread (the `paper` presets use as many)."""

FEW_IMAGES = 10_000
"""Fréchet distances are usually measured on more; their upward bias falls as 1/n (Chong and Forsyth 2020)."""


def caveats(comparison: Comparison) -> list[str]:
    """One sentence per reason to be careful, the gravest first."""
    records = comparison.records
    return [
        *_synthetic(comparison),
        *_extractors(records),
        *_unequal_sets(comparison),
        *_sample_size(comparison),
        *_untested(comparison),
        *_constancy(comparison),
        *_seeds(records),
        *_versions(records),
        *_repository(records),
        *dict.fromkeys(f"{record.data.name}: {note}" for record in records for note in record.data.notes),
    ]


def _synthetic(comparison: Comparison) -> list[str]:
    if not comparison.data.startswith("synthetic"):
        return []
    return [
        "Measured on synthetic people: rendered bodies, not photographs. Expect other values on photographs."
    ]


def _extractors(records: Sequence[Record]) -> list[str]:
    found = {MetricKey.parse(key).extractor for record in records for key in record.metrics}
    packaged = ", ".join(sorted(found - OFFICIAL_EXTRACTORS - NO_NETWORK - {""}))
    if not packaged:
        return []
    return [
        f"Measured with {packaged}, not with the networks behind published tables (Inception-v3, LPIPS"
        " VGG-16, OSNet trained on Market-1501): compare within this report only."
    ]


def _unequal_sets(comparison: Comparison) -> list[str]:
    """Rows whose models were not measured on the same samples."""
    unequal = [
        f"{row.title} ({row.key.extractor}, n = {row.common('n')})"
        for row in comparison.rows
        if len({metric.n for metric in row.metrics_ranked.values()}) > 1
        or any(difference.unshared for difference in row.differences)
    ]
    if not unequal:
        return []
    more = f" and {len(unequal) - 3} more" if len(unequal) > 3 else ""
    return [
        f"The models were not measured on the same samples in {'; '.join(unequal[:3])}{more}: their values do not"
        " compare; tests and differences take the samples that both have."
    ]


def _sample_size(comparison: Comparison) -> list[str]:
    """That covariances are singular stands in the notes of the records."""
    rows = [row for row in comparison.rows if row.key.measure == "fid.value"]
    sizes = sorted({metric.n for row in rows for metric in row.metrics.values()})
    if len(sizes) > 1:
        return [
            f"Fréchet distances at different n stand side by side ({', '.join(map(str, sizes))}): their bias falls as"
            " 1/n, so they do not compare."
        ]
    if not sizes or sizes[0] >= FEW_IMAGES:
        return []
    return [
        f"Fréchet distances at n = {sizes[0]} are biased upwards: compare them at equal n and with the floor."
    ]


def _untested(comparison: Comparison) -> list[str]:
    """Why a paired test is missing, or could not find anything."""
    found = []
    if comparison.without_samples:
        found.append(
            f"There are no per-sample values beside the records of {', '.join(comparison.without_samples)}, hence no"
            " paired tests: their intervals decide, which finds less. Run the protocols again to have them."
        )
    headlines = [row.key.measure for row in comparison.headlines]
    for where, rows in (
        ("the headline table", [row for row in comparison.rows if row.key.measure in headlines]),
        ("the full table", [row for row in comparison.rows if row.key.measure not in headlines]),
    ):
        if few := _too_few(rows):
            groups = ", ".join(f"{protocol_title(protocol)} ({n})" for protocol, n in few.items())
            found.append(
                f"In {where} there are more tests than some numbers of people or clips can pass, however clear a"
                f" difference is: {groups}; measure more of them."
            )
    return found


def _too_few(rows: Sequence[Row]) -> dict[str, int]:
    """The fewest groups of each protocol whose tests are at their limit."""
    few: dict[str, int] = {}
    for row in rows:
        for difference in row.differences:
            if difference.groups and _is_at_its_limit(difference, difference.groups):
                few[row.key.protocol] = min(few.get(row.key.protocol, difference.groups), difference.groups)
    return few


def _is_at_its_limit(difference: Difference, groups: int) -> bool:
    """Whether no difference over so many groups, or none larger than this, could have passed."""
    smallest = 2 / 2**groups
    found = difference.p is not None and difference.p <= smallest and (difference.adjusted or 0) >= ALPHA
    return smallest >= ALPHA or found


def _constancy(comparison: Comparison) -> list[str]:
    measures = {row.key.measure for row in comparison.rows}
    if "video.same_latent.consistency" not in measures:
        return []
    beside = "diversity" if "lpips.diversity" in measures else "the likeness between tracks"
    return [
        "Consistency in videos and warping error are best for an output that never changes, such as a grey or"
        f" heavily blurred person: read them beside {beside} and realism."
    ]


def _seeds(records: Sequence[Record]) -> list[str]:
    seeds = max(len(record.seeds) for record in records)
    if seeds >= FEW_SEEDS:
        return []
    plural = "s" if seeds > 1 else ""
    return [
        f"{seeds} latent seed{plural}: too few to estimate the spread well; publish with {FEW_SEEDS} or more."
    ]


def _versions(records: Sequence[Record]) -> list[str]:
    versions = sorted({record.environment.anonbench for record in records})
    if len(versions) == 1:
        return []
    return [f"Measured by different versions of anonbench: {', '.join(versions)}."]


def _repository(records: Sequence[Record]) -> list[str]:
    if not any(record.environment.git_dirty for record in records):
        return []
    return ["Made with uncommitted changes: the commit named below does not reproduce every number."]
