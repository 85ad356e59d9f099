"""Photos, anonymized: every person gets a z of their own."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from anonbench.anonymizers.base import Anonymizer, Reconstructing
from anonbench.cards import ModelCard
from anonbench.crops import Outcome
from anonbench.datasets.images import read_bytes
from anonbench.detection.cropping import crop_people
from anonbench.detection.detectors import NamedDetector
from anonbench.detection.people import PersonDetections
from anonbench.errors import DataError, UsageError
from anonbench.latents import latents_for
from anonbench.pipeline.areas import DEFAULT_MARGINS, Margins
from anonbench.pipeline.compositing import anonymize_people
from anonbench.pipeline.inputs import Photo, read_photo
from anonbench.pipeline.jobs import Job, require_readable
from anonbench.pipeline.journal import Journal
from anonbench.progress import track

REFUSED = {
    "original": "would leave people as they are",
    "folder": "holds finished crops and cannot anonymize anybody else",
}
"""Kinds of anonymizers that cannot be used here, and why."""


@dataclass(frozen=True)
class Settings:
    """How people come out. seed and truncation are those of z; models without z know neither."""

    seed: int = 0
    truncation: float = 1.0
    margins: Margins = DEFAULT_MARGINS
    keep_metadata: bool = False


@dataclass
class Report:
    """What was found in each photo: how many people had which outcome, by the photo's name.

    resumed: photos that an earlier run had written. bad: why a photo was skipped, by its name.
    """

    people: dict[str, Counter[Outcome]] = field(default_factory=dict)
    resumed: int = 0
    bad: dict[str, str] = field(default_factory=dict)

    @property
    def outcomes(self) -> Counter[Outcome]:
        """How many people had which outcome."""
        return sum(self.people.values(), Counter())

    @property
    def without_people(self) -> list[str]:
        """Photos in which nobody was changed: the detector may have missed somebody."""
        return sorted(name for name, found in self.people.items() if found.total() == found[Outcome.NONE])


class PhotoAnonymizer:
    """A detector and an anonymizer at work on photos.

    appearance: float32 (latent_dim,), the z of everybody; none: one z for every person in every photo, drawn
    from the seed, the photo's name and the person's place in the detections.
    Raises UsageError for an anonymizer that leaves people as they are.
    """

    def __init__(
        self,
        detector: NamedDetector,
        anonymizer: Anonymizer,
        settings: Settings,
        appearance: Tensor | None = None,
    ) -> None:
        refuse_unfit(anonymizer.card)
        self.detector = detector
        self.anonymizer = anonymizer
        self.settings = settings
        self.appearance = appearance

    def anonymize(self, image: Tensor, name: str) -> tuple[Tensor, PersonDetections]:
        """The image uint8 (3, H, W) with everybody anonymized, and who was found in it."""
        found = self.detector.detect(image, name)
        done = anonymize_people(
            image,
            found,
            self.anonymizer,
            self._latents(name, len(found)),
            self.settings.truncation,
            self.settings.margins,
        )
        return done, found

    def described(self) -> dict[str, Any]:
        """What decides how a photo comes out, as JSON."""
        appearance = self.appearance
        return {
            "model": self.anonymizer.card.digest,
            "detector": self.detector.digest,
            **json.loads(json.dumps(asdict(self.settings))),
            "appearance": None if appearance is None else _sha256(appearance.numpy().tobytes()),
        }

    def _latents(self, name: str, people: int) -> Tensor | None:
        if self.appearance is not None:
            return self.appearance.expand(people, -1)
        dim = self.anonymizer.card.latent_dim
        tokens = [f"{name}/{i}" for i in range(people)]
        return None if dim is None else latents_for(self.settings.seed, tokens, dim)


def refuse_unfit(card: ModelCard) -> None:
    """Raise UsageError for an anonymizer that cannot anonymize people in photos or video."""
    if card.kind in REFUSED:
        raise UsageError(f"model '{card.name}' {REFUSED[card.kind]}; choose another: anonbench models")


def appearance_of(path: Path, detector: NamedDetector, anonymizer: Anonymizer) -> tuple[Tensor, int]:
    """The z of the person in a photo as the appearance mapper sees it (thesis Figure 5.4), and how many there are.

    Returns float32 (latent_dim,) of the person with the largest mask among those with a surface, and the
    number of people. Raises UsageError for a model without appearance mapper, DataError where nobody is.
    """
    if not (anonymizer.card.can_reconstruct and isinstance(anonymizer, Reconstructing)):
        raise UsageError(
            f"model '{anonymizer.card.name}' has no appearance mapper; use one that reconstructs"
        )
    image = read_photo(path).image
    found = detector.detect(image, path.name)
    known = [person for person in found.people if person.outcome == Outcome.SURFACE]
    if not known:
        raise DataError(f"{path}: nobody with a surface is found; give a photo that shows one person whole")
    largest = max(known, key=lambda person: int(person.mask.sum()))
    crops, _ = crop_people(image, found.with_people([largest]))
    return anonymizer.encode(crops)[0], len(found)


def anonymize_photos(
    jobs: Sequence[Job],
    anonymizer: PhotoAnonymizer,
    journal: Journal | None = None,
    skip_bad: bool = False,
) -> Report:
    """Write every job's photo anonymized. Those that the journal lists, of the same content, are not made again.

    Photos that cannot be read end the run before anything is written, with DataError; skip_bad: they are
    left out, and reported.
    """
    report = Report()
    waiting = [job for job in jobs if not _resumed(job, journal, report)]
    if not skip_bad:
        require_readable(waiting)
    for job in track(waiting, "anonymizing", len(waiting)):
        try:
            photo = read_photo(job.source)
        except DataError as error:
            if not skip_bad:
                raise
            report.bad[job.name] = str(error)
            continue
        report.people[job.name] = _anonymize_one(job, photo, anonymizer)
        if journal:
            people = {outcome.name: count for outcome, count in report.people[job.name].items()}
            journal.add(job.name, {"sha256": photo.sha256, "people": people})
    return report


def _anonymize_one(job: Job, photo: Photo, anonymizer: PhotoAnonymizer) -> Counter[Outcome]:
    done, found = anonymizer.anonymize(photo.image, job.name)
    photo.write(done, job.out, anonymizer.settings.keep_metadata)
    return Counter(person.outcome for person in found.people)


def _resumed(job: Job, journal: Journal | None, report: Report) -> bool:
    """Whether the photo is done already; then the report gets what was noted about it."""
    entry = journal.entry(job.name) if journal else None
    if entry is None or not job.out.exists() or entry["sha256"] != _sha256(read_bytes(job.source)):
        return False
    people: Mapping[str, int] = entry["people"]
    report.people[job.name] = Counter({Outcome[name]: count for name, count in people.items()})
    report.resumed += 1
    return True


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
