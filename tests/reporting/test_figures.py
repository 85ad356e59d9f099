from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anonbench.errors import DataError
from anonbench.records import Record
from anonbench.reporting.comparison import Comparison, compare
from anonbench.reporting.figures import _strips as strips_of
from anonbench.reporting.figures import figure_rows, strip_path, write_figures
from anonbench.reporting.galleries import GalleryRow, write_strip
from tests.reporting.fabricated import data_run, record, reid


def with_strips(folder: Path, model: str, places: dict[str, int], kind: str = "generator") -> Record:
    """A made-up record whose strips are flat grey of the given levels."""
    galleries = {}
    for place, level in places.items():
        galleries[place] = f"{model}.{place}.png"
        write_strip(np.full((2, 3, 8, 4), level, dtype=np.uint8), folder / galleries[place])
    return record(model, reid(1.0), kind=kind, galleries=galleries)


def rows(folder: Path, *records: Record) -> list[GalleryRow]:
    (comparison,) = compare(records)
    return figure_rows(strips_of(comparison, lambda _: folder), comparison)


def described(rows: list[GalleryRow]) -> list[tuple[str, str, int]]:
    return [(row.group, row.label, int(row.images.flat[0])) for row in rows]


def test_originals_stand_once_and_first_then_models_under_each_truncation(tmp_path: Path) -> None:
    names = ("swap.original", "swap.t0", "swap.t1")
    records = [
        with_strips(tmp_path, "final", dict(zip(names, (9, 10, 11), strict=True))),
        with_strips(tmp_path, "baseline", dict(zip(names, (9, 20, 21), strict=True))),
    ]
    assert described(rows(tmp_path, *records)) == [
        ("", "original", 9),
        ("t = 0", "final", 10),
        ("t = 0", "baseline", 20),
        ("t = 1", "final", 11),
        ("t = 1", "baseline", 21),
    ]


def test_the_untouched_model_serves_where_no_originals_were_stored(tmp_path: Path) -> None:
    records = [
        with_strips(tmp_path, "final", {"swap.t0": 10, "swap.t1": 11}),
        with_strips(tmp_path, "original", {"swap.t0": 5, "swap.t1": 5}, kind="original"),
    ]
    found = described(rows(tmp_path, *records))
    assert found == [("", "original", 5), ("t = 0", "final", 10), ("t = 1", "final", 11)]


def test_latents_of_one_model_stand_together(tmp_path: Path) -> None:
    records = [
        with_strips(tmp_path, "blur", {"samples.z1": 30}),
        with_strips(tmp_path, "final", {"samples.original": 9, "samples.z1": 10, "samples.z2": 11}),
    ]
    assert described(rows(tmp_path, *records)) == [
        ("", "original", 9),
        ("final", "latent 1", 10),
        ("final", "latent 2", 11),
        ("one image per crop", "blur", 30),
    ]


@pytest.mark.parametrize("name", ["../secret.png", "/etc/passwd", "a/b.png", "..", "", "..\\secret.png"])
def test_a_strip_cannot_leave_the_folder_of_its_record(tmp_path: Path, name: str) -> None:
    made = record("final", reid(1.0), galleries={"reid": name})
    with pytest.raises(DataError, match="no plain file name"):
        strip_path(made, tmp_path, "reid")


def test_crops_of_another_height_than_the_record_says_are_refused(tmp_path: Path) -> None:
    made = with_strips(tmp_path, "final", {"reid": 1}).model_copy(update={"data": data_run(size=(16, 4))})
    with pytest.raises(DataError, match="8 pixels high, its record says 16"):
        rows(tmp_path, made)


def written(folder: Path, *records: Record) -> list[str]:
    comparison: Comparison
    (comparison,) = compare(records)
    figures = write_figures(comparison, lambda _: folder, folder / "out", "stem")
    for figure in figures:
        with Image.open(figure.path) as image:
            image.verify()
    return [figure.path.name for figure in figures]


def test_each_figure_is_one_picture(tmp_path: Path) -> None:
    made = with_strips(tmp_path, "final", {"reid": 1, "pose_swap.t0": 2, "pose_swap.t1": 3, "mine": 4})
    assert written(tmp_path, made) == ["stem.pose_swap.png", "stem.reid.png", "stem.mine.png"]


def test_crops_of_two_sizes_make_two_pictures(tmp_path: Path) -> None:
    small = with_strips(tmp_path, "final", {"reid": 1})
    write_strip(np.zeros((2, 3, 16, 8), np.uint8), tmp_path / "large.png")
    large = record("baseline", reid(1.0), data=data_run(size=(16, 8)), galleries={"reid": "large.png"})
    assert written(tmp_path, small, large) == ["stem.reid.8x4.png", "stem.reid.16x8.png"]


def test_no_strips_make_no_pictures(tmp_path: Path) -> None:
    assert written(tmp_path, record("final", reid(1.0))) == []
