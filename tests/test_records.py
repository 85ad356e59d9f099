"""Records: validated, atomic, and equal after a round trip."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from anonbench.errors import CardError
from anonbench.records import (
    DataRun,
    DetectionShares,
    Environment,
    Metric,
    ModelRun,
    ProtocolRun,
    Record,
    read_record,
    write_record,
)


def record(**changes: object) -> Record:
    metric = Metric(value=12.5, unit="percent", direction="higher", n=40, interval=(10, 15), seeds=(12, 13))
    fields = {
        "protocol": ProtocolRun(name="reid", version=1, preset="smoke", card_digest="0" * 64),
        "model": ModelRun(name="final", kind="generator", card_digest="1" * 64, checkpoint_sha256="2" * 64),
        "data": DataRun(name="synthetic/reid", digest="3" * 64, size=(72, 40), counts={"samples": 40}),
        "seeds": (0, 1),
        "extractors": {"osnet_synthetic": "4" * 64},
        "metrics": {"reid.same_latent.map.osnet_synthetic": metric},
        "detection": DetectionShares(surface=1, mask_only=0, none=0),
        "environment": Environment(
            anonbench="0", python="3", platform="Linux", device="cpu", packages={"torch": "2"}
        ),
        "seconds": {"measure": 1.0},
        "peak_memory_mib": 100.0,
        "command": "anonbench run reid --model final",
        "created": "2026-01-01T00:00:00+00:00",
    }
    return Record.model_validate(fields | changes)


def test_a_record_survives_the_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "record.json"
    write_record(record(), path)
    assert read_record(path) == record()
    assert [p.name for p in path.parent.iterdir()] == ["record.json"]


def test_the_slug_is_a_safe_file_name() -> None:
    assert record().slug == "final.reid.synthetic-reid.smoke"


def test_an_unknown_key_is_named_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    content = record().model_dump(mode="json") | {"fid": 3}
    path.write_text(json.dumps(content))
    with pytest.raises(CardError, match=r"record\.json: key 'fid'"):
        read_record(path)


@pytest.mark.parametrize("version", [0, 2])
def test_another_schema_version_is_refused(tmp_path: Path, version: int) -> None:
    path = tmp_path / "record.json"
    path.write_text(json.dumps(record().model_dump(mode="json") | {"schema_version": version}))
    with pytest.raises(CardError, match="schema_version"):
        read_record(path)


def test_truncated_json_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_text('{\n "protocol":')
    with pytest.raises(CardError, match=r"record\.json:2: not valid JSON"):
        read_record(path)


@pytest.mark.parametrize(
    "wrong",
    [
        {"value": float("nan")},
        {"value": float("inf")},
        {"n": 0},
        {"direction": "up"},
        {"interval": (2.0, 1.0)},
    ],
)
def test_a_metric_that_means_nothing_is_refused(wrong: dict[str, object]) -> None:
    good: dict[str, object] = {"value": 1.0, "unit": "percent", "direction": "higher", "n": 3}
    with pytest.raises(ValidationError):
        Metric.model_validate(good | wrong)


def test_a_record_without_metrics_is_refused() -> None:
    with pytest.raises(ValidationError, match="metrics"):
        record(metrics={})
