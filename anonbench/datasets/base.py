"""What every source of person crops offers."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import pandas as pd
from torch import Tensor

from anonbench.crops import PersonCrops
from anonbench.template import SurfaceTemplate, body_template


class CropDataset(Protocol):
    """Person crops of one size, each with a stable name, addressed by position."""

    @property
    def name(self) -> str:
        """What a record calls it, for example "synthetic/reid"."""
        ...

    @property
    def digest(self) -> str:
        """sha256 (hex) of what determines the content. Cheap: nothing is rendered or decoded for it."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        ...

    @property
    def samples(self) -> pd.DataFrame:
        """One row per sample, position-indexed.

        Columns: key (str), person_id and camera_id (int, -1 unknown), role ("query", "gallery", "train" or
        ""); factorial splits add the int columns identity, pose and background.
        """
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of a record must know: a subset, skipped files."""
        ...

    def __len__(self) -> int:
        """Number of samples."""
        ...

    def load(self, indices: Sequence[int]) -> PersonCrops:
        """The crops at these positions, in this order."""
        ...


class ClipDataset(CropDataset, Protocol):
    """Crops of tracked people in clips. `samples` adds the int columns clip (one track of one person) and frame
    (number of the moment in its clip: consecutive moments are 1 / `frame_rate` seconds apart)."""

    @property
    def flow_source(self) -> str:
        """Where the flow comes from: "exact" (rendered) or "dis" (estimated). Part of metric keys."""
        ...

    @property
    def frame_rate(self) -> float:
        """Moments per second."""
        ...

    def flow(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Backward optical flow of the untouched crops at these positions.

        float32 (B, 2, H, W): x and y in pixels from each pixel to where its point was one moment before; bool
        (B, 1, H, W): where the crop of that moment shows the point. Nothing is valid in the first of a clip.
        """
        ...


@runtime_checkable
class PreparedDataset(CropDataset, Protocol):
    """A dataset that is made on first use: `prepare` makes all of it at once, which is faster than by parts."""

    def prepare(self, progress: bool = True) -> None:
        """Make what is missing. progress: show a bar on stderr."""
        ...


@runtime_checkable
class AttributedDataset(CropDataset, Protocol):
    """A dataset that knows what its people are like."""

    def attributes(self) -> pd.DataFrame:
        """One row per sample, one column of class names (str) per attribute; "" where not known.

        All samples of a person are of one class.
        """
        ...


def template_of(dataset: CropDataset) -> SurfaceTemplate:
    """The body template that a dataset's surfaces refer to: its attribute `template`, else the packaged one."""
    template = getattr(dataset, "template", None)
    return template if isinstance(template, SurfaceTemplate) else body_template()
