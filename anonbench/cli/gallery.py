"""`anonbench gallery`: a picture of what models do."""

import contextlib
import sys
from pathlib import Path

import click

from anonbench.cli import options


@click.command("gallery")
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@click.option(
    "--figure", type=click.Choice(["pose_swap", "background_swap", "reid", "video", "samples"]), default="pose_swap",
    show_default=True, help="One person across poses, backgrounds or cameras, or different people.",
)  # fmt: skip
@click.option("--people", type=click.IntRange(1, 100), default=4, show_default=True, help="Persons shown.")
@click.option("--columns", type=click.IntRange(1, 100), default=6, show_default=True, help="Images in a row.")
@click.option(
    "--latents", type=click.IntRange(1, 20), default=1, show_default=True, help="Appearances per model."
)
@click.option(
    "--truncation", type=click.FloatRange(0, 1), default=1.0, show_default=True,
    help="1: none, 0: the mean appearance (thesis 2.11).",
)  # fmt: skip
@options.data
@options.preset
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), default="gallery.png", show_default=True,
    help="The PNG to write.",
)  # fmt: skip
def command(
    models: tuple[str, ...],
    figure: str,
    people: int,
    columns: int,
    latents: int,
    truncation: float,
    data: str,
    preset: str,
    out: Path,
) -> None:
    """Draw models under each other: the same people, and the same latent for one person in a row.

    \b
    anonbench gallery baseline final
    anonbench gallery final --figure samples --latents 4 --out diversity.png
    anonbench gallery baseline final --figure reid --data market1501=PATH
    """
    from anonbench.protocols.gallery import FIGURES, Gallery, gallery_rows
    from anonbench.reporting.galleries import compose, save_png

    gallery = Gallery(figure, people, columns, latents, truncation)
    with contextlib.redirect_stdout(sys.stderr):
        rows = gallery_rows(gallery, list(models), data, preset)
    save_png(compose(rows, title=f"Across: {FIGURES[figure]}, t = {truncation:g}"), out)
    click.echo(f"wrote {out}", err=True)
