"""`--data NAME` or `--data NAME=PATH`: from words to crops."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from anonbench.anonymizers.base import Anonymizer
from anonbench.cards import Preset
from anonbench.crops import PersonCrops
from anonbench.datasets.base import CropDataset, PreparedDataset
from anonbench.datasets.files import DEFAULT_SIZE
from anonbench.datasets.imposed import ImposedOutcomes
from anonbench.errors import DataError, UnfitError, UsageError

DATA_NAMES = {
    "synthetic": "rendered people with exact ground truth, made on first use",
    "market1501=PATH": "real crops in Market-1501 layout, optional masks/ and keypoints.json beside them",
    "folder=PATH": "a folder of images, optional masks/ and keypoints.json beside them",
    "fdh=PATH": "train/ and val/ of FDH, or shards in its layout written by data render",
    "video=PATH": "people found and followed in a video or a folder of frames, by the detector mediapipe",
}


def open_data(spec: str, split: str, preset: Preset) -> CropDataset:
    """The dataset that `spec` names.

    split: which part of synthetic data and FDH; preset: its size and count. Raises UsageError for an unknown
    name, DataError for a path that does not exist.
    """
    name, _, path = spec.partition("=")
    if name == "synthetic" and not path:
        from anonbench.datasets.synthetic.dataset import SyntheticDataset

        return SyntheticDataset(split, size=preset.size, count=preset.count)
    if name == "market1501" and path:
        from anonbench.datasets.market1501 import Market1501

        return Market1501(_existing(path))
    if name == "folder" and path:
        from anonbench.datasets.folder import ImageFolder

        return ImageFolder(_existing(path), size=preset.size)
    if name == "fdh" and path:
        return _open_fdh(_existing(path), split, preset.size, preset.count)
    if name == "video" and path:
        from anonbench.detection.detectors import load_detector
        from anonbench.pipeline.clip_crops import ClipCrops

        return ClipCrops(Path(path).expanduser(), load_detector("mediapipe"), preset.size)
    raise UsageError(f"unknown data '{spec}'; there are: {', '.join(DATA_NAMES)}")


def open_stored(spec: str, split: str, count: int | None = None) -> CropDataset:
    """As `open_data`, at the size of the files: nothing is resized. Synthetic people are rendered at 288x160.

    count: the first crops only, of FDH and synthetic people; none: all.
    """
    name, _, path = spec.partition("=")
    if name == "fdh" and path:
        return _open_fdh(_existing(path), split, None, count)
    if name == "folder" and path:
        from anonbench.datasets.folder import ImageFolder

        return ImageFolder(_existing(path))
    return open_data(spec, split, Preset(size=DEFAULT_SIZE, count=count, extractors=("none",)))


class Following:
    """The second half of a dataset: as many other crops of the same source as the first half holds."""

    def __init__(self, doubled: CropDataset) -> None:
        self._doubled = doubled
        self._start = len(doubled) // 2
        self.name = f"{doubled.name}, other crops"
        self.digest = f"{doubled.digest}/second-half"
        self.size = doubled.size
        self.notes = doubled.notes
        self.samples: pd.DataFrame = doubled.samples.iloc[self._start :].reset_index(drop=True)

    def __len__(self) -> int:
        return len(self.samples)

    def prepare(self, progress: bool = True) -> None:
        """Make the whole dataset, where it is made on first use."""
        if isinstance(self._doubled, PreparedDataset):
            self._doubled.prepare(progress)

    def load(self, indices: Sequence[int]) -> PersonCrops:
        """The crops at these positions of the second half."""
        return self._doubled.load([self._start + index for index in indices])


def open_reference(spec: str, split: str, preset: Preset) -> CropDataset | None:
    """As many other real crops as `open_data` gives, for a floor at equal n; none where the source has no more."""
    if not spec.startswith(("synthetic", "fdh=")) or preset.count is None:
        return None
    doubled = open_data(spec, split, preset.model_copy(update={"count": 2 * preset.count}))
    return Following(doubled) if len(doubled) >= 2 * preset.count else None


IMPOSABLE = ("reid", "privacy")
"""Protocols under which imposed outcomes mean something: those that look for people. The thesis takes its image
distances on crops that were all detected (4.1), and untouched crops among them would pass for realism."""


def impose(dataset: CropDataset, spec: str, protocol: str, model: Anonymizer) -> ImposedOutcomes:
    """The dataset with the detection outcomes that `spec` names (`anonbench.datasets.imposed`).

    Raises UnfitError for a protocol or a model that they mean nothing to, UsageError for unknown shares.
    """
    if protocol not in IMPOSABLE:
        raise UnfitError(
            f"{protocol} takes no imposed outcomes: crops that stay untouched would pass for good ones; "
            f"use --outcomes with {' or '.join(IMPOSABLE)}"
        )
    if model.card.kind == "folder":
        raise UnfitError(
            f"the images of {model.card.name} are made already, with what was detected then; "
            "outcomes can be imposed on models that anonbench runs"
        )
    return ImposedOutcomes(dataset, spec)


def _open_fdh(root: Path, split: str, size: tuple[int, int] | None, count: int | None) -> CropDataset:
    from anonbench.datasets.fdh import SPLITS, FDHDataset

    if split not in SPLITS:
        raise UsageError(
            f"fdh={root}: its crops are of unknown people, one of each; this needs identities: "
            "use synthetic or market1501=PATH, or run fid and lpips"
        )
    return FDHDataset(root, split, size, count)


def _existing(path: str) -> Path:
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise DataError(f"--data: {folder} is not a folder; check the path")
    return folder
