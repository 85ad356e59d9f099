"""Detection files: everybody in one image as JSON, surfaces beside it (docs/detect.md)."""

import hashlib
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from torch import Tensor

from anonbench.cache import write_atomic, write_text
from anonbench.crops import NO_VERTEX
from anonbench.datasets.images import MAX_PIXELS, read_bytes
from anonbench.detection.file_format import StoredDetections, StoredImage, StoredSurfaces
from anonbench.detection.people import Detector, Person, PersonDetections
from anonbench.detection.stored_people import StoredPersonError, restore_person, store_person
from anonbench.errors import DataError


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
    beside = path.with_suffix(".npz")
    packed = _packed_surfaces(detections)
    stored = StoredDetections(
        version=1,
        image=StoredImage(size=detections.size, name=name, sha256=image_digest(image)),
        people=tuple(store_person(person, detections.size) for person in detections.people),
        template=detections.template,
        detector=detector.name if detector else None,
        detector_digest=detector.digest if detector else None,
        surfaces=StoredSurfaces(file=beside.name, sha256=_sha256(packed)) if packed else None,
    )
    if packed:
        write_atomic(beside, lambda part: _write_bytes(part, packed))
    write_text(path, stored.model_dump_json(exclude_none=True) + "\n")
    if not packed:
        beside.unlink(missing_ok=True)


def read_detections(path: Path, image: Tensor | None = None) -> PersonDetections:
    """The people in a detection file.

    image: uint8 (3, H, W), the one that is at hand. Raises DataError naming file and key when the file
    breaks its format, and naming both sizes or digests when it was made from another image.
    """
    stored = _parsed(path)
    _check_image(path, stored.image, image)
    surfaces = _read_surfaces(path, stored)
    people = [_person(path, stored, i, surfaces.get(i)) for i in range(len(stored.people))]
    return PersonDetections(stored.image.size, tuple(people), stored.template)


def detector_of(path: Path) -> str | None:
    """Digest of the detector that wrote a detection file; none where it was written by hand. Raises DataError."""
    return _parsed(path).detector_digest


def _parsed(path: Path) -> StoredDetections:
    try:
        return StoredDetections.model_validate_json(read_bytes(path))
    except ValidationError as error:
        raise _explained(path, error) from error


def _person(path: Path, stored: StoredDetections, index: int, surface: NDArray[Any] | None) -> Person:
    try:
        return restore_person(stored.people[index], surface, stored.image.size, stored.template)
    except StoredPersonError as error:
        raise DataError(f"{path}: key 'people.{index}.{error.key}': {error.what}") from error


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
    if stored.surfaces.sha256 not in (None, _sha256(content)):
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


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
