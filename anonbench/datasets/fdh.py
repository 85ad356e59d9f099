"""FDH (Hukkelås & Lindseth, WACV 2023) and every data set in its shard layout, as crops."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from pydantic import Field

from anonbench.cards import Strict, read_card
from anonbench.crops import PACKAGED_TEMPLATE, UNKNOWN_ID, Outcome, PersonCrops, resize
from anonbench.datasets.fdh_format import READ_MEMBERS, Sample, decode
from anonbench.datasets.shard_index import ShardIndex, index_shards
from anonbench.datasets.smpl_template import NAME as SMPL
from anonbench.datasets.smpl_template import smpl_template
from anonbench.errors import DataError
from anonbench.progress import track
from anonbench.template import SurfaceTemplate, body_template

SPLITS = ("train", "val")
MANIFEST = "dataset.json"
SHARD = re.compile(r"out-(\d{6})\.tar")


class Manifest(Strict):
    """What anonbench says beside shards that it writes. FDH itself has no such file."""

    format: int = Field(default=1, ge=1, le=1, description="version of this layout")
    template: str = Field(description="body template of the vertex ids")
    size: tuple[int, int] = Field(description="(H, W) of the crops in pixels")
    count: int = Field(ge=1, description="crops in all shards together")
    per_shard: int = Field(ge=1, description="crops in each shard but the last")
    source: str = Field(description="the data set that was written")
    source_digest: str = Field(pattern=r"^[0-9a-f]{64}$", description="what determines its content")


class FDHDataset:
    """The crops in ROOT/SPLIT/out-000000.tar and following, a `CropDataset` with random access.

    root: folder of the data set. split: "train" or "val". size: (H, W) to resize to; None: as stored. The
    person mask then covers every pixel with any of the person's colour, as in FDH's own smaller versions.
    count: the first crops only; None: all.

    Vertex ids refer to `template`: SMPL's, from `embed_map.torch` in ROOT, or the one that the manifest beside
    the shards names. The tar headers are read once and then kept in the cache; files are opened for each
    crop, so worker processes may share a data set. Identities are not part of the layout.

    Raises DataError, naming shard and key, for whatever is missing or damaged.
    """

    def __init__(
        self, root: Path, split: str = "train", size: tuple[int, int] | None = None, count: int | None = None
    ) -> None:
        folder = Path(root) / split
        shards = _shards(folder)
        manifest = read_card(folder / MANIFEST, Manifest) if (folder / MANIFEST).exists() else None
        self.name = f"fdh/{split}"
        self.template = _template(Path(root), folder, manifest)
        self._index = index_shards(shards, READ_MEMBERS)
        _require_complete(folder, self._index, manifest)
        self._stored_size = self._read(0).size
        self.size = size or self._stored_size
        keys = self._index.keys.iloc[:count]
        self.samples = pd.DataFrame(
            {
                "key": keys,
                "person_id": UNKNOWN_ID,
                "camera_id": UNKNOWN_ID,
                "role": "train" * (split == "train"),
            }
        )
        self.notes = _notes(shards, self._index, manifest, len(keys), self._stored_size, self.size)
        made = manifest.digest if manifest else self.template.name
        content = f"{self.name} {made} {self._index.digest} {len(keys)} {self.size}"
        self.digest = hashlib.sha256(content.encode()).hexdigest()

    def __len__(self) -> int:
        """Number of crops."""
        return len(self.samples)

    def load(self, indices: Sequence[int]) -> PersonCrops:
        """The crops at `indices`, in that order, at `size`. Raises IndexError for positions outside the set."""
        rows = [int(index) for index in indices]
        if not rows:
            raise ValueError(f"{self.name}: load needs at least one index")
        if min(rows) < 0 or max(rows) >= len(self):
            raise IndexError(f"{self.name} has {len(self)} samples, asked for {min(rows)}..{max(rows)}")
        samples = [self._read_fitting(row) for row in rows]
        unknown = torch.full((len(rows),), UNKNOWN_ID, dtype=torch.int64)
        crops = PersonCrops(
            image=torch.from_numpy(np.stack([sample.image for sample in samples])),
            person_mask=torch.from_numpy(np.stack([sample.person_mask for sample in samples])[:, None]),
            surface=torch.from_numpy(np.stack([sample.surface for sample in samples])),
            keypoints=torch.from_numpy(np.stack([sample.keypoints for sample in samples])),
            person_id=unknown,
            camera_id=unknown,
            outcome=torch.full((len(rows),), int(Outcome.SURFACE)),
            key=tuple(self._index.keys.iloc[rows]),
            template=self.template.name,
        )
        return resize(crops, self.size, cover_all=True)

    def verify(self) -> None:
        """Read and decode every crop. Raises DataError for the first that is damaged."""
        for row in track(range(len(self)), f"checking {self.name}", len(self)):
            self._read_fitting(row)

    def _read(self, row: int) -> Sample:
        return decode(self._index.read(row), self._index.place(row), len(self.template.embedding))

    def _read_fitting(self, row: int) -> Sample:
        sample = self._read(row)
        if sample.size != self._stored_size:
            (h, w), (first_h, first_w) = sample.size, self._stored_size
            raise DataError(
                f"{self._index.place(row)}: the crop is {h}x{w}, the first one {first_h}x{first_w} "
                "(height x width); all crops of a data set have one size"
            )
        return sample


def _shards(folder: Path) -> list[Path]:
    """The shards of a split by number."""
    found = sorted(folder.glob("*.tar")) if folder.is_dir() else []
    if not found:
        what = "holds no shards" if folder.is_dir() else "no such folder"
        raise DataError(
            f"{folder}: {what}; FDH keeps them in train/ and val/, named out-000000.tar and so on"
        )
    wrong = [path for path in found if not SHARD.fullmatch(path.name)]
    if wrong:
        raise DataError(f"{wrong[0]}: shards are named out-000000.tar and so on; rename or remove it")
    return found


def _template(root: Path, folder: Path, manifest: Manifest | None) -> SurfaceTemplate:
    name = manifest.template if manifest else SMPL
    if name == PACKAGED_TEMPLATE:
        return body_template()
    if name == SMPL:
        return smpl_template(root)
    raise DataError(f"{folder / MANIFEST}: unknown body template '{name}'; update anonbench")


def _require_complete(folder: Path, index: ShardIndex, manifest: Manifest | None) -> None:
    if manifest and len(index) != manifest.count:
        raise DataError(
            f"{folder}: {len(index)} of {manifest.count} crops; write the rest with the command that began it"
        )


def _notes(
    shards: Sequence[Path],
    index: ShardIndex,
    manifest: Manifest | None,
    count: int,
    stored: tuple[int, int],
    size: tuple[int, int],
) -> tuple[str, ...]:
    """What a reader of a record must know."""
    notes = [f"shards of {manifest.source}"] if manifest else []
    expected = int(shards[-1].stem.removeprefix("out-")) + 1
    if len(shards) != expected:
        notes.append(f"{len(shards)} of {expected} shards")
    if count != len(index):
        notes.append(f"the first {count} of {len(index)} crops")
    if stored != size:
        notes.append(f"crops of {stored[0]}x{stored[1]} (height x width) were resized to {size[0]}x{size[1]}")
    return tuple(notes)
