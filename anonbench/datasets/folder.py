"""A folder of person crops, nested as its owner likes."""

from collections import Counter
from pathlib import Path

import pandas as pd

from anonbench.crops import UNKNOWN_ID
from anonbench.datasets.files import CachedDetections, CropFile, FileCrops
from anonbench.datasets.images import EXTENSIONS, is_image
from anonbench.errors import DataError


class ImageFolder(FileCrops):
    """Every image below a folder, one person each, identity and camera unknown.

    Sample keys are paths relative to the folder, with forward slashes. Person masks lie in `masks/` under
    the same path with the ending .png, keypoints in `keypoints.json`: both inside the folder or beside it.
    Files of different sizes are resized to `size` without keeping their aspect ratio, as a note says.
    """

    def __init__(self, root: Path, size: tuple[int, int] | None = None) -> None:
        """root: the folder; size: (H, W) to resize to. Raises DataError."""
        root = Path(root)
        paths = _images(root)
        keys = [path.relative_to(root).as_posix() for path in paths]
        detections = CachedDetections.beside(root, root.parent)
        files = [
            CropFile(key, path, detections.mask_of(key), detections.keypoints.get(key))
            for key, path in zip(keys, paths, strict=True)
        ]
        samples = pd.DataFrame({"key": keys, "person_id": UNKNOWN_ID, "camera_id": UNKNOWN_ID, "role": ""})
        super().__init__("folder", root, files, samples, size, detections.notes(keys))


def _images(root: Path) -> list[Path]:
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; give a folder of images")
    masks = root / "masks"
    files = [path for path in root.rglob("*") if path.is_file() and masks not in path.parents]
    images = sorted(path for path in files if is_image(path))
    if not images:
        endings = ", ".join(EXTENSIONS)
        raise DataError(f"{root}: 0 images among {len(files)} files; names must end in {endings}")
    _reject_shared_stems(root, images)
    return images


def _reject_shared_stems(root: Path, images: list[Path]) -> None:
    """Two images that differ only in their ending would share one mask and one anonymized image."""
    stems = Counter(path.with_suffix("") for path in images)
    shared = [stem for stem, count in stems.items() if count > 1]
    if shared:
        name = shared[0].relative_to(root).as_posix()
        raise DataError(
            f"{root}: {stems[shared[0]]} images are called '{name}', only the endings differ; rename them"
        )
