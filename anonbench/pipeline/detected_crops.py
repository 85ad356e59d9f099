"""People found in images, as a data set of crops (thesis section 4.3.2)."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from typing import NamedTuple

import pandas as pd

from anonbench.crops import PACKAGED_TEMPLATE, UNKNOWN_ID, Outcome, PersonCrops
from anonbench.detection.cropping import CROP_SIZE, crop_people, crop_window
from anonbench.detection.detectors import NamedDetector
from anonbench.detection.files import image_digest
from anonbench.detection.people import Person, PersonDetections, Window
from anonbench.errors import DataError
from anonbench.pipeline.clips import Frame
from anonbench.pipeline.detection_store import unpack
from anonbench.pipeline.frame_detection import detect_packed
from anonbench.pipeline.sources import ImageSource
from anonbench.progress import track_speed

KEPT = ""
"""`reason` of a person who becomes a crop."""

REASONS = {
    "no surface": "a mask, but no surface to train on",
    "too small": "the crop would be enlarged too much",
    "cut": "too much of the crop lies beyond the image",
}
"""Why people are dropped, in the order of the checks."""


@dataclass(frozen=True)
class CropRules:
    """Who becomes a crop.

    min_height: pixels of the image that the height of the crop shows, at least; from fewer it would be enlarged.
    max_outside: share of the crop that may lie beyond the image, where edge pixels are repeated.
    """

    min_height: int = 72
    max_outside: float = 0.25

    def reason_to_drop(self, person: Person, size: tuple[int, int]) -> str:
        """One of REASONS, or KEPT, for a person in an image of `size`."""
        window = crop_window(person)
        if person.outcome != Outcome.SURFACE:
            return "no surface"
        if window.size[0] < self.min_height:
            return "too small"
        inside = window.overlap(Window(0, 0, *size))
        share = inside.size[0] * inside.size[1] / (window.size[0] * window.size[1]) if inside else 0.0
        return KEPT if 1 - share <= self.max_outside else "cut"


@dataclass(frozen=True)
class Found:
    """Everybody in the images of a source.

    images: one row per image: name, sha256 of its pixels. people: one row per person: image (name), person
    (position in the detections), key of the crop, reason (KEPT or one of REASONS).
    """

    images: pd.DataFrame
    people: pd.DataFrame

    @property
    def kept(self) -> pd.DataFrame:
        """The people who become crops."""
        return self.people[self.people["reason"] == KEPT].reset_index(drop=True)

    def part(self, images: "pd.Series[bool]") -> "Found":
        """What was found in some of the images."""
        chosen = self.images[images].reset_index(drop=True)
        return Found(chosen, self.people[self.people["image"].isin(chosen["name"])].reset_index(drop=True))


def find_people(source: ImageSource, detector: NamedDetector, rules: CropRules, workers: int = 1) -> Found:
    """Run the detector over all images, keeping none of them. workers: processes that detect."""
    images: list[dict[str, str]] = []
    people: list[dict[str, object]] = []

    def frames() -> Iterator[Frame]:
        for name, image in source.images():
            images.append({"name": name, "sha256": image_digest(image)})
            yield Frame(image, Fraction(0), name)

    detections = detect_packed(frames(), detector, workers=workers)
    description = f"finding people in {source.name}"
    for number, packed in enumerate(track_speed(detections, description, source.count, "images")):
        name, found = images[number]["name"], _of_packaged_template(unpack(packed), images[number]["name"])
        people += [
            {
                "image": name,
                "person": position,
                "key": crop_key(name, position),
                "reason": rules.reason_to_drop(person, found.size),
            }
            for position, person in enumerate(found.people)
        ]
    return Found(
        pd.DataFrame(images, columns=["name", "sha256"]),
        pd.DataFrame(people, columns=["image", "person", "key", "reason"]),
    )


def crop_key(image: str, person: int) -> str:
    """A name for a crop that a shard takes: readable, short, without dots, unlike that of any other image."""
    readable = "".join(c if c.isascii() and c.isalnum() else "_" for c in image.rsplit(".", 1)[0])[-40:]
    return f"{readable}-{hashlib.sha256(image.encode()).hexdigest()[:8]}-{person}"


class _Place(NamedTuple):
    """Where a crop comes from."""

    image: str
    person: int
    key: str


class DetectedCrops:
    """The people kept from a source, a `CropDataset`.

    Every crop is cut out anew when it is asked for: an image is read, and its detections come from the
    detector's cache. name: what records call it.
    """

    notes: tuple[str, ...] = ()
    size = CROP_SIZE

    def __init__(self, name: str, source: ImageSource, detector: NamedDetector, found: Found) -> None:
        self.name = name
        self._source = source
        self._detector = detector
        kept = found.kept
        self._people = [_Place(*row) for row in zip(kept["image"], kept["person"], kept["key"], strict=True)]
        self.samples = pd.DataFrame(
            {
                "key": kept["key"],
                "person_id": UNKNOWN_ID,
                "camera_id": UNKNOWN_ID,
                "role": "",
            }
        )
        content = [name, detector.digest, *found.images["sha256"], *kept["key"]]
        self.digest = hashlib.sha256("\n".join(content).encode()).hexdigest()

    def __len__(self) -> int:
        return len(self._people)

    def load(self, indices: Sequence[int]) -> PersonCrops:
        """The crops at these positions, in this order. Masks cover every pixel with any of the person's colour."""
        places = [self._people[int(index)] for index in indices]
        crops = [self._crops(name, list(group)) for name, group in groupby(places, lambda place: place.image)]
        return PersonCrops.concatenate(crops)

    def _crops(self, name: str, places: Sequence[_Place]) -> PersonCrops:
        """Crops of one image."""
        image = self._source.read(name)
        found = self._detector.detect(image, name)
        chosen = found.with_people([found.people[place.person] for place in places])
        return crop_people(image, chosen, self.size, [place.key for place in places], cover_all=True)[0]


def _of_packaged_template(found: PersonDetections, name: str) -> PersonDetections:
    """What was found. Raises DataError for surfaces of another template, which shards could not say of some crops."""
    if found.template != PACKAGED_TEMPLATE:
        raise DataError(
            f"{name}: its surfaces are of the body template '{found.template}', shards are built with "
            f"'{PACKAGED_TEMPLATE}'; detect again with anonbench"
        )
    return found
