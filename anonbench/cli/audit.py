"""`anonbench audit`: who is still to be seen?"""

import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from anonbench.cli import options
from anonbench.errors import UsageError

if TYPE_CHECKING:
    from anonbench.pipeline.audit import Audit

EXISTING = click.Path(exists=True, path_type=Path)
ROWS = 40
"""People that the table lists."""


@click.command("audit")
@click.argument("original", type=EXISTING)
@click.argument("anonymized", type=EXISTING)
@options.detector
@click.option(
    "--every", type=click.IntRange(min=1), default=1, show_default=True,
    help="Look at each so many frames of a video.",
)  # fmt: skip
@click.option(
    "--sheet", type=click.Path(dir_okay=False, path_type=Path),
    help="PNG of the people who are visible, before and after; never give it away.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def command(
    original: Path, anonymized: Path, detector: str, every: int, sheet: Path | None, as_json: bool
) -> int:
    """Look again at photos or a video, and exit with 1 if somebody is left as they are.

    \b
    anonbench audit photos anonymous --sheet left.png
    anonbench audit walk.mp4 anonymous.mp4 --json
    """
    from anonbench.detection.detectors import load_detector
    from anonbench.pipeline.audit import audit
    from anonbench.pipeline.clips import is_video

    if every > 1 and not is_video(original):
        raise UsageError("--every is an option of video; leave it out")
    with contextlib.redirect_stdout(sys.stderr):
        finder = load_detector(detector)
        finder.require()
        found = audit(original, anonymized, finder, every)
    if as_json:
        click.echo(json.dumps(found.content()))
    else:
        _print(found)
    if sheet and found.pictures:
        _write_sheet(found, sheet)
        click.echo(f"wrote {sheet}", err=True)
    return 1 if found.visible or found.telling_files else 0


def _print(found: "Audit") -> None:
    people = options.counted(len(found.people), "person", "people")
    click.echo(f"{options.counted(found.images, 'image')}, {people}, {len(found.visible)} left as they are")
    if found.visible:
        _print_table(found)
    for name, telling in found.telling_files.items():
        click.echo(f"{name}: metadata that may name or show somebody: {', '.join(telling)}")
    kept = sum(bool(metadata.harmless) for metadata in found.files.values())
    if kept:
        click.echo(f"camera, time or place in {options.counted(kept, 'file')}")


def _print_table(found: "Audit") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("image", "x", "y", "unchanged", "of the head", "found in", box=None, header_style="bold")
    for person in found.visible[:ROWS]:
        x0, y0, x1, y1 = person.place
        head = f"{person.head.unchanged:.0%}" if person.head else "-"
        body = f"{person.body.unchanged:.0%}"
        table.add_row(person.name, f"{x0:.0f}-{x1:.0f}", f"{y0:.0f}-{y1:.0f}", body, head, person.seen_in)
    Console().print(table)
    if len(found.visible) > ROWS:
        click.echo(f"and {len(found.visible) - ROWS} more; --json lists them all")


def _write_sheet(found: "Audit", path: Path) -> None:
    import torch

    from anonbench.reporting.contact_sheets import contact_sheet
    from anonbench.reporting.galleries import save_png

    pictures = torch.stack(found.pictures).permute(0, 2, 3, 1).numpy()
    captions = [f"{person.name}  {person.body.unchanged:.0%}" for person in found.visible]
    save_png(contact_sheet(pictures, captions[: len(pictures)]), path)
