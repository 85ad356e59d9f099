"""Run a protocol for a model on data, once: an equal request finds the stored record."""

import hashlib
import json
import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

import anonbench
from anonbench.anonymizers.base import Anonymizer, CheckedAnonymizer
from anonbench.anonymizers.registry import KINDS, load_anonymizer
from anonbench.cache import cache_dir, write_atomic
from anonbench.cards import Preset, ProtocolCard
from anonbench.datasets.base import CropDataset
from anonbench.datasets.imposed import ImposedOutcomes
from anonbench.detection.surface_head import surface_head_digest
from anonbench.errors import DataError, UsageError
from anonbench.features.base import Extractor, Kind, PerceptualExtractor
from anonbench.features.extractors import EXTRACTORS, extractor_names, load_extractor, load_perceptual
from anonbench.protocols.crops import CropSource, detected
from anonbench.protocols.data import impose, open_data, open_reference
from anonbench.protocols.environment import data_run, environment, model_run, peak_memory_mib
from anonbench.protocols.registry import measure_function, named_preset, protocol_card, require_fit
from anonbench.records import ProtocolRun, Record, WeightsRun, read_record, write_record
from anonbench.reporting.galleries import write_strip
from anonbench.weights import verified_weights

if TYPE_CHECKING:
    from anonbench.protocols.generation import Generation, ImageSet
    from anonbench.protocols.scoring import Context, Measurement

RECORD = "record.json"
SAMPLES = "samples.parquet"
SAMPLES_FORMAT = 2
"""Counts what the columns of the per-sample values mean: a stored record of another format is measured again."""


@dataclass(frozen=True)
class Request:
    """One run: what the user asked for.

    seeds and extractors replace the preset's where given. command: for the record. outcomes: shares of detection
    outcomes to impose on data with perfect detection (`anonbench.datasets.imposed.outcome_shares`); "": none.
    attacker: a network that `privacy` retrains on anonymized images ("osnet"); "": none.
    """

    protocol: str
    model: str
    data: str = "synthetic"
    preset: str = "demo"
    seeds: int | None = None
    extractors: tuple[str, ...] = ()
    command: str = ""
    outcomes: str = ""
    attacker: str = ""


@dataclass(frozen=True)
class Plan:
    """A request resolved to cards, data and the key of its record."""

    request: Request
    card: ProtocolCard
    preset: Preset
    model: Anonymizer
    dataset: CropDataset
    extractors: tuple[Extractor, ...]
    perceptual: tuple[PerceptualExtractor, ...]

    @property
    def extractor_digests(self) -> dict[str, str]:
        """Name -> digest of everything that measures."""
        features = {e.name: e.digest for e in self.extractors}
        perceptual = {e.name: e.digest for e in self.perceptual}
        return features | perceptual | _attacker_digest(self.request.attacker)

    @property
    def folder(self) -> Path:
        """Where the record lies or will lie: named by everything that decides what it says."""
        decides = [
            anonbench.__version__, self.card.digest, self.request.preset, self.preset.digest, self.model.card.digest,
            self.dataset.digest, surface_head_digest(), sorted(self.extractor_digests.items()), SAMPLES_FORMAT,
        ]  # fmt: skip
        return cache_dir() / "records" / hashlib.sha256(json.dumps(decides).encode()).hexdigest()


def resolve(request: Request) -> Plan:
    """Check everything that can be checked before anything is computed."""
    card = protocol_card(request.protocol)
    preset = _preset(card, request)
    if request.attacker and card.name != "privacy":
        raise UsageError(f"{card.name} has no attackers; --attacker is for privacy")
    perceptual = [name for name in preset.extractors if EXTRACTORS[name].kind == "perceptual"]
    features = tuple(load_extractor(name) for name in preset.extractors if name not in perceptual)
    distances = tuple(load_perceptual(name) for name in perceptual)
    model = load_anonymizer(request.model)
    require_fit(card.name, model.card)
    dataset = open_data(request.data, card.split, preset)
    if request.outcomes:
        dataset = impose(dataset, request.outcomes, card.name, model)
    if isinstance(model, CheckedAnonymizer):
        model.check(dataset.samples["key"].tolist())
    return Plan(request, card, preset, model, dataset, features, distances)


def run(plan: Plan) -> tuple[Record, Path]:
    """The record of a plan and its folder, measured now unless an equal one is stored."""
    if not (plan.folder / RECORD).exists():
        _measure(plan)
    return read_record(plan.folder / RECORD), plan.folder


def export(record: Record, folder: Path, out: Path) -> Path:
    """Copy a record, its per-sample values and gallery strips to `out` under readable names."""
    out.mkdir(parents=True, exist_ok=True)
    names = {RECORD: f"{record.slug}.json"} | {
        file: f"{record.slug}.{file}" for file in (record.samples, *record.galleries.values()) if file
    }
    for source, target in names.items():
        if source != RECORD:
            shutil.copyfile(folder / source, out / target)
    renamed = record.model_copy(
        update={
            "samples": names[record.samples] if record.samples else None,
            "galleries": {figure: names[file] for figure, file in record.galleries.items()},
        }
    )
    write_record(renamed, out / names[RECORD])
    return out / names[RECORD]


