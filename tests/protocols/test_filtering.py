"""Outlier removal by reconstruction: planted outliers rank high, and the share that was asked for goes."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from anonbench.anonymizers.base import Reconstructing
from anonbench.anonymizers.registry import load_anonymizer
from anonbench.crops import Outcome, PersonCrops
from anonbench.datasets.synthetic.dataset import SyntheticDataset
from anonbench.errors import UsageError
from anonbench.features.extractors import load_perceptual
from anonbench.protocols.filtering import Filtered, errors_of, filter_by_reconstruction, keep_best
from anonbench.template import VERTICES
from anonbench.training.data import rows_to_train_on
from tests.protocols.toys import ToyDataset, market_like

PERCEPTUAL = "perceptual_mobilenet_v2"


def _errors(crops: PersonCrops) -> np.ndarray:
    model = load_anonymizer("final")
    assert isinstance(model, Reconstructing)
    return errors_of(model, crops, load_perceptual(PERCEPTUAL))


@pytest.fixture(scope="module")
def crops() -> PersonCrops:
    """Whole people at the resolution of the packaged models."""
    return SyntheticDataset("val", (72, 40), count=64).load(range(64))


@pytest.fixture(scope="module")
def clean(crops: PersonCrops) -> np.ndarray:
    return _errors(crops)


def _surface_of_another(crops: PersonCrops) -> PersonCrops:
    return replace(crops, surface=crops.surface.roll(1, 0))


def _mask_of_another(crops: PersonCrops) -> PersonCrops:
    return replace(crops, person_mask=crops.person_mask.roll(1, 0))


def _shuffled_vertices(crops: PersonCrops) -> PersonCrops:
    other = torch.randperm(VERTICES, generator=torch.Generator().manual_seed(0)).to(torch.int32)
    shuffled = other[crops.surface.clamp(min=0).long()]
    return replace(crops, surface=torch.where(crops.surface >= 0, shuffled, crops.surface))


@pytest.mark.parametrize(
    ("plant", "least"),
    [(_surface_of_another, 0.9), (_shuffled_vertices, 0.93), (_mask_of_another, 0.7)],
    ids=["surface of another", "shuffled vertices", "mask of another"],
)
def test_crops_with_wrong_detections_are_reconstructed_worse(
    crops: PersonCrops, clean: np.ndarray, plant: Callable[[PersonCrops], PersonCrops], least: float
) -> None:
    wrong = _errors(plant(crops))
    auc = (wrong[:, None] > clean[None]).mean()
    print(f"AUC {auc:.3f}")
    assert auc > least


def test_crops_without_a_surface_have_no_error(crops: PersonCrops) -> None:
    few = crops.select(range(3))
    few = replace(few, outcome=torch.tensor([Outcome.NONE, Outcome.MASK_ONLY, Outcome.SURFACE]))
    assert np.isnan(_errors(few)).tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("errors", "drop", "kept"),
    [
        ([0.1, 0.4, 0.2, 0.3], 0.25, [True, False, True, True]),
        ([0.1, 0.4, 0.2, 0.3], 0.5, [True, False, True, False]),
        ([0.1, 0.4, 0.2, 0.3], 0.2, [True] * 4),
        ([0.1, np.nan, 0.2, 0.3], 0.4, [True, False, True, False]),
        ([0.5, 0.5, 0.5], 0.34, [True, True, False]),
    ],
)
def test_the_worst_share_is_dropped_and_unknown_errors_always(
    errors: list[float], drop: float, kept: list[bool]
) -> None:
    assert keep_best(np.array(errors), drop).tolist() == kept


def test_models_without_a_mapper_cannot_filter(tmp_path: Path) -> None:
    for model in ("baseline", "blackout"):
        with pytest.raises(UsageError, match=f"model '{model}' has no appearance mapper"):
            filter_by_reconstruction(model, "synthetic", PERCEPTUAL, 0.05)


def test_training_reads_the_table_that_is_written(tmp_path: Path) -> None:
    dataset = ToyDataset(market_like(persons=20, cameras=1).assign(role="train"))
    errors = np.linspace(1, 0, 20)
    table = pd.DataFrame({"key": dataset.samples["key"], "error": errors, "kept": keep_best(errors, 0.1)})
    filtered = Filtered(dataset, table)
    filtered.write(tmp_path / "kept.csv")
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "kept.csv"), table, rtol=1e-5)
    rows, _ = rows_to_train_on(dataset, tmp_path / "kept.csv")
    assert rows.tolist() == list(range(2, 20))
