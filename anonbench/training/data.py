"""From a data set to what a generator is trained on: crops with surfaces, at the resolution of the networks."""

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from anonbench.anonymizers.synthesis import at_resolution
from anonbench.crops import Outcome, PersonCrops
from anonbench.datasets.base import CropDataset
from anonbench.datasets.files import FileCrops
from anonbench.datasets.keep_lists import read_keep_list, verdict
from anonbench.detection.surface_head import fill_surfaces
from anonbench.errors import DataError
from anonbench.training.batches import Crops, InMemoryCrops
from anonbench.training.config import TrainingData

CHUNK = 256
"""Crops that are read at once into memory."""
BYTES_PER_PIXEL = 3 + 1 + 4
"""Image, person mask, surface."""
WORKERS = 4

Track = Callable[[Sequence[int], str], Iterable[int]]
"""Shows progress over a sequence, with a description."""


@dataclass(frozen=True)
class ResizedCrops:
    """Some crops of a data set, by position, at another size. Readable from worker processes.

    detect: completes the detections of crops at their own size.
    """

    dataset: CropDataset
    rows: NDArray[np.int64]
    size: tuple[int, int]
    detect: Callable[[PersonCrops], PersonCrops] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def load(self, indices: Sequence[int]) -> PersonCrops:
        """The crops at these positions of `rows`, in this order."""
        crops = self.dataset.load(self.rows[np.asarray(indices)].tolist())
        return at_resolution(self.detect(crops) if self.detect else crops, self.size)


@dataclass(frozen=True)
class TrainingSet:
    """What a run trains on. without_surface: crops that were left out since nobody was found in them."""

    crops: Crops
    workers: int
    without_surface: int


def training_set(
    dataset: CropDataset, rows: NDArray[np.int64], size: tuple[int, int], workers: int | None, track: Track
) -> TrainingSet:
    """The crops at `rows` of a data set as a run reads them.

    size: (H, W) of the networks. workers: processes that read batches from disk, 0: hold all crops in
    memory, None: memory where they fill at most a quarter of it, else `WORKERS`.
    Image files carry no surfaces: the surface head adds them, once, in memory. Crops that remain without one
    are left out; DataError if none is left.
    """
    if isinstance(dataset, FileCrops):
        return _in_memory(ResizedCrops(dataset, rows, size, fill_surfaces), track)
    crops = ResizedCrops(dataset, rows, size)
    if workers == 0 or (workers is None and _fits(len(crops), size)):
        return _in_memory(crops, track)
    return TrainingSet(crops, workers or WORKERS, without_surface=0)


def rows_to_train_on(dataset: CropDataset, keep: Path | None) -> tuple[NDArray[np.int64], str | None]:
    """The training rows of a data set that `anonbench data filter` kept, and a sha256 of their keys.

    Rows with the role of a query or a gallery are for measuring. keep: CSV with columns key and kept; None:
    all rows, no hash. Raises DataError where nothing is left, or the file is not of that command or that data.
    """
    samples = dataset.samples
    rows = np.flatnonzero(samples["role"].isin(("train", "")))
    if not len(rows):
        raise DataError(f"{dataset.name}: holds no crops for training, only queries and a gallery")
    if keep is None:
        return rows, None
    kept = {key for key, row in read_keep_list(keep).items() if verdict(row)}
    unknown = len(kept - set(samples["key"]))
    if unknown:
        raise DataError(
            f"{keep}: {unknown} of {len(kept)} kept crops are not in {dataset.name}; filter it first"
        )
    rows = rows[samples["key"].isin(kept).to_numpy()[rows]]
    if not len(rows):
        raise DataError(f"{keep}: keeps no crop that {dataset.name} trains on; filter with a smaller --drop")
    return rows, hashlib.sha256("\n".join(samples["key"].iloc[rows]).encode()).hexdigest()


def described(dataset: CropDataset, name: str) -> TrainingData:
    """A data set on disk as the `data` section of a training card."""
    return TrainingData(name=name, count=len(dataset), sha256=dataset.digest)


def _in_memory(crops: ResizedCrops, track: Track) -> TrainingSet:
    found = []
    for start in track(range(0, len(crops), CHUNK), "read crops"):
        chunk = crops.load(range(start, min(start + CHUNK, len(crops))))
        found.append(chunk.select((chunk.outcome == Outcome.SURFACE).nonzero()[:, 0]))
    usable = PersonCrops.concatenate(found)
    if not len(usable):
        raise DataError(
            f"{crops.dataset.name}: none of {len(crops)} crops has a person with a surface to train on; "
            "find people first: anonbench data detect"
        )
    return TrainingSet(InMemoryCrops(usable), workers=0, without_surface=len(crops) - len(usable))


def _fits(crops: int, size: tuple[int, int]) -> bool:
    """Whether this process may hold the crops: a quarter of the machine's memory, shared with its siblings."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    siblings = max(1, torch.cuda.device_count())
    return crops * size[0] * size[1] * BYTES_PER_PIXEL <= memory / 4 / siblings
