"""Filtering by vertices: three groups, a person's verdicts, and planted misdetections that are found."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pandas as pd
import pytest
import torch

from anonbench.datasets.base import CropDataset
from anonbench.datasets.fdh import FDHDataset
from anonbench.datasets.shards import write_shards
from anonbench.datasets.synthetic.dataset import SyntheticDataset
from anonbench.errors import DataError, UsageError
from anonbench.pipeline.pictures import detection_pictures
from anonbench.pipeline.statistics import CountedCrops
from anonbench.protocols.vertex_filter import (
    Thresholds,
    decisions,
    default_threshold,
    filter_by_vertices,
    write_sheets,
)
from anonbench.template import SurfaceTemplate, body_template
from anonbench.training.data import rows_to_train_on
from tests.datasets.fdh_shards import VERTICES, fdh, members


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    """48 rendered people of 72x40 in shards."""
    root = tmp_path_factory.mktemp("people")
    write_shards(SyntheticDataset("val", (72, 40), count=48), root / "train", 32)
    return f"fdh={root}"


def test_values_between_two_thresholds_are_for_a_person() -> None:
    values = pd.Series([1.0, 10, 15, 20, 99, np.nan])
    assert Thresholds(10, 20).group(values).tolist() == ["drop", "look", "look", "keep", "keep", "drop"]
    assert Thresholds(15, 15).group(values).tolist() == ["drop", "drop", "keep", "keep", "keep", "drop"]
    with pytest.raises(UsageError, match="--keep-above 5 is less than --drop-below 10"):
        Thresholds(10, 5)


@pytest.mark.parametrize("criterion", ["vertices", "vertices_per_part"])
def test_the_share_with_fewest_vertices_is_dropped(data: str, criterion: str) -> None:
    table = filter_by_vertices(data, criterion, drop=0.25).table
    kept = table["kept"].astype(bool)
    assert (~kept).sum() == 12
    assert table[criterion][~kept].max() < table[criterion][kept].min()


def test_training_takes_what_is_kept_and_leaves_the_undecided(data: str, tmp_path: Path) -> None:
    values = filter_by_vertices(data, "vertices", 0).table["vertices"]
    low, high = values.quantile(0.25), values.quantile(0.5)
    found = filter_by_vertices(data, "vertices", low, high)
    found.write(tmp_path / "kept.csv")
    rows, _ = rows_to_train_on(found.dataset, tmp_path / "kept.csv")
    assert rows.tolist() == np.flatnonzero(values >= high).tolist()
    assert len(found.undecided) == ((values >= low) & (values < high)).sum() > 0


def test_verdicts_are_trained_on_and_survive_another_run(data: str, tmp_path: Path) -> None:
    path = tmp_path / "kept.csv"
    values = filter_by_vertices(data, "vertices", 0).table["vertices"]
    thresholds = values.quantile(0.25), values.quantile(0.5)
    filter_by_vertices(data, "vertices", *thresholds).write(path)
    assert decisions(path) == {}
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    first, second = table.index[table["group"] == "look"][:2]
    table.loc[first, "kept"], table.loc[second, "kept"] = "TRUE", "no"
    table.to_csv(path, index=False)

    again = filter_by_vertices(data, "vertices", *thresholds, decided=decisions(path))
    assert again.table["kept"][first] is True
    assert again.table["kept"][second] is False
    again.write(path)
    rows, _ = rows_to_train_on(again.dataset, path)
    assert first in rows
    assert second not in rows
    assert decisions(path) == {table["key"][first]: True, table["key"][second]: False}


def test_verdicts_decide_nothing_outside_the_middle(data: str) -> None:
    keys = filter_by_vertices(data, "vertices", 0).table["key"]
    table = filter_by_vertices(data, "vertices", 0, decided=dict.fromkeys(keys, False)).table
    assert table["kept"].all()


def test_sheets_show_the_undecided_with_the_lowest_first(
    data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from anonbench.protocols import vertex_filter

    sheets: list[list[str]] = []
    draw = vertex_filter.contact_sheet
    monkeypatch.setattr(
        vertex_filter,
        "contact_sheet",
        lambda images, captions: sheets.append(captions) or draw(images, captions),
    )
    monkeypatch.setattr(vertex_filter, "PAGE", 60)
    values = filter_by_vertices(data, "vertices", 0).table["vertices"]
    found = filter_by_vertices(data, "vertices", values.min(), values.max())
    (page,) = write_sheets(found, tmp_path / "look.png")
    assert page.exists()
    shown = [int(caption.split()[0]) for caption in sheets[0]]
    assert shown == sorted(values)[:-1]


def test_pictures_outline_the_mask_and_colour_the_surface(data: str) -> None:
    crops = FDHDataset(Path(data.removeprefix("fdh="))).load(range(4))
    pictures = detection_pictures(crops, body_template())
    assert pictures.shape == (4, 72, 80, 3)
    inside = crops.person_mask[:, 0].numpy()
    assert np.array_equal(pictures[:, :, :40][inside], crops.image.permute(0, 2, 3, 1).numpy()[inside])
    coloured = pictures[:, :, 40:][crops.surface.numpy() >= 0]
    assert coloured.min() >= 64
    assert len(np.unique(coloured, axis=0)) > 100


@pytest.mark.parametrize("criterion", ["vertices", "vertices_per_part"])
def test_unless_told_otherwise_a_tenth_is_dropped_as_in_the_thesis(data: str, criterion: str) -> None:
    kept = filter_by_vertices(data, criterion).table["kept"]
    assert (kept == False).sum() == 5  # noqa: E712


def test_the_threshold_of_the_thesis_is_for_its_template_size_and_criterion() -> None:
    def threshold(template: str, size: tuple[int, int], criterion: str) -> float:
        dataset = SimpleNamespace(size=size, template=SurfaceTemplate(template, torch.zeros(1, 16)))
        table = pd.DataFrame({name: np.arange(11.0) for name in ("vertices", "vertices_per_part")})
        return default_threshold(
            CountedCrops(cast(CropDataset, dataset), table, np.zeros((11, 0), bool), ()), criterion
        )

    assert threshold("smpl_27554", (288, 160), "vertices_per_part") == 135
    assert threshold("smpl_27554", (288, 160), "vertices") == 1
    assert threshold("smpl_27554", (144, 80), "vertices_per_part") == 1
    assert threshold("makehuman_13380", (288, 160), "vertices_per_part") == 1


def test_body_parts_of_smpl_come_from_a_file(tmp_path: Path) -> None:
    root = fdh(tmp_path, {f"{i:07d}": members(i) for i in range(3)})
    with pytest.raises(
        DataError, match=r"body parts .* not known; add parts_smpl_27554\.npy .* or take --by vertices"
    ):
        filter_by_vertices(f"fdh={root}", "vertices_per_part", 1)
    assert filter_by_vertices(f"fdh={root}", "vertices", 1).table["kept"].all()
    np.save(root / "parts_smpl_27554.npy", np.arange(VERTICES) % 24 + 1)
    assert FDHDataset(root).template.part_names[1] == "torso_front"
    table = filter_by_vertices(f"fdh={root}", "vertices_per_part", 1).table
    assert (table["vertices_per_part"] == table["vertices"] / table["parts"]).all()


@pytest.mark.parametrize("wrong", [np.arange(5), np.zeros(VERTICES, int), np.full(VERTICES, 25)])
def test_a_wrong_table_of_body_parts_is_named(tmp_path: Path, wrong: np.ndarray) -> None:
    root = fdh(tmp_path, {"0000000": members()})
    np.save(root / "parts_smpl_27554.npy", wrong)
    with pytest.raises(DataError, match=r"parts_smpl_27554\.npy: must hold 27554 chart numbers from 1 to 24"):
        FDHDataset(root)
