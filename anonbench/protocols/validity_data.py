"""The crops of the validity study: synthetic people, whose identity, pose, background and motion are known."""

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd
import torch.nn.functional as F

from anonbench.cards import DetectorCard, packaged_card
from anonbench.crops import PersonCrops
from anonbench.datasets.base import CropDataset, PreparedDataset
from anonbench.detection.surface_head import NAME as SURFACE_HEAD
from anonbench.detection.surface_head import fill_surfaces
from anonbench.protocols.crops import CropSource

SIZE = (72, 40)
"""(H, W) of the crops, at which the packaged generators work."""


class GrownMasks:
    """A dataset whose masks reach some pixels further in all eight directions."""

    def __init__(self, dataset: CropDataset, pixels: int) -> None:
        self._dataset, self._pixels = dataset, pixels
        self.name = f"{dataset.name}, masks grown"
        self.digest = f"{dataset.digest}/grown-{pixels}"
        self.size = dataset.size
        self.notes = dataset.notes
        self.samples: pd.DataFrame = dataset.samples

    def __len__(self) -> int:
        return len(self._dataset)

    def prepare(self, progress: bool = True) -> None:
        """Make the dataset, where it is made on first use."""
        if isinstance(self._dataset, PreparedDataset):
            self._dataset.prepare(progress)

    def load(self, indices: Sequence[int]) -> PersonCrops:
        """The crops at these positions."""
        crops = self._dataset.load(indices)
        reach = 2 * self._pixels + 1
        wider = F.max_pool2d(crops.person_mask.float(), reach, stride=1, padding=self._pixels) > 0
        return replace(crops, person_mask=wider)


def synthetic(split: str, count: int) -> CropSource:
    """So many people (clips, crops) of a split."""
    from anonbench.datasets.synthetic.dataset import SyntheticDataset

    return crop_source(SyntheticDataset(split, size=SIZE, count=count))


def crop_source(dataset: CropDataset) -> CropSource:
    """A dataset with the detection stage of every run, so that equal images are found in the store."""
    detector = packaged_card("models/detectors", SURFACE_HEAD, DetectorCard).digest
    return CropSource(dataset, fill_surfaces, detector)
