"""Per-sample values of two records, joined sample by sample: what paired tests work on."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anonbench.errors import DataError
from anonbench.records import Record

Floats = NDArray[np.float64]

COLUMNS = ["key", "group", "metric", "seed", "value", "over"]
"""Of the Parquet file beside a record; `over` is nan except behind ratios."""


@dataclass(frozen=True)
class Samples:
    """The per-sample values of one record, averaged over its seeds, which are no samples of their own.

    by_metric: key -> columns value and over, by sample and group.
    """

    by_metric: dict[str, pd.DataFrame]

    @classmethod
    def of(cls, record: Record, folder: Path) -> "Samples | None":
        """Those of a record whose files lie in `folder`; none where it has none, or they were not kept.

        Raises DataError for a file that is damaged or of another form.
        """
        if record.samples is None:
            return None
        if record.samples != PurePosixPath(record.samples).name:
            raise DataError(f"{record.slug}: 'samples' names '{record.samples}', which is no plain file name")
        path = folder / record.samples
        if not path.exists():
            return None
        rows = _read(path)
        rows = rows[rows["metric"].isin(list(record.metrics))]
        means = rows.groupby(["metric", "key", "group"], sort=False)[["value", "over"]].mean()
        return cls({str(metric): table.droplevel(0) for metric, table in means.groupby(level=0, sort=False)})


@dataclass(frozen=True)
class Pairs:
    """One metric of two records on the samples that both have, (N,) each.

    groups: what is independent. over: what ratios are divided by; None for means.
    unshared: samples that only one of the two has.
    """

    a: Floats
    b: Floats
    groups: NDArray[np.int64]
    over: tuple[Floats, Floats] | None
    unshared: int

    @property
    def mostly_shared(self) -> bool:
        """Whether the two share more samples than they do not: else a test would be one of other samples."""
        return len(self.a) > self.unshared

    @property
    def group_count(self) -> int:
        """Independent groups with a value in both."""
        return len(np.unique(self.groups[~np.isnan(self.a - self.b)]))


def pair(a: Samples | None, b: Samples | None, key: str) -> Pairs | None:
    """The samples of a metric that two records share; none where one has no per-sample values of it."""
    first = a.by_metric.get(key) if a else None
    second = b.by_metric.get(key) if b else None
    if first is None or second is None:
        return None
    joined = first.join(second, how="inner", lsuffix="_a", rsuffix="_b")
    groups = pd.factorize(joined.index.get_level_values("group"))[0]
    a_over, b_over = joined["over_a"].to_numpy(), joined["over_b"].to_numpy()
    return Pairs(
        a=joined["value_a"].to_numpy(),
        b=joined["value_b"].to_numpy(),
        groups=groups.astype(np.int64),
        over=None if np.isnan(a_over).all() else (a_over, b_over),
        unshared=len(first) + len(second) - 2 * len(joined),
    )


def _read(path: Path) -> pd.DataFrame:
    try:
        rows = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot read the per-sample values; run the protocol again") from error
    if missing := [name for name in COLUMNS if name not in rows]:
        raise DataError(f"{path}: per-sample values without {', '.join(missing)}; run the protocol again")
    return rows
