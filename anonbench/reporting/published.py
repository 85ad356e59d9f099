"""Published numbers, for orientation: other data, other extractors, so never in one table with ours."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from anonbench.reporting.labels import ARROWS
from anonbench.resources import resource_dir

TABLES = ("thesis_table_5_1", "thesis_table_5_2")
"""Files of `results/reference` that a report shows: the thesis' image metrics and its re-identification."""

_NAMES = {
    "fid": "FID",
    "fid_clip": "FID CLIP",
    "lpips": "LPIPS",
    "lpips_reconstructed": "LPIPS reconstructed",
    "lpips_diversity": "LPIPS diversity",
    "map": "mAP",
    "rank1": "rank-1",
    "rank5": "rank-5",
    "rank20": "rank-20",
}


@dataclass(frozen=True)
class PublishedTable:
    """A table as printed in its source. rows: model and its cells, one per column."""

    source: str
    dataset: str
    notes: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]


def published_tables(names: Sequence[str] = TABLES) -> list[PublishedTable]:
    """The tables with these ids, with their cells as printed."""
    folder = resource_dir("results") / "reference"
    return [_table(json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))) for name in names]


def _table(content: dict[str, Any]) -> PublishedTable:
    directions = content["metric_directions"]
    return PublishedTable(
        source=content["source"],
        dataset=content["dataset"],
        notes=content["notes"],
        columns=tuple(f"{_NAMES.get(key, key)} {ARROWS[directions[key]]}" for key in directions),
        rows=tuple(
            (row["model"], tuple(row["printed"][key] for key in directions)) for row in content["rows"]
        ),
    )
