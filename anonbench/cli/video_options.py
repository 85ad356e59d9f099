"""The video half of `anonbench anonymize`: its options, and what they do."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from anonbench.anonymizers.base import Anonymizer
    from anonbench.detection.detectors import NamedDetector
    from anonbench.pipeline.video import VideoSettings
    from anonbench.pipeline.video_report import VideoReport

PATH = click.Path(dir_okay=False, path_type=Path)
OPTIONS = (
    click.option("--frames", is_flag=True, help="The folder holds the frames of one clip, not photos."),
    click.option(
        "--fps", type=click.FloatRange(min=0, min_open=True), help="Of a folder of frames; default: 25.",
    ),
    click.option(
        "--every", type=click.IntRange(min=1), default=1, show_default=True,
        help="Detect in each so many frames; in between people are moved along.",
    ),
    click.option(
        "--hold", type=click.FloatRange(min=0), default=0.5, show_default=True,
        help="Seconds for which people are covered before and after they are detected.",
    ),
    click.option(
        "--crf", type=click.IntRange(0, 51), default=18, show_default=True, help="Quality; lower is better."
    ),
    click.option("--keep-audio", is_flag=True, help="Keep the sound; a voice tells who somebody is."),
    click.option(
        "--workers", type=click.IntRange(min=1), help="Processes that detect; default: one per core."
    ),
    click.option("--sheet", type=PATH, help="PNG of people before and after, to look at; never give it away."),
    click.option("--report", type=PATH, help="JSON with the counts of the run."),
)  # fmt: skip
"""Options that photos do not have."""

NAMES = ("frames", "fps", "every", "hold", "crf", "keep_audio", "workers", "sheet", "report")


def video_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds `OPTIONS` to a command; their values come under `NAMES`."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def anonymize_clip(
    source: Path,
    out: Path,
    detector: "NamedDetector",
    anonymizer: "Anonymizer",
    settings: "VideoSettings",
    sheet: Path | None = None,
    report: Path | None = None,
) -> None:
    """Anonymize a clip, write what was asked for beside it, and say on stderr what was done."""
    import json

    from anonbench.cache import write_text
    from anonbench.pipeline.video import anonymize_video

    done = anonymize_video(source, out, detector, anonymizer, settings, sheet)
    if report:
        write_text(report, json.dumps(done.content(), indent=1) + "\n")
    for line in _lines(done):
        click.echo(line, err=True)
    for path in filter(None, (out, sheet, report)):
        click.echo(f"wrote {path}", err=True)


def settings_of(
    *,
    every: int,
    hold: float,
    workers: int | None,
    fps: float | None,
    **others: Any,
) -> "VideoSettings":
    """The settings that the options stand for. others: fields of VideoSettings."""
    import os
    from fractions import Fraction

    from anonbench.pipeline.track import TrackSettings
    from anonbench.pipeline.video import VideoSettings

    tracking = TrackSettings(every=every, hold=hold, workers=workers or len(os.sched_getaffinity(0)))
    if fps is not None:
        others["fps"] = Fraction(fps).limit_denominator(1001)
    return VideoSettings(tracking=tracking, **others)


def _lines(report: "VideoReport") -> list[str]:
    shares = ", ".join(
        f"{count / report.person_frames:.0%} {outcome}" for outcome, count in report.outcomes.items()
    )
    lines = [
        f"{report.frames} frames at {report.frame_rate:g} frames/s",
        f"{report.tracks} people in {report.person_frames} places: {shares or 'nobody'}",
        f"{report.filled} places filled without a detection, longest gap {report.longest_gap:.1f} s",
    ]
    return lines + [f"warning: {warning}" for warning in report.warnings]
