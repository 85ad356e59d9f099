"""Who is still to be seen in anonymized photos and videos: a second look at what is about to be given away."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from anonbench.datasets.files import listed
from anonbench.detection.cropping import crop_people
from anonbench.detection.detectors import FileDetector, NamedDetector
from anonbench.detection.people import Person, PersonDetections
from anonbench.errors import DataError
from anonbench.pipeline.clips import is_video, open_clip
from anonbench.pipeline.inputs import images_below, read_photo
from anonbench.pipeline.metadata import Metadata, photo_metadata, video_metadata
from anonbench.pipeline.remains import Remains, head_of, remains_of
from anonbench.progress import track

NEW = 0.5
"""Share of somebody in the result that no mask of the original covers, from which on it is somebody else."""

MOST_PICTURES = 60
"""People that are kept for the review sheet."""


@dataclass(frozen=True)
class Pair:
    """An original image and what became of it, both uint8 (3, H, W). name: for reports and detection files."""

    name: str
    original: Tensor
    anonymized: Tensor


@dataclass(frozen=True)
class Finding:
    """One person. place: x0, y0, x1, y1 in pixels. seen_in: "original", or "result" if found there alone.

    body: what is left in the person's mask. head: and where nose, eyes and ears are; none where too small.
    """

    name: str
    place: tuple[float, float, float, float]
    seen_in: str
    body: Remains
    head: Remains | None

    @property
    def visible(self) -> bool:
        """Whether the person, a part of them, or their head was left as it is."""
        return self.body.visible or (self.head is not None and self.head.visible)

    def content(self) -> dict[str, Any]:
        """Everything as JSON."""
        return {
            "image": self.name,
            "box": list(self.place),
            "seen_in": self.seen_in,
            "visible": self.visible,
            "body": asdict(self.body),
            "head": self.head and asdict(self.head),
        }


@dataclass
class Audit:
    """What was found. files: what is left in them beside pixels, by name.

    pictures: of people who are visible, original and result side by side, uint8 (3, h, 2w) each; at most
    `MOST_PICTURES`.
    """

    images: int = 0
    people: list[Finding] = field(default_factory=list)
    files: dict[str, Metadata] = field(default_factory=dict)
    pictures: list[Tensor] = field(default_factory=list)

    @property
    def visible(self) -> list[Finding]:
        """Everybody who was left as they are, wholly or in part."""
        return [person for person in self.people if person.visible]

    @property
    def telling_files(self) -> dict[str, tuple[str, ...]]:
        """Files with metadata that may show or name somebody."""
        return {name: found.telling for name, found in self.files.items() if found.telling}

    def content(self) -> dict[str, Any]:
        """Everything as JSON."""
        return {
            "images": self.images,
            "visible": len(self.visible),
            "people": [person.content() for person in self.people],
            "metadata": {
                name: {"telling": list(found.telling), "harmless": list(found.harmless)}
                for name, found in self.files.items()
                if found.telling or found.harmless
            },
        }


def audit(original: Path, anonymized: Path, detector: NamedDetector, every: int = 1) -> Audit:
    """Look at a photo, a folder of photos or a video and at what it became.

    Everybody whom the detector finds in the original is compared pixel by pixel, and everybody whom it finds
    in the result alone: whoever the detector missed in the original was left as they were.
    Detection files are of the originals alone, so with them there is no second look.
    every: look at each so many frames of a video. Raises DataError where files or frames do not correspond.
    """
    found = Audit()
    if is_video(original):
        found.files[anonymized.name] = video_metadata(anonymized)
        pairs = _frames(original, anonymized, every)
    else:
        names = _photo_names(original, anonymized)
        pairs = _photos(original, anonymized, names, found)
    for pair in pairs:
        if pair.original.shape != pair.anonymized.shape:
            raise DataError(
                f"{pair.name}: the result is {_size(pair.anonymized)} and the original {_size(pair.original)} "
                "(height x width); give the pair as it was written"
            )
        _look_at(pair, detector, found)
    return found


def _look_at(pair: Pair, detector: NamedDetector, found: Audit) -> None:
    before = detector.detect(pair.original, pair.name)
    people = [(person, "original") for person in before.people if person.mask.any()]
    if not isinstance(detector, FileDetector):
        people += [(person, "result") for person in _new(detector.detect(pair.anonymized), before)]
    for person, seen_in in people:
        finding = _compare(pair, person, seen_in)
        found.people.append(finding)
        if finding.visible and len(found.pictures) < MOST_PICTURES:
            found.pictures.append(_side_by_side(pair, before, person))
    found.images += 1


def _compare(pair: Pair, person: Person, seen_in: str) -> Finding:
    head = head_of(person, (pair.original.shape[1], pair.original.shape[2]))
    return Finding(
        name=pair.name,
        place=person.box,
        seen_in=seen_in,
        body=remains_of(person, pair.original, pair.anonymized),
        head=None if head is None else remains_of(head, pair.original, pair.anonymized),
    )


def _new(after: PersonDetections, before: PersonDetections) -> list[Person]:
    """Those who were not found before: their masks lie where nobody's did."""
    free = ~before.mask()
    masked = [person for person in after.people if person.mask.any()]
    return [p for p in masked if int(free[p.window.slices][p.mask].sum()) > NEW * int(p.mask.sum())]


def _photo_names(original: Path, anonymized: Path) -> list[str]:
    """Names of corresponding photos, relative to the two folders; one empty name for two files."""
    if original.is_file() and anonymized.is_file():
        return [""]
    names, results = (set(images_below(folder)[0]) for folder in (original, anonymized))
    for rest, folder in ((names - results, anonymized), (results - names, original)):
        if rest:
            raise DataError(f"{folder}: lacks {len(rest)} of the images: {listed(sorted(rest))}")
    return sorted(names)


def _photos(original: Path, anonymized: Path, names: list[str], found: Audit) -> Iterator[Pair]:
    for name in track(names, "looking", len(names)):
        shown = name or original.name
        found.files[shown] = photo_metadata(anonymized / name)
        yield Pair(shown, read_photo(original / name).image, read_photo(anonymized / name).image)


def _frames(original: Path, anonymized: Path, every: int) -> Iterator[Pair]:
    clips = [open_clip(path) for path in (original, anonymized)]
    pairs = zip_longest(*(clip.frames() for clip in clips))
    for index, (before, after) in enumerate(track(pairs, "looking", clips[0].format.length)):
        if before is None or after is None:
            short = original if before is None else anonymized
            raise DataError(
                f"{short}: ends after {index} frames and the other video goes on; give the whole video"
            )
        if index % every == 0:
            yield Pair(before.name, before.image, after.image)


def _side_by_side(pair: Pair, detections: PersonDetections, person: Person) -> Tensor:
    one = detections.with_people([person])
    crops = [crop_people(image, one)[0].image[0] for image in (pair.original, pair.anonymized)]
    return torch.cat(crops, dim=2)


def _size(image: Tensor) -> str:
    return f"{image.shape[1]}x{image.shape[2]}"
