"""`anonbench anonymize` on photos: what it writes, what it says, and what it refuses."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anonbench.datasets.images import read_image
from anonbench.detection.files import write_detections
from tests.cli.conftest import Cli
from tests.pipeline.finder import SIZE, TWO, Finder

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two people in a.png, nobody in street/b.jpg, and a note."""
    root = tmp_path / "photos"
    (root / "street").mkdir(parents=True)
    (root / "notes.txt").write_text("two files")
    for seed, name in enumerate(("a.png", "street/b.jpg")):
        pixels = np.random.default_rng(seed).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / name)
        image = read_image(root / name)
        found = TWO if name == "a.png" else TWO.with_people([])
        write_detections(tmp_path / "people" / f"{name}.json", found, image, name, Finder())
    return root


def read(path: Path) -> np.ndarray:
    return np.array(Image.open(path))


@pytest.mark.parametrize("model", ["blackout", "noise", "gaussian_blur", "pixelate", "baseline", "final"])
def test_every_packaged_model_changes_people_and_nothing_else(cli: Cli, photos: Path, model: str) -> None:
    out = photos.parent / "out.png"
    detector = f"file={photos.parent / 'people'}"
    result = cli("anonymize", photos / "a.png", "-o", out, "--model", model, "--detector", detector)
    assert result.code == 0, result.err
    assert "1 photo, 2 people" in result.out
    assert "100%  2 replaced" in result.out
    changed = (read(out) != read(photos / "a.png")).any(axis=2)
    assert changed[8:48, 8:22].mean() > 0.9
    assert not changed[:, 32:36].any()
    assert not changed[:, 72:].any()


def test_a_folder_is_anonymized_with_what_to_check_by_eye(cli: Cli, photos: Path) -> None:
    out = photos.parent / "out"
    arguments = ("anonymize", photos, "-o", out, "--model", "blackout",
                 "--detector", f"file={photos.parent / 'people'}")  # fmt: skip
    result = cli(*arguments)
    assert result.code == 0, result.err
    assert "2 photos, 2 people" in result.out
    assert "nobody changed in 1, check these by eye: street/b.jpg" in result.out
    assert "not copied: 1 other file" in result.out
    assert sorted(p.name for p in out.rglob("*.*g")) == ["a.png", "b.jpg"]
    assert "2 of them written before" in cli(*arguments).out
    again = cli(*arguments, "--seed", 1)
    assert again.code == 2
    assert "was made with another seed 0" in again.error


def test_the_same_person_for_everybody(cli: Cli, photos: Path) -> None:
    detector = ("--detector", f"file={photos.parent / 'people'}")
    given = ("--latent-from", photos / "a.png")
    out = photos.parent / "out.png"
    result = cli("anonymize", photos / "a.png", "-o", out, "--model", "final", *detector, *given)
    assert result.code == 0, result.err
    assert "2 people; the largest is taken" in result.err
    other = cli("anonymize", photos / "a.png", "-o", photos.parent / "x.png", "--model", "baseline",
                *detector, *given)  # fmt: skip
    assert other.code == 2
    assert "no appearance mapper" in other.error


def test_what_would_leave_people_as_they_are_is_refused(cli: Cli, photos: Path) -> None:
    result = cli("anonymize", photos, "-o", photos.parent / "out", "--model", "original",
                 "--detector", f"file={photos.parent / 'people'}")  # fmt: skip
    assert result.code == 2
    assert "would leave people as they are" in result.error


def test_a_photo_without_detections_is_no_photo_without_people(cli: Cli, photos: Path) -> None:
    (photos.parent / "people" / "a.png.json").unlink()
    out = photos.parent / "out"
    result = cli("anonymize", photos, "-o", out, "--model", "blackout",
                 "--detector", f"file={photos.parent / 'people'}")  # fmt: skip
    assert result.code == 3
    assert "a.png" in result.error
    assert not (out / "a.png").exists()


def test_options_of_video_are_refused_for_photos(cli: Cli, photos: Path) -> None:
    result = cli("anonymize", photos, "-o", photos.parent / "out", "--model", "blackout", "--keep-audio")
    assert result.code == 2
    assert "--keep-audio is an option of video" in result.error


def test_options_of_photos_are_refused_for_video(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"")
    result = cli("anonymize", tmp_path / "clip.mp4", "-o", tmp_path / "out.mp4", "--model", "blackout",
                 "--keep-metadata")  # fmt: skip
    assert result.code == 2
    assert "--keep-metadata is an option of photos" in result.error


def test_text_in_place_of_a_photo(cli: Cli, photos: Path) -> None:
    result = cli("anonymize", photos / "notes.txt", "-o", photos.parent / "out.txt", "--model", "blackout",
                 "--detector", f"file={photos.parent / 'people'}")  # fmt: skip
    assert result.code == 3
    assert "notes.txt: not an image" in result.error


@pytest.mark.parametrize("size", [(1, 1), (20_000, 10), (10, 20_000)])
def test_boxes_written_by_hand_do_in_images_of_any_shape(
    cli: Cli, tmp_path: Path, size: tuple[int, int]
) -> None:
    Image.fromarray(np.full((*size, 3), 99, np.uint8)).save(tmp_path / "a.png")
    people = [{"box": [0, 0, size[1], size[0]]}]
    content = {"version": 1, "image": {"size": list(size)}, "people": people}
    (tmp_path / "a.png.json").write_text(json.dumps(content))
    result = cli("anonymize", tmp_path / "a.png", "-o", tmp_path / "out.png", "--model", "final",
                 "--detector", f"file={tmp_path}")  # fmt: skip
    assert result.code == 0, result.err
    assert "1 photo, 1 person" in result.out
    assert not (read(tmp_path / "out.png") == 99).any()
