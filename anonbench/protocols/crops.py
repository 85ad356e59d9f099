"""The crops of a run: a dataset whose detections are complete, read in batches."""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anonbench.crops import Outcome, PersonCrops
from anonbench.datasets.base import CropDataset, PreparedDataset
from anonbench.detection.surface_head import fill_surfaces, surface_head_digest
from anonbench.records import DetectionShares

BATCH = 64


class CropSource:
    """A dataset plus the detection stage.

    detect: completes the detections of a batch (masks without a surface map get one where keypoints allow).
    detector: identifies `detect` in cache keys.
    """

    def __init__(
        self, dataset: CropDataset, detect: Callable[[PersonCrops], PersonCrops], detector: str
    ) -> None:
        self.dataset = dataset
        self.digest = f"{dataset.digest}/{detector}"
        self._detect = detect
        self._batches: dict[int, PersonCrops] = {}
        if isinstance(dataset, PreparedDataset):
            dataset.prepare()

    def __len__(self) -> int:
        return len(self.dataset)

    @property
    def samples(self) -> pd.DataFrame:
        """One row per sample (`CropDataset.samples`)."""
        return self.dataset.samples

    @cached_property
    def outcome(self) -> NDArray[np.int64]:
        """Detection outcome of every sample, values of `Outcome`."""
        return np.concatenate([batch.outcome.numpy() for batch in self.batches()])

    def load(self, indices: Sequence[int]) -> PersonCrops:
        """The crops at these positions, surfaces filled in."""
        batches = sorted({index // BATCH for index in indices})
        offset = {batch: position * BATCH for position, batch in enumerate(batches)}
        joined = PersonCrops.concatenate([self._batch(batch) for batch in batches])
        return joined.select([offset[index // BATCH] + index % BATCH for index in indices])

    def batches(self) -> Iterator[PersonCrops]:
        """All crops in order, `BATCH` at a time."""
        for batch in range(self.batch_count):
            yield self._batch(batch)

    @property
    def batch_count(self) -> int:
        """How many batches `batches` yields."""
        return -(-len(self) // BATCH)

    def shares(self) -> DetectionShares:
        """Share of each detection outcome."""
        share = {outcome: float(np.mean(self.outcome == outcome)) for outcome in Outcome}
        return DetectionShares(
            surface=share[Outcome.SURFACE], mask_only=share[Outcome.MASK_ONLY], none=share[Outcome.NONE]
        )

    def _batch(self, batch: int) -> PersonCrops:
        """One batch, kept: every latent setting reads all of them again, and detection is slow."""
        if batch not in self._batches:
            indices = range(batch * BATCH, min((batch + 1) * BATCH, len(self)))
            self._batches[batch] = self._detect(self.dataset.load(indices))
        return self._batches[batch]


def detected(dataset: CropDataset) -> CropSource:
    """The crops as every run sees them: where a surface is missing, the packaged surface head finds it."""
    return CropSource(dataset, fill_surfaces, surface_head_digest())
