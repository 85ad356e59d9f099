"""The detections of a clip's frames, on disk while they are needed: masks and surfaces of an hour fill no memory."""

import json
import tempfile
import zlib
from functools import lru_cache

import torch
from safetensors.torch import load, save
from torch import Tensor

from anonbench.detection.people import Person, PersonDetections, Window

KEPT_FRAMES = 16
"""Frames whose detections stay in memory: missing frames in a row borrow from the same one."""


def pack(detections: PersonDetections) -> bytes:
    """Detections as bytes, to be kept or sent to another process; `unpack` makes the same of them again."""
    known = {
        "size": detections.size,
        "template": detections.template,
        "people": [
            {
                "box": p.box,
                "score": p.score,
                "window": (p.window.top, p.window.left, p.window.bottom, p.window.right),
            }
            for p in detections.people
        ],
    }
    tensors = {"known": _text(json.dumps(known))}
    for i, person in enumerate(detections.people):
        tensors |= {
            f"mask/{i}": person.mask.contiguous(),
            f"surface/{i}": person.surface.contiguous(),
            f"keypoints/{i}": person.keypoints.contiguous(),
        }
    return zlib.compress(save(tensors), level=1)


def unpack(content: bytes) -> PersonDetections:
    """The detections in what `pack` returned."""
    tensors = load(zlib.decompress(content))
    known = json.loads(bytes(tensors["known"].tolist()))
    people = tuple(
        Person(
            box=tuple(person["box"]),
            score=person["score"],
            window=Window(*person["window"]),
            mask=tensors[f"mask/{i}"],
            surface=tensors[f"surface/{i}"],
            keypoints=tensors[f"keypoints/{i}"],
        )
        for i, person in enumerate(known["people"])
    )
    return PersonDetections(tuple(known["size"]), people, known["template"])


class DetectionStore:
    """Packed detections by frame, in a temporary file that goes with the process."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the store is used
        self._ends = [0]
        self._load = lru_cache(KEPT_FRAMES)(self._read)

    def __len__(self) -> int:
        return len(self._ends) - 1

    def append(self, packed: bytes) -> None:
        """Add the detections of the next frame."""
        self._file.seek(self._ends[-1])
        self._file.write(packed)
        self._ends.append(self._ends[-1] + len(packed))

    def __getitem__(self, frame: int) -> PersonDetections:
        return self._load(frame)

    def _read(self, frame: int) -> PersonDetections:
        start, end = self._ends[frame], self._ends[frame + 1]
        self._file.seek(start)
        return unpack(self._file.read(end - start))


def _text(text: str) -> Tensor:
    return torch.tensor(list(text.encode()), dtype=torch.uint8)
