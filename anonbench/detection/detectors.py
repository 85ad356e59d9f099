"""Detectors by name: backends whose results get surfaces and are kept in the cache, and detection files."""

import hashlib
import json
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from anonbench.cache import cache_dir
from anonbench.crops import Outcome
from anonbench.detection.files import image_digest, read_detections, write_detections
from anonbench.detection.people import Detector, Person, PersonDetections
from anonbench.detection.surface_head import surface_head_digest
from anonbench.detection.surfaces import with_surfaces
from anonbench.errors import DataError, UsageError

BACKENDS = {
    "mediapipe": ("mediapipe_people", "MediapipePeople"),
    "torchvision": ("torchvision_rcnn", "TorchvisionRCNN"),
    "detectron2": ("detectron2_cse", "Detectron2CSE"),
}
"""Module and class of each; imported only when named, since each needs packages of its own."""

DETECTORS = {
    "mediapipe": "OpenCV's HOG people detector and MediaPipe Pose; no downloads; extra 'detect'",
    "torchvision": "Mask R-CNN and Keypoint R-CNN with their official COCO weights",
    "detectron2": "Mask R-CNN and DensePose CSE, if detectron2 and DensePose are installed",
    "file=DIR": "detection files, written by anonbench detect or by you",
}
"""What users may name, and what it is."""


class Backend(Detector, Protocol):
    """A detector of this package."""

    def require(self) -> None:
        """Raise the error that says what to install or where to put it, where something is missing."""
        ...


class NamedDetector(Detector, Protocol):
    """A detector that may be told which image it is shown."""

    def detect(self, image: Tensor, name: str | None = None) -> PersonDetections:
        """Everybody in `image`, uint8 (3, H, W). name: its path below the input, which finds detection files."""
        ...

    def require(self) -> None:
        """Raise the error that says what is missing, before the first image is read."""
        ...


class CachedDetector:
    """A backend, its people completed by surfaces, its results kept in the cache under image and digest.

    An image that this backend has seen before is read from there; its networks are not even loaded.
    min_score: people of whom the backend is less certain are left out, without detecting again.
    """

    def __init__(self, backend: Backend, min_score: float = 0.0) -> None:
        self.name = backend.name
        self._backend = backend
        self._min_score = min_score

    @cached_property
    def digest(self) -> str:
        """sha256 of what decides the result: backend, surface head, least score."""
        return _digest(self._kept_digest, self._min_score)

    def require(self) -> None:
        """Raise UsageError or WeightsError where the backend lacks something."""
        self._backend.require()

    def detect(self, image: Tensor, name: str | None = None) -> PersonDetections:
        """Everybody in `image`, uint8 (3, H, W). Raises CacheError when the cache cannot be written."""
        key = image_digest(image)
        path = cache_dir() / "detections" / self._kept_digest[:16] / key[:2] / f"{key}.json"
        found = _kept(path, image)
        if found is None:
            found = with_surfaces(self._backend.detect(image))
            write_detections(path, found, image, detector=self._backend)
        return _certain(found, self._min_score)

    @cached_property
    def _kept_digest(self) -> str:
        return _digest(self._backend.digest, surface_head_digest())


class FileDetector:
    """Detections that lie in files: those of image NAME in NAME.json below `root`.

    People without a surface get one, where they have a mask and enough keypoints.
    """

    name = "file"

    def __init__(self, root: Path, min_score: float = 0.0) -> None:
        self._root = root
        self._min_score = min_score

    @cached_property
    def digest(self) -> str:
        """sha256 of all files below the folder, of the surface head and of the least score."""
        files = sorted(p for ending in ("json", "npz") for p in self._root.rglob(f"*.{ending}"))
        contents = [[p.relative_to(self._root).as_posix(), _sha256(p.read_bytes())] for p in files]
        return _digest(contents, surface_head_digest(), self._min_score)

    def require(self) -> None:
        """Raise DataError where there is no such folder."""
        if not self._root.is_dir():
            raise DataError(f"{self._root}: no such folder; write detection files with anonbench detect")

    def detect(self, image: Tensor, name: str | None = None) -> PersonDetections:
        """The people in the file of image `name`.

        Raises DataError for no file, since nobody would be anonymized in its image, and for a file that is
        broken or of another image; UsageError for images without names.
        """
        if name is None:
            raise UsageError("file=DIR finds detections by the names of image files, and these have none")
        path = self._root / f"{name}.json"
        if not path.is_file():
            raise DataError(
                f"{path}: no detections of {name}; write them with anonbench detect, with an empty list of "
                "people where nobody is to be anonymized"
            )
        return _certain(with_surfaces(read_detections(path, image)), self._min_score)


def load_detector(spec: str, min_score: float = 0.0) -> NamedDetector:
    """The detector that `spec` names, one of DETECTORS. Networks are loaded when the first image needs them.

    min_score: people with a lower score are left out. It can be pickled, to be sent to other processes.
    Raises UsageError for an unknown name.
    """
    name, _, folder = spec.partition("=")
    if name == "file" and folder:
        return FileDetector(Path(folder), min_score)
    if spec not in BACKENDS:
        raise UsageError(f"unknown detector '{spec}'; there are: {', '.join(DETECTORS)}")
    module, backend = BACKENDS[spec]
    made = getattr(import_module(f"anonbench.detection.{module}"), backend)()
    return CachedDetector(made, min_score)


def main_person(detections: PersonDetections) -> Person | None:
    """The person that covers most of the image: the subject of a person crop. None without anybody."""
    people = [person for person in detections.people if person.outcome != Outcome.NONE]
    return max(people, key=lambda person: int(person.mask.sum()), default=None)


def _certain(detections: PersonDetections, min_score: float) -> PersonDetections:
    return detections.with_people([person for person in detections.people if person.score >= min_score])


def _kept(path: Path, image: Tensor) -> PersonDetections | None:
    """What the cache holds, or none where there is no intact file of this image."""
    try:
        return read_detections(path, image) if path.is_file() else None
    except DataError:
        return None


def _digest(*parts: Any) -> str:
    return _sha256(json.dumps(parts, separators=(",", ":")).encode())


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
