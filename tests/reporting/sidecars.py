"""Records with made-up per-sample values beside them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anonbench.records import Record
from tests.reporting.fabricated import metric, record

PEOPLE = 60
KEY = "reid.same_latent.map.fake_osnet"


def rows(
    key: str, values: NDArray[np.float64], groups: Sequence[object] | None = None, over: Any = np.nan
) -> pd.DataFrame:
    """The values of one seed in the form of a sidecar."""
    names = [f"sample {i:03d}" for i in range(len(values))]
    members = [str(group) for group in (names if groups is None else groups)]
    return pd.DataFrame(
        {"key": names, "group": members, "metric": key, "seed": 0, "value": values, "over": over}
    )


def measured(
    folder: Path,
    model: str,
    values: NDArray[np.float64],
    *,
    keys: Sequence[str] = (KEY,),
    groups: Sequence[object] | None = None,
    over: NDArray[np.float64] | None = None,
    direction: str = "higher",
    spread: float = 0.2,
    **more: Any,
) -> tuple[Record, Path]:
    """A record whose metrics all have these per-sample values, and its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    below = np.nan if over is None else over
    table = pd.concat([rows(key, values, groups, below) for key in keys], ignore_index=True)
    mean = float(values.mean() / (1 if over is None else over.mean()))
    spread = spread if over is None else 0.01
    metrics = {key: metric(mean, direction=direction, spread=spread, n=len(values)) for key in keys}
    made = record(model, metrics, **more)
    made = made.model_copy(update={"samples": f"{made.slug}.samples.parquet"})
    table.to_parquet(folder / str(made.samples))
    return made, folder
