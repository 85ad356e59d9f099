"""`anonbench anonymize`: photos, folders and video."""

import contextlib
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from anonbench.cli import options, video_options
from anonbench.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from anonbench.anonymizers.base import Anonymizer
    from anonbench.detection.detectors import NamedDetector
    from anonbench.pipeline.photos import PhotoAnonymizer, Report

PHOTO_OPTIONS = ("latent_from", "keep_metadata")
"""Options that video does not have."""


@click.command("anonymize")
@click.argument("source", metavar="INPUT", type=click.Path(exists=True, path_type=Path))
@click.option("--out", "-o", type=click.Path(path_type=Path), required=True, help="File or folder to write.")
@click.option("--model", required=True, metavar="NAME|CARD.yaml", help="The anonymizer.")
@options.detector
@click.option("--seed", type=int, default=0, show_default=True, help="Names the set of new people.")
@click.option(
    "--truncation", type=click.FloatRange(0, 1), default=1.0, show_default=True,
    help="1: as diverse as the model can, 0: the mean appearance (thesis 2.11).",
)  # fmt: skip
@click.option(
    "--dilate", type=click.FloatRange(0, 1), default=0.02, show_default=True,
    help="Masks grow by this share of the person's longer side.",
)  # fmt: skip
@click.option(
    "--seam", type=click.FloatRange(0, 1), default=0.02, show_default=True,
    help="Beyond the mask people fade into the image over this share.",
)  # fmt: skip
@click.option(
    "--latent-from", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="IMAGE",
    help="Everybody looks like the person in IMAGE; needs a model that reconstructs.",
)  # fmt: skip
@click.option(
    "--keep-metadata", is_flag=True, help="Keep camera, time and place of photos, without thumbnails."
)
@click.option("--overwrite", is_flag=True, help="Replace what lies in the output.")
@click.option(
    "--skip-bad", is_flag=True, help="Leave out photos that cannot be read, and what follows a bad frame."
)
@video_options.video_options
def command(
    source: Path,
    out: Path,
    model: str,
    detector: str,
    seed: int,
    truncation: float,
    dilate: float,
    seam: float,
    latent_from: Path | None,
    keep_metadata: bool,
    overwrite: bool,
    skip_bad: bool,
    **clip_options: Any,
) -> None:
    """Replace the people in a photo, a folder of photos, or a video.

    \b
    anonbench anonymize photo.jpg -o anonymous.jpg --model final
    anonbench anonymize photos -o anonymous --model final --truncation 0.7
    anonbench anonymize walk.mp4 -o anonymous.mp4 --model final
    """
    from anonbench.anonymizers.registry import load_anonymizer
    from anonbench.detection.detectors import load_detector
    from anonbench.pipeline.areas import Margins
    from anonbench.pipeline.clips import is_video
    from anonbench.pipeline.photos import PhotoAnonymizer, Settings, refuse_unfit

    is_clip = is_video(source) or clip_options["frames"]
    _refuse(PHOTO_OPTIONS if is_clip else video_options.NAMES, "photos" if is_clip else "video")
    margins = Margins(dilate, seam)
    with contextlib.redirect_stdout(sys.stderr):
        anonymizer, finder = load_anonymizer(model), load_detector(detector)
        refuse_unfit(anonymizer.card)
        finder.require()
        if is_clip:
            common = {"seed": seed, "truncation": truncation, "margins": margins, "skip_bad": skip_bad}
            _clip(source, out, overwrite, finder, anonymizer, common | clip_options)
            return
        settings = Settings(seed, truncation, margins, keep_metadata)
        photos = PhotoAnonymizer(finder, anonymizer, settings, _appearance(latent_from, finder, anonymizer))
        report, others = _photos(source, out, photos, overwrite, skip_bad)
    _print(report, others)


def _refuse(names: Iterable[str], those_of: str) -> None:
    """Raise UsageError where one of the options `names` was given."""
    given = click.get_current_context().get_parameter_source
    for name in names:
        if given(name) == click.core.ParameterSource.COMMANDLINE:
            raise UsageError(f"--{name.replace('_', '-')} is an option of {those_of}; leave it out")


def _clip(
    source: Path, out: Path, overwrite: bool, finder: "NamedDetector", anonymizer: "Anonymizer",
    given: dict[str, Any],
) -> None:  # fmt: skip
    """given: the options that photos and video share, and those of video."""
    if out.exists() and not overwrite:
        raise UsageError(f"{out}: exists; choose another output, or give --overwrite")
    if source.is_file() and given["fps"] is not None:
        raise UsageError("--fps is for folders of frames; a video has its own; leave it out")
    files = {name: given.pop(name) for name in ("sheet", "report")}
    given.pop("frames")
    video_options.anonymize_clip(source, out, finder, anonymizer, video_options.settings_of(**given), **files)


def _appearance(path: Path | None, finder: "NamedDetector", anonymizer: "Anonymizer") -> "Tensor | None":
    from anonbench.pipeline.photos import appearance_of

    if path is None:
        return None
    appearance, people = appearance_of(path, finder, anonymizer)
    if people > 1:
        click.echo(f"{path}: {people} people; the largest is taken", err=True)
    return appearance


def _photos(
    source: Path, out: Path, photos: "PhotoAnonymizer", overwrite: bool, skip_bad: bool
) -> tuple["Report", int]:
    """What was done, and how many files of a folder are no images."""
    from anonbench.pipeline.jobs import folder_jobs, photo_job
    from anonbench.pipeline.journal import Journal
    from anonbench.pipeline.photos import anonymize_photos

    if source.is_file():
        return anonymize_photos([photo_job(source, out, overwrite)], photos), 0
    if out.is_file():
        raise UsageError(f"{out}: is a file, and the input a folder; choose a folder")
    jobs, others = folder_jobs(source, out)
    journal = Journal(out, photos.described(), overwrite)
    return anonymize_photos(jobs, photos, journal, skip_bad), others


def _print(report: "Report", others: int) -> None:
    """What a user must know before the result is given away."""
    from anonbench.crops import Outcome
    from anonbench.datasets.files import listed

    people, count = report.outcomes, report.outcomes.total()
    resumed = f" ({report.resumed} of them written before)" if report.resumed else ""
    click.echo(
        f"{options.counted(len(report.people), 'photo')}{resumed}, {options.counted(count, 'person', 'people')}"
    )
    what: dict[Any, str] = {
        Outcome.SURFACE: "replaced",
        Outcome.MASK_ONLY: "blurred away, since the body's surface is not known",
        Outcome.NONE: "LEFT AS THEY ARE: detected without a mask",
    }
    for outcome, meaning in what.items():
        if people[outcome]:
            click.echo(f"  {people[outcome] / count:4.0%}  {people[outcome]} {meaning}")
    if report.without_people:
        names = listed(report.without_people, 20)
        click.echo(f"nobody changed in {len(report.without_people)}, check these by eye: {names}")
    for name, reason in report.bad.items():
        click.echo(f"skipped {name}: {reason}")
    if others:
        click.echo(f"not copied: {options.counted(others, 'other file')}")
