"""Figures of a report: the gallery strips of several models joined, one picture per figure.

A strip's name in a record says where it stands: `<figure>.original` is the first row, `<figure>.t0` and
`<figure>.t1` stand under "t = 0" and "t = 1", `<figure>.z1`, `.z2`, ... are one model's latents in turn.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from anonbench.errors import DataError
from anonbench.records import Record
from anonbench.reporting.comparison import Comparison
from anonbench.reporting.galleries import GalleryRow, Images, compose, read_strip, save_png
from anonbench.reporting.labels import file_stem, words

TITLES = {
    "pose_swap": ("Pose swap", "Across: one person after another, each in several poses under one latent."),
    "background_swap": (
        "Background swap",
        "Across: one person after another, each before several backgrounds under one latent.",
    ),
    "samples": ("Random anonymizations", "Across: different people. Each latent is drawn at random, t = 1."),
    "reid": (
        "One latent per identity",
        "Across: one person after another, each from several cameras, t = 1.",
    ),
    "pairs": ("Two cameras", "Across: pairs of images of one person after another, a latent each, t = 1."),
    "reconstruction": (
        "Reconstruction",
        "Across: pairs of images of one person after another; the latent is read from the left one.",
    ),
    "path_length": (
        "Small steps",
        "Across: one person after another, as they stand, after a step of the pose, and one of the background,"
        " under one latent. Steps are too small to see: what is seen is the model's.",
    ),
    "privacy": (
        "What an attacker sees",
        "Across: one person after another, each from several cameras, a latent for every image, t = 1.",
    ),
    "video": (
        "One latent per track",
        "Across: moments of one clip, t = 1.",
    ),
}
"""Title and caption of the figures that the protocols make; others are titled by their name."""


@dataclass(frozen=True)
class Strip:
    """A stored strip: its figure and place in it, the model's column, the file, (H, W) of its crops."""

    figure: str
    place: str
    model: str
    path: Path
    size: tuple[int, int]

    def read(self) -> Images:
        """The crops, uint8 (N, H, W, 3). Raises DataError where the file holds something else."""
        images = read_strip(self.path, self.size[1])
        if images.shape[1] != self.size[0]:
            raise DataError(
                f"{self.path}: crops are {images.shape[1]} pixels high, its record says {self.size[0]}"
            )
        return images


@dataclass(frozen=True)
class Figure:
    """A written gallery."""

    path: Path
    title: str
    caption: str


def strip_path(record: Record, folder: Path, name: str) -> Path:
    """File of a gallery strip. Raises DataError for a name that leaves the folder of the record."""
    file = record.galleries[name]
    if file != PurePosixPath(file).name or "\\" in file or file in ("", ".", ".."):
        raise DataError(f"{record.slug}: gallery '{name}' names '{file}', which is no plain file name")
    return folder / file


def write_figures(
    comparison: Comparison, folder_of: Callable[[Record], Path], folder: Path, stem: str
) -> list[Figure]:
    """Join the strips of a comparison: `<folder>/<stem>.<figure>.png` each, in the order of `TITLES`.

    folder_of: where the files of a record lie.
    """
    found: dict[tuple[str, tuple[int, int]], list[Strip]] = {}
    for strip in _strips(comparison, folder_of):
        found.setdefault((strip.figure, strip.size), []).append(strip)
    sizes = Counter(figure for figure, _ in found)
    order = [*TITLES, *sorted(sizes)]
    written = []
    for (figure, size), strips in sorted(found.items(), key=lambda item: order.index(item[0][0])):
        title, caption = TITLES.get(figure, (words(figure), ""))
        of_size = f".{size[0]}x{size[1]}" if sizes[figure] > 1 else ""
        image = compose(figure_rows(strips, comparison), title=title)
        path = save_png(image, folder / f"{stem}.{file_stem(figure)}{of_size}.png")
        written.append(Figure(path, title, caption))
    return written


def figure_rows(strips: Iterable[Strip], comparison: Comparison) -> list[GalleryRow]:
    """Originals once, then the models in the comparison's order, under a header per place.

    Several latents of one model stand under a header of their own; models with one such strip share a header.
    """
    ordered = sorted(strips, key=lambda strip: (comparison.models.index(strip.model), strip.place))
    originals = [strip for strip in ordered if strip.place == "original"]
    originals = originals or [strip for strip in ordered if strip.model in comparison.references]
    anonymized = [s for s in ordered if s.place != "original" and s.model not in comparison.references]
    latents = Counter(strip.model for strip in anonymized if _latent(strip))
    rows = [GalleryRow("original", strip.read()) for strip in originals[:1]]
    for strip in (strip for strip in anonymized if latents[strip.model] > 1 and _latent(strip)):
        rows.append(GalleryRow(f"latent {_latent(strip)}", strip.read(), strip.model))
    for strip in (strip for strip in anonymized if latents[strip.model] == 1 and _latent(strip)):
        rows.append(GalleryRow(strip.model, strip.read(), "one image per crop"))
    for strip in sorted((strip for strip in anonymized if not _latent(strip)), key=lambda strip: strip.place):
        rows.append(GalleryRow(strip.model, strip.read(), _header(strip)))
    return rows


def _strips(comparison: Comparison, folder_of: Callable[[Record], Path]) -> Iterator[Strip]:
    for model, record in comparison.by_column():
        for name in record.galleries:
            figure, _, place = name.partition(".")
            path = strip_path(record, folder_of(record), name)
            if record.data.size is not None:
                yield Strip(figure, place, model, path, record.data.size)


def _latent(strip: Strip) -> str:
    """The number of the latent, where the place is one."""
    found = re.fullmatch(r"z(\d+)", strip.place)
    return found[1] if found else ""


def _header(strip: Strip) -> str:
    truncation = re.fullmatch(r"t(\d+)", strip.place)
    return f"t = {truncation[1]}" if truncation else words(strip.place)
