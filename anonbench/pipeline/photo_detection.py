"""Detection files for photos and folders of photos."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from anonbench.cache import write_atomic
from anonbench.crops import Outcome
from anonbench.detection.detectors import NamedDetector
from anonbench.detection.files import detector_of, read_detections, write_detections
from anonbench.detection.people import PersonDetections
from anonbench.errors import CacheError, DataError
from anonbench.pipeline.inputs import read_photo
from anonbench.pipeline.overlays import draw_people
from anonbench.pipeline.photos import Job, folder_jobs, require_readable
from anonbench.progress import track_speed


@dataclass
class DetectionReport:
    """What was found: people by outcome, and the photos in which nobody was."""

    photos: int = 0
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    without_people: list[str] = field(default_factory=list)

    def add(self, name: str, found: PersonDetections) -> None:
        """Count one photo."""
        self.photos += 1
        self.outcomes.update(person.outcome for person in found.people)
        if not len(found):
            self.without_people.append(name)


def detect_photos(
    source: Path, out: Path, detector: NamedDetector, overwrite: bool = False, overlay: bool = False
) -> DetectionReport:
    """Write `out`/NAME.json for a photo, or for every photo below a folder, NAME its path there.

    overwrite: replace files that another detector or a person wrote; those of the same detector and pixels are
    kept, so a run that was stopped goes on. overlay: also write `out`/NAME.overlay.jpg, for the eye.
    Raises DataError, listing them, for photos that cannot be read, before anything is detected.
    """
    jobs = [Job(source.name, source, out / source.name)] if source.is_file() else folder_jobs(source, out)[0]
    require_readable(jobs)
    report = DetectionReport()
    try:
        for job in track_speed(jobs, "detecting people", len(jobs), "photos"):
            image = read_photo(job.source).image
            found = _detect(job, image, detector, overwrite)
            report.add(job.name, found)
            if overlay:
                _write_overlay(image, found, _beside(job, ".overlay.jpg"))
    except CacheError as error:
        raise DataError(
            f"{out}: cannot write detection files; is the disk full, the folder yours?"
        ) from error
    return report


def _detect(job: Job, image: Tensor, detector: NamedDetector, overwrite: bool) -> PersonDetections:
    """The people in one photo, from its file if this detector wrote it, else written there."""
    path = _beside(job, ".json")
    if path.exists() and not overwrite:
        if detector_of(path) != detector.digest:
            raise DataError(
                f"{path}: exists, by another detector or hand; choose another folder, or --overwrite"
            )
        return read_detections(path, image)
    found = detector.detect(image, job.name)
    write_detections(path, found, image, job.name, detector)
    return found


def _beside(job: Job, ending: str) -> Path:
    return job.out.with_name(job.out.name + ending)


def _write_overlay(image: Tensor, found: PersonDetections, path: Path) -> None:
    write_atomic(path, lambda part: draw_people(image, found).save(part, quality=90))
