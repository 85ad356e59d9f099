"""Score a features file under a protocol: `anonbench run reid --features FILE.npz`."""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

import anonbench
from anonbench.cache import cache_dir, write_atomic
from anonbench.cards import ProtocolCard
from anonbench.crops import Outcome
from anonbench.errors import UsageError
from anonbench.protocols.environment import environment, peak_memory_mib
from anonbench.protocols.feature_files import (
    FeatureFile,
    distribution_features,
    extractor_name,
    open_features,
    reid_features,
)
from anonbench.protocols.registry import named_preset, protocol_card
from anonbench.protocols.reid_labels import Integers
from anonbench.protocols.runner import RECORD, SAMPLES, SAMPLES_FORMAT
from anonbench.protocols.scoring import Measurement
from anonbench.records import (
    DataRun,
    DetectionShares,
    ModelRun,
    ProtocolRun,
    Record,
    read_record,
    write_record,
)

KIND = "features"
"""Kind of the model in records: its images were never seen."""


@dataclass(frozen=True)
class FeatureRequest:
    """One run on a file. name: what the network is called; "": what the file says. command: for the record."""

    protocol: str
    path: Path
    name: str = ""
    preset: str = "demo"
    command: str = ""


@dataclass(frozen=True)
class Scored:
    """What a file gave. anonymized: it holds features of anonymized images."""

    measurement: Measurement
    counts: dict[str, int]
    labels: tuple[object, ...]
    seeds: range
    anonymized: bool
    detection: DetectionShares | None = None


def score_file(request: FeatureRequest) -> tuple[Record, Path]:
    """The record of a features file and its folder, scored now unless an equal one is stored.

    Raises UsageError for a protocol that reads no features, DataError with the reason for a file that cannot be
    scored.
    """
    card = protocol_card(request.protocol)
    if card.name not in SCORERS:
        raise UsageError(f"{card.name} needs images; --features serves {' and '.join(SCORERS)}")
    resamples = named_preset(card, request.preset).resamples
    file = open_features(request.path, card.name)
    name = extractor_name(file, request.name)
    folder = _folder(card, request, file, name)
    if not (folder / RECORD).exists():
        started = time.perf_counter()
        scored = SCORERS[card.name](file, name, resamples)
        _store(folder, card, request, file, name, scored, time.perf_counter() - started)
    return read_record(folder / RECORD), folder


def _score_reid(file: FeatureFile, name: str, resamples: int) -> Scored:
    from anonbench.protocols.reid import score, with_ceilings

    features, labels = reid_features(file)
    scores = with_ceilings(score(features, labels, name, resamples))
    if not scores.metrics:
        raise file.fail("no query has a match under any setting")
    people = np.unique(labels.person)
    return Scored(
        Measurement(scores.metrics, pd.concat(scores.samples, ignore_index=True)),
        counts={
            "samples": len(labels.key),
            "identities": int((people > 0).sum()),
            "query": len(labels.query),
            "gallery": len(labels.gallery),
        },
        labels=tuple(
            column.tolist()
            for column in (labels.key, labels.person, labels.camera, labels.query, labels.gallery)
        ),
        seeds=features.seeds,
        anonymized=len(features.seeds) > 0,
        detection=None if labels.outcome is None else _shares(labels.outcome),
    )


def _score_fid(file: FeatureFile, name: str, resamples: int) -> Scored:
    from anonbench.protocols.fid import LEAST_SAMPLES, score

    real, fakes, other, keys = distribution_features(file)
    if len(real) < LEAST_SAMPLES:
        raise file.fail(f"distribution distances need at least {LEAST_SAMPLES} images, got {len(real)}")
    found = score(real, fakes, other, keys, name, resamples)
    return Scored(found, {"samples": len(real)}, (keys,), range(len(fakes)), anonymized=True)


SCORERS: dict[str, Callable[[FeatureFile, str, int], Scored]] = {"reid": _score_reid, "fid": _score_fid}


def _store(
    folder: Path,
    card: ProtocolCard,
    request: FeatureRequest,
    file: FeatureFile,
    name: str,
    scored: Scored,
    seconds: float,
) -> None:
    """The per-sample values first, the record last: a record that exists is complete."""
    found = scored.measurement
    write_atomic(folder / SAMPLES, lambda path: found.samples.to_parquet(path, index=False))
    record = Record(
        protocol=ProtocolRun(
            name=card.name, version=card.version, preset=request.preset, card_digest=card.digest
        ),
        model=ModelRun(
            name=file.name("model", "anonymized" if scored.anonymized else "original"),
            kind=KIND,
            card_digest=file.sha256,
        ),
        data=DataRun(
            name=file.name("data", "features"),
            digest=hashlib.sha256(json.dumps(scored.labels).encode()).hexdigest(),
            counts=scored.counts,
            notes=(f"features from {file.path.name}: anonbench has not seen the images", *found.notes),
        ),
        seeds=tuple(scored.seeds),
        extractors={name: file.sha256},
        metrics=found.metrics,
        detection=scored.detection,
        samples=SAMPLES,
        environment=environment("cpu"),
        seconds={"measure": round(seconds, 3)},
        peak_memory_mib=round(peak_memory_mib(), 1),
        command=request.command,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    write_record(record, folder / RECORD)


def _folder(card: ProtocolCard, request: FeatureRequest, file: FeatureFile, name: str) -> Path:
    decides = [
        anonbench.__version__, card.digest, request.preset, file.sha256, name, file.path.name, SAMPLES_FORMAT,
    ]  # fmt: skip
    return cache_dir() / "records" / hashlib.sha256(json.dumps(decides).encode()).hexdigest()


def _shares(outcome: Integers) -> DetectionShares:
    share = {o.name.lower(): float(np.mean(outcome == o)) for o in Outcome}
    return DetectionShares(**share)
