"""Detection files for photos, folders of photos and the frames of a video."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from anonbench.cache import write_atomic
from anonbench.crops import Outcome
from anonbench.detection.detectors import NamedDetector
from anonbench.detection.files import detector_of, read_detections, write_detections
from anonbench.detection.people import PersonDetections
from anonbench.errors import CacheError, DataError
from anonbench.pipeline.clips import is_video, open_clip
from anonbench.pipeline.inputs import read_photo
from anonbench.pipeline.jobs import Job, folder_jobs, require_readable
from anonbench.pipeline.overlays import draw_people
from anonbench.progress import track_speed


@dataclass
class DetectionReport:
    """What was found: people by outcome, and the images in which nobody was."""

    images: int = 0
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    without_people: list[str] = field(default_factory=list)

    def add(self, name: str, found: PersonDetections) -> None:
        """Count one image."""
        self.images += 1
        self.outcomes.update(person.outcome for person in found.people)
        if not len(found):
            self.without_people.append(name)


def detect_images(
    source: Path, out: Path, detector: NamedDetector, overwrite: bool = False, overlay: bool = False
) -> DetectionReport:
    """Write `out`/NAME.json for a photo, for every photo below a folder, NAME its path there, or for a video.

    Frames of a video are named by their numbers, from 000000 on. overlay: also write `out`/NAME.overlay.jpg,
    for the eye. overwrite: replace files that another detector or a person wrote; those of the same detector
    and pixels are kept, so a run that was stopped goes on.
    Raises DataError, listing them, for photos that cannot be read, before anything is detected.
    """
    images, count = _images(source, out)
    report = DetectionReport()
    try:
        for name, image in track_speed(images, "detecting people", count, "images"):
            found = _detect(name, image, out / f"{name}.json", detector, overwrite)
            report.add(name, found)
            if overlay:
                _write_overlay(image, found, out / f"{name}.overlay.jpg")
    except CacheError as error:
        raise DataError(
            f"{out}: cannot write detection files; is the disk full, the folder yours?"
        ) from error
    return report


def _images(source: Path, out: Path) -> tuple[Iterable[tuple[str, Tensor]], int | None]:
    """Names and pixels, uint8 (3, H, W), of what `source` holds, and how many there are, where that is known."""
    if is_video(source):
        clip = open_clip(source)
        return ((frame.name, frame.image) for frame in clip.frames()), clip.format.length
    jobs = folder_jobs(source, out)[0] if source.is_dir() else [Job(source.name, source, out / source.name)]
    require_readable(jobs)
    return _photos(jobs), len(jobs)


def _photos(jobs: Iterable[Job]) -> Iterator[tuple[str, Tensor]]:
    for job in jobs:
        yield job.name, read_photo(job.source).image


def _detect(
    name: str, image: Tensor, path: Path, detector: NamedDetector, overwrite: bool
) -> PersonDetections:
    """The people in one image, from its file if this detector wrote it, else written there."""
    if path.exists() and not overwrite:
        if detector_of(path) != detector.digest:
            raise DataError(
                f"{path}: exists, by another detector or hand; choose another folder, or --overwrite"
            )
        return read_detections(path, image)
    found = detector.detect(image, name)
    write_detections(path, found, image, name, detector)
    return found


def _write_overlay(image: Tensor, found: PersonDetections, path: Path) -> None:
    write_atomic(path, lambda part: draw_people(image, found).save(part, quality=90))
