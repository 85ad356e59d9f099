"""What a data set holds: outcomes, body parts, vertices (thesis Appendix A)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from anonbench.crops import Outcome
from anonbench.datasets.base import CropDataset, PreparedDataset, template_of
from anonbench.detection.surface_head import fill_surfaces
from anonbench.errors import DataError
from anonbench.metrics.vertices import count_vertices
from anonbench.progress import track
from anonbench.template import SurfaceTemplate

BATCH = 64

CRITERIA = ("vertices_per_part", "vertices")
"""The columns that tell how good a surface is (thesis A.2); low is bad."""

QUANTILES = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)


@dataclass(frozen=True)
class CountedCrops:
    """The vertices in every crop of a data set.

    table: key, outcome (value of `Outcome`), vertices, parts (body parts that show), vertices_per_part; the last
    two are nan where the template's parts are not known, the last also where no vertex shows.
    shows_part: bool (N, P), whether a crop shows any vertex of each part of `part_names`; P = 0 where not known.
    """

    dataset: CropDataset
    table: pd.DataFrame
    shows_part: NDArray[np.bool_]
    part_names: tuple[str, ...]


@dataclass(frozen=True)
class DataStatistics:
    """A data set in numbers.

    outcomes: crops by detection outcome. people_per_image: images by how many people were found in them, none
    where that is not known. body_parts: share of the crops with a surface that show each part.
    quantiles: of each criterion, over the crops with a surface.
    """

    name: str
    digest: str
    size: tuple[int, int]
    template: str
    crops: int
    outcomes: Mapping[str, int]
    people_per_image: Mapping[int, int] | None
    body_parts: Mapping[str, float]
    quantiles: Mapping[str, Mapping[float, float]]


def count_crops(dataset: CropDataset) -> CountedCrops:
    """Read every crop once and count its vertices; image files get their surfaces from the surface head."""
    if isinstance(dataset, PreparedDataset):
        dataset.prepare()
    part, names = _body_parts(template_of(dataset))
    tables, shown = [], []
    starts = range(0, len(dataset), BATCH)
    for start in track(starts, f"counting vertices of {dataset.name}", len(starts)):
        crops = fill_surfaces(dataset.load(range(start, min(start + BATCH, len(dataset)))))
        counts = count_vertices(crops.surface, part, len(names) or 1)
        columns = {
            "key": crops.key,
            "outcome": crops.outcome.numpy(),
            "vertices": counts.vertices.numpy(),
            "parts": counts.parts.numpy() if names else np.nan,
            "vertices_per_part": counts.per_part.numpy() if names else np.nan,
        }
        tables.append(pd.DataFrame(columns))
        shown.append((counts.of_part[:, : len(names)] > 0).numpy())
    return CountedCrops(dataset, pd.concat(tables, ignore_index=True), np.concatenate(shown), names)


def _body_parts(template: SurfaceTemplate) -> tuple[Tensor, tuple[str, ...]]:
    """The body part of each vertex and the names of all; where they are not known, one part without a name."""
    if template.part is None:
        return torch.zeros(len(template.embedding), dtype=torch.int32), ()
    return template.part, template.part_names


def statistics(counted: CountedCrops, people_per_image: Mapping[int, int] | None = None) -> DataStatistics:
    """Sum up what was counted."""
    dataset, table = counted.dataset, counted.table
    with_surface = (table["outcome"] == Outcome.SURFACE).to_numpy()
    shares = counted.shows_part[with_surface].mean(axis=0) if with_surface.any() else []
    return DataStatistics(
        name=dataset.name,
        digest=dataset.digest,
        size=dataset.size,
        template=template_of(dataset).name,
        crops=len(table),
        outcomes={o.name.lower(): int((table["outcome"] == o).sum()) for o in reversed(Outcome)},
        people_per_image=people_per_image,
        body_parts={name: float(share) for name, share in zip(counted.part_names, shares, strict=False)},
        quantiles={name: _quantiles(table[name][with_surface]) for name in CRITERIA},
    )


def people_per_image(report: Path) -> dict[int, int] | None:
    """Images by the number of people found, as `anonbench data build` wrote it; none without such a file."""
    if not report.is_file():
        return None
    try:
        return {int(n): int(count) for n, count in json.loads(report.read_text())["people_per_image"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{report}: not written by `anonbench data build` ({error}); remove it") from error


def _quantiles(values: "pd.Series[float]") -> dict[float, float]:
    known = values.dropna()
    return {q: float(known.quantile(q)) for q in QUANTILES} if len(known) else {}
