"""`--data NAME` or `--data NAME=PATH`: from words to crops."""

from pathlib import Path

from anonbench.cards import Preset
from anonbench.datasets.base import CropDataset
from anonbench.errors import DataError, UsageError

DATA_NAMES = {
    "synthetic": "rendered people with exact ground truth, made on first use",
    "market1501=PATH": "real crops in Market-1501 layout, optional masks/ and keypoints.json beside them",
    "folder=PATH": "a folder of images, optional masks/ and keypoints.json beside them",
}


def open_data(spec: str, split: str, preset: Preset) -> CropDataset:
    """The dataset that `spec` names.

    split: which part of the synthetic data; preset: its size and count. Raises UsageError for an unknown
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
    raise UsageError(f"unknown data '{spec}'; there are: {', '.join(DATA_NAMES)}")


def _existing(path: str) -> Path:
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise DataError(f"--data: {folder} is not a folder; check the path")
    return folder
