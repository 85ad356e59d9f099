"""Outlier removal by self-distillation (Mokady et al. 2022; thesis section 7.2.6).

A model with an appearance mapper reconstructs every crop that it could be trained on. It does so worst for
rare people and for crops whose mask or surface does not belong to the picture: without them the next model
has an easier distribution to learn.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anonbench.anonymizers.base import Anonymizer, Reconstructing
from anonbench.anonymizers.registry import load_anonymizer
from anonbench.cards import Preset
from anonbench.crops import Outcome, PersonCrops
from anonbench.datasets.base import CropDataset, PreparedDataset
from anonbench.datasets.files import DEFAULT_SIZE
from anonbench.datasets.keep_lists import write_keep_list
from anonbench.detection.surface_head import fill_surfaces
from anonbench.errors import DataError, UsageError
from anonbench.features.base import PerceptualExtractor
from anonbench.features.extractors import load_perceptual
from anonbench.metrics.similarity import pair_distance
from anonbench.progress import track
from anonbench.protocols.crops import BATCH
from anonbench.protocols.data import open_data

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Filtered:
    """A data set and what the filter says about it.

    table: one row per crop: key, error (nan where a crop has no surface, so that nothing is synthesized), kept.
    """

    dataset: CropDataset
    table: pd.DataFrame

    @property
    def threshold(self) -> float:
        """The largest error that was kept."""
        return float(self.table["error"][self.table["kept"]].max())

    def write(self, path: Path) -> None:
        """Write the table as CSV, atomically."""
        write_keep_list(self.table, path)


def filter_by_reconstruction(model: str, data: str, extractor: str, drop: float) -> Filtered:
    """Drop the share `drop` of the crops that `model` reconstructs worst.

    model: as for `load_anonymizer`; it needs an appearance mapper. data: as for `open_data`; its split train.
    extractor: name of a perceptual extractor. Raises UsageError for a model without mapper, DataError where no
    crop has a surface.
    """
    anonymizer = load_anonymizer(model)
    if not (isinstance(anonymizer, Reconstructing) and anonymizer.card.can_reconstruct):
        raise UsageError(
            f"model '{model}' has no appearance mapper to reconstruct with; take one that has: final"
        )
    distance = load_perceptual(extractor)
    dataset = open_data(data, "train", Preset(size=_resolution(anonymizer), extractors=(extractor,)))
    errors = reconstruction_errors(anonymizer, dataset, distance)
    if np.isnan(errors).all():
        raise DataError(f"{data}: none of {len(errors)} crops has a surface, so nothing can be reconstructed")
    table = pd.DataFrame({"key": dataset.samples["key"], "error": errors, "kept": keep_best(errors, drop)})
    return Filtered(dataset, table)


def reconstruction_errors(
    model: Reconstructing, dataset: CropDataset, extractor: PerceptualExtractor
) -> Floats:
    """(N,): perceptual distance between each crop and its reconstruction, averaged over the person mask.

    nan where a crop has no surface or no mask.
    """
    if isinstance(dataset, PreparedDataset):
        dataset.prepare()
    starts = range(0, len(dataset), BATCH)
    errors = [
        errors_of(
            model, fill_surfaces(dataset.load(range(start, min(start + BATCH, len(dataset))))), extractor
        )
        for start in track(starts, f"{model.card.name}: reconstructing {dataset.name}", len(starts))
    ]
    return np.concatenate(errors)


def errors_of(model: Reconstructing, crops: PersonCrops, extractor: PerceptualExtractor) -> Floats:
    """`reconstruction_errors` of one batch."""
    images = model.anonymize(crops, model.encode(crops))
    distances = pair_distance(extractor.distance_map(images, crops.image), crops.person_mask).inside
    return np.where((crops.outcome == Outcome.SURFACE).numpy(), distances.numpy(), np.nan)


def keep_best(errors: Floats, drop: float) -> NDArray[np.bool_]:
    """bool (N,): all but the share `drop` of the finite errors, the largest; nan is never kept.

    The number to drop is rounded down; of equal errors the first are kept.
    """
    order = np.argsort(errors, kind="stable")  # nan comes last
    measured = int(np.isfinite(errors).sum())
    kept = np.zeros(len(errors), dtype=bool)
    kept[order[: measured - int(drop * measured)]] = True
    return kept


def _resolution(model: Anonymizer) -> tuple[int, int]:
    """The size in pixels at which a model sees people; its reconstructions are compared there."""
    architecture: dict[str, Any] = model.card.architecture or {}
    height, width = architecture.get("resolution", DEFAULT_SIZE)
    return int(height), int(width)
