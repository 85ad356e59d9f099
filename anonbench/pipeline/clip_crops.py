"""Tracked people of a real clip as crops, with estimated optical flow: a `ClipDataset`."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from anonbench.cache import cache_dir, write_atomic, write_text
from anonbench.crops import UNKNOWN_ID, Outcome, PersonCrops
from anonbench.detection.cropping import crop_people
from anonbench.detection.detectors import NamedDetector
from anonbench.errors import CacheError, DataError
from anonbench.pipeline.clips import Clip, Frame, open_clip
from anonbench.pipeline.optical_flow import backward_flow
from anonbench.pipeline.track import TrackSettings
from anonbench.pipeline.tracks import DEFAULTS, ClipTracks, track_clip
from anonbench.progress import track_speed

VERSION = 1
"""Raise it whenever sampling, tracking or cropping give other crops: it is part of every digest."""

MOMENTS_PER_SECOND = Fraction(10)
"""Clips are sampled by time, not by frame: equal scenes score alike at 24 and at 60 frames a second."""

EARLY = Fraction(1, 4)
"""A frame that comes before a moment by up to this share of the time between moments is taken for it."""

CHUNK = 64
"""Crops in one file."""

TENSORS = ("image", "person_mask", "surface", "keypoints", "outcome")
INDEX = "crops.json"


class ClipCrops:
    """Everybody who is followed in a clip, at each moment at which they are covered: a `ClipDataset`.

    The clip is read twice, to follow people and to cut them out, when a crop is first asked for; the crops
    are kept in the cache. path: a video or a folder of frames. size: (H, W) of the crops.

    Raises DataError where there is no clip and, when it is read, where nobody is found in it.
    """

    flow_source = "dis"

    def __init__(
        self, path: Path, detector: NamedDetector, size: tuple[int, int], settings: TrackSettings = DEFAULTS
    ) -> None:
        detector.require()
        self.name = f"video/{path.resolve().name}"
        self.size = size
        self._clip = open_clip(path)
        self._detector = detector
        self._settings = settings
        self._rate = min(MOMENTS_PER_SECOND, self._clip.format.frame_rate)
        self.frame_rate = float(self._rate)

    @cached_property
    def digest(self) -> str:
        """sha256 of the clip's bytes and of all that decides what is cut out of it."""
        settings = self._settings
        tracks = [settings.every, settings.patience, settings.hold]  # not the workers: they change nothing
        content = [VERSION, _content_digest(self._clip.path), self._detector.digest, tracks]
        return hashlib.sha256(json.dumps([*content, *self.size, str(self._rate)]).encode()).hexdigest()

    @cached_property
    def samples(self) -> pd.DataFrame:
        """One row per crop (`ClipDataset.samples`), ordered by moment. Who people truly are is not known."""
        rows = pd.DataFrame(self._index["crops"], columns=["key", "clip", "frame"])
        return rows.assign(person_id=UNKNOWN_ID, camera_id=UNKNOWN_ID, role="")

    @property
    def notes(self) -> tuple[str, ...]:
        """What the clip is and how it was sampled."""
        return (str(self._index["note"]),)

    def __len__(self) -> int:
        return len(self._index["crops"])

    def prepare(self, progress: bool = True) -> None:
        """Follow and cut out everybody, unless the cache holds them. Bars appear on stderr."""
        if not (self._folder / INDEX).exists():
            self._make()

    def load(self, indices: Sequence[int]) -> PersonCrops:
        """The crops at these positions, in this order. Raises CacheError for a damaged cache file."""
        keys = self.samples["key"]  # makes the crops where the cache lacks them
        positions = [int(index) for index in indices]
        chunks = {number: self._read(number) for number in sorted({p // CHUNK for p in positions})}
        rows = [(chunks[p // CHUNK], p % CHUNK) for p in positions]
        image, person_mask, surface, keypoints, outcome = (
            torch.stack([chunk[name][row] for chunk, row in rows]) for name in TENSORS
        )
        unknown = torch.full((len(positions),), UNKNOWN_ID, dtype=torch.int64)
        names = tuple(keys.iloc[positions])
        return PersonCrops(image, person_mask, surface, keypoints, unknown, unknown, outcome, names)

    def flow(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Flow by OpenCV's DIS from crop to crop; valid where it leads there and back (`ClipDataset.flow`)."""
        flow = torch.zeros(len(indices), 2, *self.size)
        valid = torch.zeros(len(indices), 1, *self.size, dtype=torch.bool)
        rows = self.samples.iloc[list(indices)]
        before = [self._position.get((c, f - 1)) for c, f in zip(rows["clip"], rows["frame"], strict=True)]
        known = [k for k, position in enumerate(before) if position is not None]
        if known:
            now = self.load([indices[k] for k in known])
            earlier = self.load([position for position in before if position is not None])
            flow[known], valid[known] = backward_flow(now.image, earlier.image)
        return flow, valid

    @cached_property
    def _position(self) -> dict[tuple[int, int], int]:
        """Where the crop of each (clip, frame) stands."""
        moments = zip(self.samples["clip"], self.samples["frame"], strict=True)
        return {moment: i for i, moment in enumerate(moments)}

    @property
    def _folder(self) -> Path:
        return cache_dir() / "clips" / self.digest

    @cached_property
    def _index(self) -> dict[str, Any]:
        self.prepare()
        found: dict[str, Any] = json.loads((self._folder / INDEX).read_text())
        return found

    def _make(self) -> None:
        """Write the crops in chunks, and last the index: where it is, the crops are."""
        tracks = track_clip(
            (frame for _, frame in sampled(self._clip, self._rate)), self._detector, self._settings
        )
        rows: list[tuple[str, int, int]] = []
        waiting: list[PersonCrops] = []
        chunks = 0
        for crops, new in self._cut_out(tracks):
            rows += new
            waiting.append(crops)
            while sum(map(len, waiting)) >= CHUNK:
                joined = PersonCrops.concatenate(waiting)
                self._write(joined.select(range(CHUNK)), chunks)
                waiting = [joined.select(range(CHUNK, len(joined)))]
                chunks += 1
        if not rows:
            raise DataError(f"{self._clip.path}: nobody is found in it; there is nothing to measure")
        if sum(map(len, waiting)):
            self._write(PersonCrops.concatenate(waiting), chunks)
        write_text(self._folder / INDEX, json.dumps({"note": self._note(tracks), "crops": rows}))

    def _watched(self) -> Iterator[Frame]:
        """The sampled frames, with a bar: detection takes most of the time."""
        layout = self._clip.format
        moments = round(layout.length / layout.frame_rate * self._rate) if layout.length else None
        text = f"following people in {self._clip.path.name}"
        for _, frame in track_speed(sampled(self._clip, self._rate), text, moments, "moments"):
            yield frame

    def _cut_out(self, tracks: ClipTracks) -> Iterator[tuple[PersonCrops, list[tuple[str, int, int]]]]:
        """The crops of one moment after the other, with a row (key, clip, frame) for each of them."""
        for position, (moment, frame) in enumerate(sampled(self._clip, self._rate)):
            found, ids = tracks.frame(position)
            seen = [k for k, person in enumerate(found.people) if person.outcome != Outcome.NONE]
            if not seen:
                continue
            rows = [(f"{ids[k]:04d}_{moment:06d}", ids[k], moment) for k in seen]
            people = found.with_people([found.people[k] for k in seen])
            keys = [key for key, _, _ in rows]
            yield crop_people(frame.image, people, self.size, keys, cover_all=True)[0], rows

    def _note(self, tracks: ClipTracks) -> str:
        height, width = self._clip.format.size
        return (
            f"{width}x{height}, {float(self._clip.format.frame_rate):.4g} frames/s, sampled at "
            f"{self.frame_rate:.4g} moments/s: {len(tracks)} moments, {len(tracks.tracks)} tracks; people found by "
            f"{self._detector.name}, so nobody whom it misses counts"
        )

    def _write(self, crops: PersonCrops, number: int) -> None:
        tensors = {name: getattr(crops, name).contiguous() for name in TENSORS}
        write_atomic(self._file(number), lambda path: save_file(tensors, path))

    def _read(self, number: int) -> dict[str, Tensor]:
        file = self._file(number)
        try:
            return load_file(file)
        except (SafetensorError, OSError) as error:
            raise CacheError(f"damaged cache: delete {self._folder}, it is made again ({error})") from error

    def _file(self, number: int) -> Path:
        return self._folder / f"{number:05d}.safetensors"


def sampled(clip: Clip, rate: Fraction) -> Iterator[tuple[int, Frame]]:
    """Number of the moment and frame for the moments of a clip, `rate` a second, as far as it has frames there."""
    last = -1
    for frame in clip.frames():
        moment = int(frame.time * rate + EARLY)
        if moment > last:
            yield moment, frame
            last = moment


def _content_digest(path: Path) -> str:
    """sha256 of a file, or of the names and contents of the files of a folder."""
    digest = hashlib.sha256()
    for file in sorted(p for p in path.iterdir() if p.is_file()) if path.is_dir() else [path]:
        with file.open("rb") as stream:
            digest.update(f"{file.name}\0{hashlib.file_digest(stream, 'sha256').hexdigest()}\0".encode())
    return digest.hexdigest()