def _preset(card: ProtocolCard, request: Request) -> Preset:
    """The preset with the user's seeds and extractors in place of its own."""
    preset = named_preset(card, request.preset)
    changes = {"seeds": request.seeds, "extractors": _fitting(card, request.extractors)}
    return preset.model_copy(update={k: v for k, v in changes.items() if v})


def _fitting(card: ProtocolCard, names: tuple[str, ...]) -> tuple[str, ...]:
    """Of the extractors that the user named, those that this protocol can use."""
    for name in names:
        if name not in EXTRACTORS:
            raise UsageError(f"no extractor '{name}'; there are: {', '.join(EXTRACTORS)}")
    kinds = _kinds(card)
    fitting = tuple(name for name in names if EXTRACTORS[name].kind in kinds)
    if names and not fitting:
        valid = ", ".join(name for kind in kinds for name in extractor_names(kind))
        raise UsageError(f"{card.name} measures with {' and '.join(kinds)} extractors: {valid}")
    return fitting


def _kinds(card: ProtocolCard) -> list[Kind]:
    """The kinds of extractors that a protocol measures with, its main one first."""
    used = [EXTRACTORS[name].kind for preset in card.presets.values() for name in preset.extractors]
    return list(dict.fromkeys([card.extractor_kind, *used]))


def _measure(plan: Plan) -> None:
    # Imported here: a stored record needs none of it, and SciPy alone takes a second.
    from anonbench.protocols.scoring import Context

    started = time.perf_counter()
    generation, reference = _generation(plan), _reference(plan)
    attacker = plan.request.attacker
    context = Context(generation, plan.preset, plan.extractors, plan.perceptual, reference, attacker)
    _require_detections(plan, generation.crops)
    prepared = time.perf_counter()
    found = measure_function(plan.card.name)(context)
    seconds = {"crops": prepared - started, "measure": time.perf_counter() - prepared}
    _store(plan, context, found, seconds)


def _generation(plan: Plan) -> "Generation":
    """The model on the crops of the plan."""
    from anonbench.protocols.generation import Generation

    crops = detected(plan.dataset)
    if not isinstance(plan.dataset, ImposedOutcomes):
        return Generation(plan.model, crops)
    from anonbench.protocols.imposed import ImposedGeneration

    perfect = detected(plan.dataset.perfect)
    return ImposedGeneration(crops, plan.dataset, Generation(plan.model, perfect))


def _require_detections(plan: Plan, crops: CropSource) -> None:
    """Our own anonymizers leave crops without a detection as they are: numbers of nothing but those mislead."""
    if crops.shares().none == 1 and plan.model.card.kind in set(KINDS) - {"original", "folder"}:
        raise DataError(
            f"{plan.request.data}: no person is detected in any of the {len(crops)} crops, so nothing would be "
            f"anonymized; put masks/ and keypoints.json beside them: anonbench data detect {plan.request.data}"
        )


def _reference(plan: Plan) -> "ImageSet | None":
    """Other real crops, for protocols that compare distributions."""
    from anonbench.protocols.generation import original_images

    if plan.card.extractor_kind != "distribution":
        return None
    dataset = open_reference(plan.request.data, plan.card.split, plan.preset)
    return original_images(detected(dataset)) if dataset else None


def _store(plan: Plan, context: "Context", found: "Measurement", seconds: dict[str, float]) -> None:
    """Sidecars first, the record last: a record that exists is complete."""
    galleries = {}
    for figure, images in found.strips.items():
        galleries[figure] = f"{figure}.png"
        write_strip(images, plan.folder / galleries[figure])
    if len(found.samples):
        write_atomic(plan.folder / SAMPLES, lambda path: _write_samples(found.samples, path))
    record = Record(
        protocol=ProtocolRun(
            name=plan.card.name,
            version=plan.card.version,
            preset=plan.request.preset,
            card_digest=plan.card.digest,
        ),
        model=model_run(plan.model.card),
        data=data_run(plan.dataset, found.notes),
        seeds=tuple(context.seeds),
        extractors=plan.extractor_digests,
        variants={n: EXTRACTORS[n].variant for n in plan.extractor_digests if n in EXTRACTORS},
        weights=_weights_run(plan.extractor_digests),
        metrics=found.metrics,
        detection=context.crops.shares(),
        samples=SAMPLES if len(found.samples) else None,
        galleries=galleries,
        environment=environment("cpu"),
        seconds={stage: round(value, 3) for stage, value in seconds.items()},
        peak_memory_mib=round(peak_memory_mib(), 1),
        command=plan.request.command,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    write_record(record, plan.folder / RECORD)


def _write_samples(samples: pd.DataFrame, path: Path) -> None:
    samples.to_parquet(path, index=False)


def _weights_run(extractors: Iterable[str]) -> dict[str, WeightsRun]:
    """The weight files behind extractors, beside those that are packaged with anonbench."""
    names = {EXTRACTORS[name].weights for name in extractors if name in EXTRACTORS}
    used = {name: verified_weights(name) for name in sorted(filter(None, names))}
    return {name: WeightsRun(sha256=file.sha256, trust=file.card.trust) for name, file in used.items()}


def _attacker_digest(attacker: str) -> dict[str, str]:
    """Name and digest of a retrained network; raises UsageError for an unknown one."""
    if not attacker:
        return {}
    from anonbench.protocols.privacy_retrained import attacker_digest

    return attacker_digest(attacker)
