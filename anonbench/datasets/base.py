"""What every source of person crops offers."""

from collections.abc import Sequence
from typing import Protocol

import pandas as pd

from anonbench.crops import PersonCrops


class CropDataset(Protocol):
    """Person crops of one size, each with a stable name, addressed by position.

    name: what a record calls it, for example "synthetic/reid".
    digest: sha256 (hex) of what determines the content. Cheap: nothing is rendered or decoded for it.
    size: (H, W) in pixels.
    samples: one row per sample, position-indexed. Columns key (str), person_id, camera_id (int, -1
        unknown) and role ("query", "gallery", "train" or ""); factorial splits add the int columns
        identity, pose and background.
    notes: what a reader of a record must know: a subset, skipped files.
    """

    @property
    def name(self) -> str: ...
    @property
    def digest(self) -> str: ...
    @property
    def size(self) -> tuple[int, int]: ...
    @property
    def samples(self) -> pd.DataFrame: ...
    @property
    def notes(self) -> tuple[str, ...]: ...

    def __len__(self) -> int: ...

    def load(self, indices: Sequence[int]) -> PersonCrops:
        """The crops at these positions, in this order."""
        ...
