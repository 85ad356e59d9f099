"""Dropping misdetected surfaces by how many vertices they show (thesis Appendix A)."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from anonbench.datasets.base import CropDataset, template_of
from anonbench.datasets.files import DEFAULT_SIZE
from anonbench.datasets.keep_lists import read_keep_list, verdict, write_keep_list
from anonbench.datasets.smpl_template import CHARTS
from anonbench.datasets.smpl_template import NAME as SMPL
from anonbench.errors import DataError, UsageError
from anonbench.pipeline.pictures import detection_pictures
from anonbench.pipeline.statistics import CountedCrops, count_crops
from anonbench.protocols.data import open_stored
from anonbench.reporting.contact_sheets import PAGE, contact_sheet, page_paths
from anonbench.reporting.galleries import save_png

KEEP, LOOK, DROP = "keep", "look", "drop"
"""Groups of crops: above both thresholds, between them, below both (thesis A.5)."""

THESIS_THRESHOLD = 135.0
"""Vertices per body part below which the thesis drops crops of FDH: SMPL's vertices at DEFAULT_SIZE (A.4)."""

THESIS_SHARE = 0.1
"""Share of FDH that is below (A.4). It stands in where the threshold says nothing: how many vertices show
depends on the template, on what found them and on the pixels of a person (docs/data.md)."""


@dataclass(frozen=True)
class Thresholds:
    """Values below `drop_below` are dropped, those from `keep_above` on kept; a person looks at what is between."""

    drop_below: float
    keep_above: float

    def __post_init__(self) -> None:
        if self.keep_above < self.drop_below:
            raise UsageError(
                f"--keep-above {self.keep_above:g} is less than --drop-below {self.drop_below:g}; exchange them"
            )

    def group(self, values: "pd.Series[float]") -> "pd.Series[str]":
        """KEEP, LOOK or DROP for each value; nan, where no vertex shows, is dropped."""
        groups = np.select([values >= self.keep_above, values >= self.drop_below], [KEEP, LOOK], DROP)
        return pd.Series(groups, index=values.index)


@dataclass(frozen=True)
class Grouped:
    """A data set in three groups.

    table: one row per crop: key, vertices, parts, vertices_per_part, group, kept; kept is None for crops of the
    group LOOK that nobody has decided on.
    """

    dataset: CropDataset
    criterion: str
    thresholds: Thresholds
    table: pd.DataFrame

    def write(self, path: Path) -> None:
        """Write the table as CSV, which `anonbench train --keep` reads."""
        write_keep_list(self.table, path)

    @property
    def undecided(self) -> pd.DataFrame:
        """Crops to look at, lowest value first."""
        waiting = self.table[self.table["kept"].isna()]
        return waiting.sort_values(self.criterion, kind="stable")


def filter_by_vertices(
    data: str,
    criterion: str,
    drop_below: float | None = None,
    keep_above: float | None = None,
    drop: float | None = None,
    decided: Mapping[str, bool] | None = None,
) -> Grouped:
    """Sort the crops of `data` into three groups by a criterion of `CRITERIA`.

    drop_below, keep_above: as in `Thresholds`; keep_above None: no middle group. drop: in place of drop_below, the
    share of crops to drop. Neither: as in the thesis (`default_threshold`). decided: what a person said of crops in
    the middle group before. Raises DataError where the criterion is not known.
    """
    counted = count_crops(open_stored(data, "train"))
    values = counted.table[criterion]
    if values.isna().all():
        raise DataError(_without_criterion(counted.dataset, criterion))
    if drop is not None:
        drop_below = lowest(values, drop)
    elif drop_below is None:
        drop_below = default_threshold(counted, criterion)
    thresholds = Thresholds(drop_below, drop_below if keep_above is None else keep_above)
    table = counted.table.drop(columns="outcome")
    table["group"] = thresholds.group(values)
    table["kept"] = np.array(_kept(table, decided or {}), dtype=object)
    return Grouped(counted.dataset, criterion, thresholds, table)


def default_threshold(counted: CountedCrops, criterion: str) -> float:
    """THESIS_THRESHOLD where it was found, else what drops THESIS_SHARE of the crops."""
    dataset = counted.dataset
    if (criterion, template_of(dataset).name, dataset.size) == ("vertices_per_part", SMPL, DEFAULT_SIZE):
        return THESIS_THRESHOLD
    return lowest(counted.table[criterion], THESIS_SHARE)


def lowest(values: "pd.Series[float]", share: float) -> float:
    """The threshold below which at most `share` of the values lie."""
    return float(values.quantile(share, interpolation="higher"))


def decisions(path: Path) -> dict[str, bool]:
    """What a person said in a list that an earlier `filter_by_vertices` wrote: verdicts on crops of the group LOOK.

    Empty where there is no such file. Raises DataError for a file of another kind.
    """
    if not path.exists():
        return {}
    looked_at = {key: row for key, row in read_keep_list(path).items() if row.get("group") == LOOK}
    verdicts = {key: verdict(row) for key, row in looked_at.items()}
    return {key: kept for key, kept in verdicts.items() if kept is not None}


def grouped_values(counted: CountedCrops, criterion: str, keep: Path | None) -> dict[str, "pd.Series[float]"]:
    """Values of a criterion for a plot: of all crops, or apart by what a list says of them.

    Raises DataError for a list of other crops.
    """
    values = counted.table[criterion].dropna()
    if values.empty:
        raise DataError(_without_criterion(counted.dataset, criterion))
    if keep is None:
        return {"all crops": values}
    verdicts = {key: verdict(row) for key, row in read_keep_list(keep).items()}
    if not counted.table["key"].isin(verdicts).any():
        raise DataError(f"{keep}: names no crop of {counted.dataset.name}; it is a list of other data")
    said = counted.table["key"][values.index].map(lambda key: verdicts.get(key))
    groups = {"dropped": said.eq(False), "undecided": said.isna(), "kept": said.eq(True)}
    return {name: values[members] for name, members in groups.items() if members.any()}


def write_sheets(grouped: Grouped, path: Path) -> list[Path]:
    """Contact sheets of the undecided crops: mask outlined, surface in colours, value and key below them."""
    waiting = grouped.undecided
    pages = page_paths(path, len(waiting))
    for number, page in enumerate(pages):
        rows = waiting.iloc[number * PAGE : (number + 1) * PAGE]
        crops = grouped.dataset.load(rows.index.tolist())
        pictures = detection_pictures(crops, template_of(grouped.dataset))
        captions = [
            f"{value:.0f}  {key}" for value, key in zip(rows[grouped.criterion], rows["key"], strict=True)
        ]
        save_png(contact_sheet(pictures, captions), page)
    return pages


def _kept(table: pd.DataFrame, decided: Mapping[str, bool]) -> list[bool | None]:
    verdicts = {KEEP: True, DROP: False}
    return [
        verdicts.get(group, decided.get(key)) for key, group in zip(table["key"], table["group"], strict=True)
    ]


def _without_criterion(dataset: CropDataset, criterion: str) -> str:
    if template_of(dataset).part is None and criterion == "vertices_per_part":
        return (
            f"{dataset.name}: the body parts of its vertices are not known; add {CHARTS} (docs/data.md) "
            "or take --by vertices"
        )
    return f"{dataset.name}: none of {len(dataset)} crops has a surface, so there are no vertices to count"
