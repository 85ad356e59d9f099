"""Comparisons as one tidy CSV, for further computing."""

from collections.abc import Sequence
from pathlib import Path

from anonbench.records import Metric, Record
from anonbench.reporting.comparison import Comparison, Row, extractor_digest
from anonbench.reporting.files import write_text


def write_csv(comparisons: Sequence[Comparison], path: Path) -> Path:
    """One line per record and metric with every field, for further computing."""
    import pandas as pd

    lines = [
        _record_fields(record) | _metric_fields(record, row, metric) | _test_fields(row, model)
        for comparison in comparisons
        for row in comparison.rows
        for model, metric in row.metrics.items()
        for record in [row.records[model]]
    ]
    return write_text(pd.DataFrame(lines).to_csv(index=False, lineterminator="\n"), path)


def _record_fields(record: Record) -> dict[str, object]:
    protocol, model, data, environment = record.protocol, record.model, record.data, record.environment
    shares = record.detection.model_dump() if record.detection else {}
    height, width = data.size or (None, None)
    return {
        "protocol": protocol.name,
        "protocol_version": protocol.version,
        "preset": protocol.preset,
        "protocol_digest": protocol.card_digest,
        "model": model.name,
        "kind": model.kind,
        "model_digest": model.card_digest,
        "checkpoint_sha256": model.checkpoint_sha256,
        "data": data.name,
        "data_digest": data.digest,
        "height": height,
        "width": width,
        **{f"outcome_{name}": share for name, share in shares.items()},
        "latent_seeds": " ".join(map(str, record.seeds)),
        "anonbench": environment.anonbench,
        "git_commit": environment.git_commit,
        "git_dirty": environment.git_dirty,
        "device": environment.device,
        "seconds": sum(record.seconds.values()),
        "peak_memory_mib": record.peak_memory_mib,
        "command": record.command,
        "created": record.created,
    }


def _metric_fields(record: Record, row: Row, metric: Metric) -> dict[str, object]:
    key = row.key
    low, high = metric.interval or (None, None)
    return {
        "key": str(key),
        "setting": key.setting,
        "statistic": key.statistic,
        "extractor": key.extractor,
        "extractor_digest": extractor_digest(record, str(key)),
        "value": metric.value,
        "unit": metric.unit,
        "direction": metric.direction,
        "n": metric.n,
        "interval_low": low,
        "interval_high": high,
        "value_per_seed": " ".join(map(repr, metric.seeds)),
        "chance": metric.chance,
        "floor": metric.floor,
        "ceiling": metric.ceiling,
    }


def _test_fields(row: Row, model: str) -> dict[str, object]:
    """The mark of a model, and its difference from another where the row has one."""
    found = next((d for d in row.differences if d.model == model), None)
    low, high = (found and found.interval) or (None, None)
    return {
        "mark": row.marks.get(model, ""),
        "against": found and found.against,
        "difference": found and found.value,
        "difference_low": low,
        "difference_high": high,
        "p": found and found.p,
        "p_holm": found and found.adjusted,
        "groups": found and found.groups,
    }
