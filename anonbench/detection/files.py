"""Detection files: everybody in one image as JSON, surfaces beside it (docs/detect.md)."""

import hashlib
import zipfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from torch import Tensor

from anonbench.cache import write_atomic, write_text
from anonbench.crops import NO_VERTEX, PACKAGED_TEMPLATE, Outcome
from anonbench.datasets.images import MAX_PIXELS, read_bytes
from anonbench.detection import coco_masks
from anonbench.detection.file_format import (
    StoredDetections,
    StoredImage,
    StoredPerson,
    StoredRLE,
    StoredSurfaces,
)
from anonbench.detection.people import Detector, Person, PersonDetections, Window
from anonbench.errors import DataError
from anonbench.template import VERTICES

TEMPLATE_VERTICES = {PACKAGED_TEMPLATE: VERTICES, "smpl_27554": 27_554}
"""Number of vertices of the body templates that are known here; of others no id is out of range."""


def image_digest(image: Tensor) -> str:
    """sha256 (hex) of an image's pixels, uint8 (3, H, W): of its (H, W, 3) bytes, row by row."""
    return hashlib.sha256(image.permute(1, 2, 0).contiguous().numpy().data).hexdigest()


def write_detections(
    path: Path, detections: PersonDetections, image: Tensor, name: str = "", detector: Detector | None = None
) -> None:
    """Write `path`, NAME.json, and NAME.npz beside it where somebody has a surface.

    image: uint8 (3, H, W), the one that `detections` are of; name: what the reader should know it by.
    Both files appear whole. The JSON holds the digest of the other and comes last, so a run that is killed
    in between leaves nothing that could be read as a pair. Raises CacheError when they cannot be written.
    """
    surfaces = path.with_suffix(".npz")
    packed = _packed_surfaces(detections)
    stored = StoredDetections(
        version=1,
        image=StoredImage(size=detections.size, name=name, sha256=image_digest(image)),
        people=tuple(_stored(person, detections.size) for person in detections.people),
        template=detections.template,
        detector=detector.name if detector else None,
        detector_digest=detector.digest if detector else None,
        surfaces=StoredSurfaces(file=surfaces.name, sha256=hashlib.sha256(packed).hexdigest())
        if packed
        else None,
    )
    if packed:
        write_atomic(surfaces, lambda part: _write_bytes(part, packed))
    write_text(path, stored.model_dump_json(exclude_none=True) + "\n")
    if not packed:
        surfaces.unlink(missing_ok=True)


def read_detections(path: Path, image: Tensor | None = None) -> PersonDetections:
    """The people in a detection file.

    image: uint8 (3, H, W), the one that is at hand. Raises DataError naming file and key when the file
    breaks its format, and naming both sizes or digests when it was made from another image.
    """
    stored = _parsed(path)
    _check_image(path, stored.image, image)
    surfaces = _read_surfaces(path, stored)
    people = [_PersonReader(path, i, stored).read(surfaces.get(i)) for i in range(len(stored.people))]
    return PersonDetections(stored.image.size, tuple(people), stored.template)


def detector_of(path: Path) -> str | None:
    """Digest of the detector that wrote a detection file; none where it was written by hand. Raises DataError."""
    return _parsed(path).detector_digest


def _parsed(path: Path) -> StoredDetections:
    try:
        return StoredDetections.model_validate_json(read_bytes(path))
    except ValidationError as error:
        raise _explained(path, error) from error


def _stored(person: Person, size: tuple[int, int]) -> StoredPerson:
    whole = torch.zeros(size, dtype=torch.bool)
    whole[person.window.slices] = person.mask
    window = person.window
    return StoredPerson(
        box=person.box,
        score=person.score,
        outcome=person.outcome.name.lower(),  # type: ignore[arg-type]  # the names of `Outcome`
        mask=StoredRLE(size=size, counts=coco_masks.encode(whole)),
        window=(window.top, window.left, window.bottom, window.right),
        keypoints=_shortest(person.keypoints) if person.keypoints.any() else None,
    )


def _shortest(keypoints: Tensor) -> tuple[tuple[float, float, float], ...]:
    """The shortest decimal numbers that read back as the same float32 values."""
    return tuple((float(str(x)), float(str(y)), float(str(v))) for x, y, v in keypoints.numpy())


def _packed_surfaces(detections: PersonDetections) -> bytes:
    """The surfaces as .npz, equal bytes for equal surfaces; empty without any."""
    surfaces = {
        str(i): person.surface.numpy()
        for i, person in enumerate(detections.people)
        if (person.surface != NO_VERTEX).any()
    }
    if not surfaces:
        return b""
    content = BytesIO()
    np.savez_compressed(content, **surfaces)
    return content.getvalue()


