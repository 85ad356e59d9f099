"""The clips of a run: which frames follow each other, and what is measured between them."""

from dataclasses import dataclass
from functools import cached_property
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from anonbench.datasets.base import ClipDataset
from anonbench.errors import DataError, UsageError
from anonbench.metrics.temporal import Steps, changed_share, flicker, steps, warping_error
from anonbench.protocols.crops import BATCH, CropSource
from anonbench.protocols.generation import ImageSet
from anonbench.protocols.scoring import Floats

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class FrameErrors:
    """How much the person changes from frame to frame, (K,) in [0, 1]: along the flow, and where pixels stand."""

    warping: Floats
    flicker: Floats


class Clips:
    """Crops of tracked people, with N frames in all and K pairs of consecutive ones.

    clip, frame: (N,), as in `ClipDataset.samples`. pairs: the K pairs.

    Raises UsageError for data that are no clips, DataError where nobody is seen in two consecutive frames.
    """

    def __init__(self, crops: CropSource) -> None:
        if not {"clip", "frame"} <= set(crops.samples.columns):
            raise UsageError("video needs clips: run it on --data synthetic or --data video=CLIP.mp4")
        self.dataset = cast(ClipDataset, crops.dataset)  # its columns say so
        self.clip: Integers = crops.samples["clip"].to_numpy(np.int64)
        self.frame: Integers = crops.samples["frame"].to_numpy(np.int64)
        self.pairs: Steps = steps(self.clip, self.frame)
        self._crops = crops
        if not len(self.pairs.now):
            raise DataError(
                f"{crops.dataset.name}: nobody is followed over two consecutive frames; give a longer clip"
            )

    @property
    def several(self) -> bool:
        """Whether there are people to tell apart, and clips to draw for intervals."""
        return len(np.unique(self.clip_of_pair)) > 1

    @property
    def clip_of_pair(self) -> Integers:
        """(K,) the clip of each pair."""
        return self.clip[self.pairs.now]

    @cached_property
    def keys(self) -> list[str]:
        """N sample names."""
        return [str(key) for key in self._crops.samples["key"]]

    @property
    def keys_of_pair(self) -> list[str]:
        """K sample names: of the later frame of each pair."""
        return [self.keys[i] for i in self.pairs.now]

    def errors(self, images: ImageSet) -> FrameErrors:
        """Warping error and flicker of every pair, inside the masks of the untouched clips."""
        warping, still = [], []
        for start in range(0, len(self.pairs.now), BATCH):
            now, before = (i[start : start + BATCH] for i in (self.pairs.now, self.pairs.before))
            mask, mask_before = (self._crops.load(i.tolist()).person_mask for i in (now, before))
            flow, visible = self.dataset.flow(now.tolist())
            later, earlier = (torch.from_numpy(images.images[i]) for i in (now, before))
            warping.append(warping_error(later, earlier, flow, mask & visible))
            still.append(flicker(later, earlier, mask & mask_before))
        return FrameErrors(np.concatenate(warping), np.concatenate(still))

    def changed(self, original: ImageSet, images: ImageSet) -> Floats:
        """(N,) share of each person's pixels that differ from the original; nan where there is no mask."""
        batches = zip(original.batches(), images.batches(), self._crops.batches(), strict=True)
        return np.concatenate([changed_share(a, b, crops.person_mask) for a, b, crops in batches])
