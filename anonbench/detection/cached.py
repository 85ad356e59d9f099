"""Detections written beside crop files, as `anonbench.datasets.files.CachedDetections` reads them."""

import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import torch
from PIL import Image

from anonbench.cache import write_atomic
from anonbench.datasets.files import CropFile, FileCrops
from anonbench.datasets.images import read_image
from anonbench.detection.detectors import NamedDetector, main_person
from anonbench.detection.people import Person
from anonbench.errors import CacheError, DataError

Track = Callable[[Sequence[CropFile]], Iterable[CropFile]]
"""Hands the files through one by one; a progress bar, for example."""


@dataclass(frozen=True)
class DetectionCounts:
    """How many crops there are, and how many of them got a mask, and keypoints with it."""

    crops: int
    masks: int
    keypoints: int


def detect_dataset(
    dataset: FileCrops, detector: NamedDetector, overwrite: bool = False, track: Track = iter
) -> DetectionCounts:
    """Find the person in every crop and write `masks/NAME.png` and `keypoints.json` into the data's root.

    Of several people in a crop it is the one that covers most of it. Nothing is written before the last crop
    is done, so an interrupted run leaves the data as they were; what was detected is in the cache.
    A crop in which nobody was found gets no mask file and no keypoints, and loses those that it had.
    Raises DataError if detections lie there already (unless `overwrite`) or the folder cannot be written.
    """
    if not overwrite:
        _refuse_existing(dataset)
    if not os.access(dataset.root, os.W_OK):
        raise DataError(f"{dataset.root}: not writable, but detections lie beside the crops; copy the data")
    masks: dict[str, bytes | None] = {}
    keypoints: dict[str, list[list[float]]] = {}
    for file in track(dataset.files):
        found = detector.detect(read_image(file.path), file.key)
        person = main_person(found)
        masks[file.key] = _png(person, found.size) if person else None
        if person and (person.keypoints[:, 2] > 0).any():
            keypoints[file.key] = [
                [round(value, 3) for value in point] for point in person.keypoints.tolist()
            ]
    _write(dataset.root, masks, keypoints)
    return DetectionCounts(
        crops=len(masks),
        masks=sum(png is not None for png in masks.values()),
        keypoints=len(keypoints),
    )


def _refuse_existing(dataset: FileCrops) -> None:
    """Detections may have been made with care by somebody else, and cannot be had back."""
    stored = [path for path in (dataset.root / "masks", dataset.root / "keypoints.json") if path.exists()]
    existing = [file.mask for file in dataset.files if file.mask] + stored
    if existing:
        raise DataError(f"{existing[0]}: detections lie there already; move them away or add --overwrite")


def _png(person: Person, size: tuple[int, int]) -> bytes:
    """The person's mask in a crop of `size` (H, W) as a grey PNG of 0 and 255."""
    mask = torch.zeros(size, dtype=torch.bool)
    mask[person.window.slices] = person.mask
    content = BytesIO()
    Image.fromarray(mask.numpy()).convert("L").save(content, "PNG")
    return content.getvalue()


def _write(root: Path, masks: dict[str, bytes | None], keypoints: dict[str, list[list[float]]]) -> None:
    """Each file atomically, keypoints last. Masks of crops without a person are removed."""
    try:
        for key, png in masks.items():
            path = (root / "masks" / key).with_suffix(".png")
            if png is None:
                path.unlink(missing_ok=True)
            else:
                _write_bytes(png, path)
        text = json.dumps(keypoints, indent=1, sort_keys=True) + "\n"
        _write_bytes(text.encode(), root / "keypoints.json")
    except (CacheError, OSError) as error:
        raise DataError(f"{root}: cannot write masks/ and keypoints.json; is the disk full?") from error


def _write_bytes(content: bytes, path: Path) -> None:
    def fill(temporary: Path) -> None:
        temporary.write_bytes(content)

    write_atomic(path, fill)
