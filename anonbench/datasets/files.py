"""Person crops read from image files, with the detections that are stored beside them."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from anonbench.crops import NO_VERTEX, Outcome, PersonCrops, resize
from anonbench.datasets.images import decode_image, decode_mask, read_bytes, read_image
from anonbench.errors import AnonbenchError, DataError

DEFAULT_SIZE = (288, 160)
"""(H, W) of crops whose files have different sizes and for which none was asked (thesis section 3.1)."""


@dataclass(frozen=True)
class CachedDetections:
    """What a detector found before: `masks/NAME.png` and `keypoints.json`, both optional.

    masks: folder of 0/255 PNG files, named as the images with the ending .png; no file: nothing was found.
    keypoints: float32 (17, 3) per sample key, COCO order: x, y in pixels of the image, visibility in [0, 1].
    """

    masks: Path | None
    keypoints: Mapping[str, Tensor]

    @staticmethod
    def beside(*folders: Path) -> "CachedDetections":
        """The detections in the first of `folders` that holds any."""
        for folder in folders:
            masks, keypoints = folder / "masks", folder / "keypoints.json"
            if masks.is_dir() or keypoints.is_file():
                found = read_keypoints(keypoints) if keypoints.is_file() else {}
                return CachedDetections(masks if masks.is_dir() else None, found)
        return CachedDetections(None, {})

    def mask_of(self, name: str) -> Path | None:
        """The mask file of an image, by its name relative to the data's root."""
        path = self.masks and (self.masks / name).with_suffix(".png")
        return path if path and path.is_file() else None

    def notes(self, keys: Sequence[str]) -> tuple[str, ...]:
        """What the reader of a record must know about where masks and keypoints came from."""
        if self.masks is None:
            return ("no masks/ folder: nothing is known to be a person, so every crop has outcome none",)
        masked = sum(self.mask_of(key) is not None for key in keys)
        posed = sum(key in self.keypoints for key in keys)
        return (f"cached detections: {masked} of {len(keys)} crops have a mask, {posed} have keypoints",)


@dataclass(frozen=True)
class CropFile:
    """One crop on disk. mask: its person mask; keypoints: float32 (17, 3) in pixels of the file."""

    key: str
    path: Path
    mask: Path | None
    keypoints: Tensor | None


class FileCrops:
    """A CropDataset over image files (`anonbench.datasets.base`).

    Every file is decoded once when the data set is opened: a broken one ends a run in its first seconds.
    Crops with a non-empty mask have outcome MASK_ONLY, the others NONE; the detection stage adds surfaces.
    `files` are the crops in the order of `samples`, `root` is the folder where their detections belong.
    """

    def __init__(
        self,
        name: str,
        root: Path,
        files: Sequence[CropFile],
        samples: pd.DataFrame,
        size: tuple[int, int] | None,
        notes: Sequence[str],
    ) -> None:
        """Check the files. size: (H, W) of the crops; none: the files', DEFAULT_SIZE if they differ."""
        sizes, contents = _scan(files)
        self.name = name
        self.root = root
        self.files = tuple(files)
        self.samples = samples
        self.size = size or (sizes.pop() if len(sizes) == 1 else DEFAULT_SIZE)
        self.notes = tuple(notes) + _size_note(sizes, self.size)
        self.digest = hashlib.sha256(f"{name} {self.size} {contents}".encode()).hexdigest()

    def __len__(self) -> int:
        """Number of crops."""
        return len(self.files)

    def load(self, indices: Sequence[int]) -> PersonCrops:
        """The crops at `indices`, in that order, at `size`."""
        crops = [resize(self._load_one(int(index)), self.size) for index in indices]
        return PersonCrops.concatenate(crops)

    def _load_one(self, index: int) -> PersonCrops:
        file, row = self.files[index], self.samples.iloc[index]
        image = read_image(file.path)
        size = (image.shape[1], image.shape[2])
        mask = _mask_of(file, size)
        return PersonCrops(
            image=image[None],
            person_mask=mask[None, None],
            surface=torch.full((1, *size), NO_VERTEX, dtype=torch.int32),
            keypoints=torch.zeros(1, 17, 3) if file.keypoints is None else file.keypoints[None],
            person_id=torch.tensor([row["person_id"]], dtype=torch.int64),
            camera_id=torch.tensor([row["camera_id"]], dtype=torch.int64),
            outcome=torch.tensor([Outcome.MASK_ONLY if mask.any() else Outcome.NONE], dtype=torch.int64),
            key=(file.key,),
        )


def read_keypoints(path: Path) -> dict[str, Tensor]:
    """Keypoints per sample key from `{file name: [[x, y, visibility] * 17]}`. Raises DataError."""
    try:
        content = json.loads(read_bytes(path))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not valid JSON ({error}); write it again") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: must map file names to 17 triples of x, y, visibility; write it again")
    return {name: _one_person(path, name, triples) for name, triples in content.items()}


def listed(names: Sequence[str], limit: int = 3) -> str:
    """The first few names, and how many more there are, for a one-line message."""
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def _one_person(path: Path, name: str, triples: object) -> Tensor:
    try:
        values = np.asarray(triples, dtype=np.float32)
    except (TypeError, ValueError):
        values = np.empty(0, dtype=np.float32)
    if values.shape != (17, 3) or not np.isfinite(values).all():
        raise DataError(f"{path}: key '{name}': must be 17 finite triples of x, y, visibility (COCO order)")
    if values[:, 2].min() < 0 or values[:, 2].max() > 1:
        raise DataError(
            f"{path}: key '{name}': visibility must lie in [0, 1]; store COCO's 0, 1, 2 as 0, 0.5, 1"
        )
    return torch.from_numpy(values)


def _scan(files: Sequence[CropFile]) -> tuple[set[tuple[int, int]], str]:
    """Decode every file once: the image sizes that occur and a digest of all contents. Raises DataError."""
    sizes: set[tuple[int, int]] = set()
    digest = hashlib.sha256()
    problems: list[str] = []
    for file in files:
        try:
            size, content = _check(file)
        except AnonbenchError as error:
            problems.append(str(error))
        else:
            sizes.add(size)
            digest.update(content)
    if problems:
        more = f" ({len(problems) - 1} more files of {len(files)} have problems)" if len(problems) > 1 else ""
        raise DataError(problems[0] + more)
    return sizes, digest.hexdigest()


def _check(file: CropFile) -> tuple[tuple[int, int], bytes]:
    """Size (H, W) of one image and a digest of all that is known about it."""
    content = read_bytes(file.path)
    _, height, width = decode_image(content, file.path).shape
    digest = hashlib.sha256(file.key.encode() + b"\0" + hashlib.sha256(content).digest())
    if file.mask is not None:
        mask = read_bytes(file.mask)
        decode_mask(mask, file.mask, (height, width))
        digest.update(b"mask" + mask)
    if file.keypoints is not None:
        digest.update(b"keypoints" + file.keypoints.numpy().tobytes())
    return (height, width), digest.digest()


def _mask_of(file: CropFile, size: tuple[int, int]) -> Tensor:
    if file.mask is None:
        return torch.zeros(size, dtype=torch.bool)
    return decode_mask(read_bytes(file.mask), file.mask, size)


def _size_note(others: set[tuple[int, int]], size: tuple[int, int]) -> tuple[str, ...]:
    """A note when files were resized; aspect ratios are not kept, as in Market-1501 evaluation."""
    changed = sorted(others - {size})
    if not changed:
        return ()
    shown = listed([f"{h}x{w}" for h, w in changed])
    return (f"images of {shown} (height x width) were resized to {size[0]}x{size[1]}",)
