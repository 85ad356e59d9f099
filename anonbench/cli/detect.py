"""`anonbench detect`: who is where in photos and video."""

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from anonbench.cli import options

if TYPE_CHECKING:
    from anonbench.pipeline.image_detection import DetectionReport


@click.command("detect")
@click.argument("source", metavar="INPUT", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--out", "-o", type=click.Path(file_okay=False, path_type=Path), required=True,
    help="Folder for the detection files.",
)  # fmt: skip
@options.detector
@click.option(
    "--min-score", type=click.FloatRange(0, 1), default=0.0, show_default=True,
    help="Leave out people of whom the detector is less certain.",
)  # fmt: skip
@click.option("--overlay", is_flag=True, help="Also write every image with boxes, masks and outcomes.")
@click.option("--overwrite", is_flag=True, help="Replace files of another detector, or written by hand.")
def command(source: Path, out: Path, detector: str, min_score: float, overlay: bool, overwrite: bool) -> None:
    """Find the people in a photo, a folder of photos or a video, and write them to detection files.

    Look at them, mend them, and anonymize with them:

    \b
    anonbench detect photos -o people --overlay
    anonbench anonymize photos -o anonymous --model final --detector file=people
    """
    from anonbench.detection.detectors import load_detector
    from anonbench.pipeline.image_detection import detect_images

    with contextlib.redirect_stdout(sys.stderr):
        finder = load_detector(detector, min_score)
        finder.require()
        report = detect_images(source, out, finder, overwrite, overlay)
    _print(report)


def _print(report: "DetectionReport") -> None:
    from anonbench.crops import Outcome
    from anonbench.datasets.files import listed

    people = report.outcomes.total()
    click.echo(f"{options.counted(report.images, 'image')}, {options.counted(people, 'person', 'people')}")
    for outcome in reversed(Outcome):
        count = report.outcomes[outcome]
        if count:
            click.echo(f"  {outcome.name.lower():9} {count} ({count / people:.1%})")
    if report.without_people:
        names = listed(report.without_people, 20)
        click.echo(f"nobody in {len(report.without_people)}, check these by eye: {names}")