def _write_bytes(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _explained(path: Path, error: ValidationError) -> DataError:
    first = error.errors()[0]
    key = ".".join(map(str, first["loc"]))
    reason = "unknown key; remove it" if first["type"] == "extra_forbidden" else first["msg"]
    where = f"{path}: key '{key}'" if key else str(path)
    return DataError(f"{where}: {reason}; docs/detect.md describes the format")


def _check_image(path: Path, stored: StoredImage, image: Tensor | None) -> None:
    """Raise DataError when the file was made from another image, or is of one that nobody can have."""
    if stored.size[0] * stored.size[1] > MAX_PIXELS:
        raise DataError(f"{path}: key 'image.size': more than {MAX_PIXELS // 1_000_000} million pixels")
    if image is None:
        return
    of, name = (image.shape[1], image.shape[2]), f" ('{stored.name}')" if stored.name else ""
    if stored.size != of:
        raise DataError(
            f"{path}: detections of an image of {stored.size[0]}x{stored.size[1]}{name}, but this one is "
            f"{of[0]}x{of[1]} (height x width); detect it again"
        )
    found = image_digest(image)
    if stored.sha256 and stored.sha256 != found:
        raise DataError(
            f"{path}: detections of an image with sha256 {stored.sha256[:12]}{name}, but the pixels of this one "
            f"have {found[:12]}; detect it again"
        )


def _read_surfaces(path: Path, stored: StoredDetections) -> dict[int, NDArray[Any]]:
    """The arrays of the .npz, by person; nothing is unpacked that is larger than the image."""
    if stored.surfaces is None:
        return {}
    beside = path.with_name(stored.surfaces.file)
    content = read_bytes(beside)
    if stored.surfaces.sha256 not in (None, hashlib.sha256(content).hexdigest()):
        raise DataError(
            f"{beside}: not the surfaces that {path.name} was written with; detect the image again"
        )
    limit = 8 * stored.image.size[0] * stored.image.size[1] + 1024
    try:
        with np.load(BytesIO(content), allow_pickle=False) as arrays:
            if any(entry.file_size > limit for entry in arrays.zip.infolist()):
                raise DataError(f"{beside}: a surface is larger than its image; write the file again")
            found = {name: arrays[name] for name in arrays.files}
    except (ValueError, OSError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{beside}: not an .npz of surfaces ({error}); docs/detect.md describes it"
        ) from error
    strange = sorted(found.keys() - {str(i) for i in range(len(stored.people))})
    if strange:
        raise DataError(f"{beside}: array '{strange[0]}' is of none of the {len(stored.people)} people")
    return {int(name): values for name, values in found.items()}


@dataclass(frozen=True)
class _PersonReader:
    """One person of a file: checks what the schema cannot, and names the key of what is wrong."""

    path: Path
    index: int
    file: StoredDetections

    @property
    def _stored(self) -> StoredPerson:
        return self.file.people[self.index]

    def read(self, surface: NDArray[Any] | None) -> Person:
        mask = self._mask()
        window = self._window(mask)
        keypoints = self._stored.keypoints
        if keypoints and not (self._stored.mask or self._stored.polygons):
            raise self._wrong("keypoints", "need a mask; add one, or remove them to have the box blurred")
        bounds = (float(window.left), float(window.top), float(window.right), float(window.bottom))
        person = Person(
            box=self._stored.box or bounds,
            score=self._stored.score,
            window=window,
            mask=mask[window.slices].clone(),
            surface=self._surface(surface, window),
            keypoints=torch.tensor(keypoints) if keypoints else torch.zeros(17, 3),
        )
        said = self._stored.outcome
        if said and Outcome[said.upper()] != person.outcome:
            raise self._wrong(
                "outcome", f"says {said}, the person has {person.outcome.name.lower()}; remove it"
            )
        return person

    def _mask(self) -> Tensor:
        """bool (H, W)."""
        size, stored = self.file.image.size, self._stored
        if stored.mask and stored.mask.size != size:
            raise self._wrong("mask.size", f"{stored.mask.size}, but the image is {size} (height, width)")
        try:
            if stored.mask:
                return coco_masks.decode(stored.mask.counts, size)
            if stored.polygons:
                return coco_masks.fill_polygons(stored.polygons, size)
        except ValueError as error:
            raise self._wrong("mask.counts" if stored.mask else "polygons", str(error)) from error
        mask = torch.zeros(size, dtype=torch.bool)
        mask[self._box_window().slices] = True
        return mask

    def _window(self, mask: Tensor) -> Window:
        """What the file says, else the bounds of the mask, else of the box."""
        person = Person.of_mask(mask, 1.0)
        if self._stored.window is None:
            return person.window if person else self._box_window()
        try:
            window = Window(*self._stored.window)
        except ValueError as error:
            raise self._wrong("window", "must be top, left, bottom, right of at least one pixel") from error
        if window.overlap(Window(0, 0, *self.file.image.size)) != window:
            raise self._wrong("window", "leaves the image")
        if person and window.overlap(person.window) != person.window:
            raise self._wrong("window", "does not hold the mask")
        return window

    def _box_window(self) -> Window:
        """The whole pixels that the box touches."""
        if self._stored.box is None:
            raise self._wrong("mask", "missing; a person needs one of mask, polygons and box")
        (h, w), (x0, y0, x1, y1) = self.file.image.size, self._stored.box
        top, left, bottom, right = (
            max(0, int(y0)),
            max(0, int(x0)),
            min(h, -int(-y1 // 1)),
            min(w, -int(-x1 // 1)),
        )
        if bottom <= top or right <= left:
            raise self._wrong("box", "must be x0, y0, x1, y1 of a box inside the image")
        return Window(top, left, bottom, right)

    def _surface(self, surface: NDArray[Any] | None, window: Window) -> Tensor:
        if surface is None:
            return torch.full(window.size, NO_VERTEX, dtype=torch.int32)
        if surface.shape != window.size or not np.issubdtype(surface.dtype, np.integer):
            raise self._wrong(
                "surface",
                f"must be integers of the shape {window.size}, found {surface.dtype} {surface.shape}",
            )
        vertices = TEMPLATE_VERTICES.get(self.file.template, 2**31)
        low, high = int(surface.min()), int(surface.max())
        if low < NO_VERTEX or high >= vertices:
            worst = low if low < NO_VERTEX else high
            raise self._wrong(
                "surface", f"vertex {worst}, but '{self.file.template}' has 0 to {vertices - 1}; -1 is none"
            )
        return torch.from_numpy(surface.astype(np.int32))

    def _wrong(self, key: str, what: str) -> DataError:
        return DataError(f"{self.path}: key 'people.{self.index}.{key}': {what}")
