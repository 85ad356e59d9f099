"""`anonbench audit` says who was left, and its exit code says whether anybody was."""

import json
from pathlib import Path

import pytest
from PIL import Image

from anonbench.anonymizers.registry import load_anonymizer
from anonbench.detection.files import write_detections
from anonbench.pipeline.compositing import anonymize_people
from tests.cli.conftest import Cli
from tests.pipeline.finder import Finder
from tests.pipeline.test_audit import textured, write
from tests.pipeline.test_inputs import phone_photo

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def detector(tmp_path: Path) -> str:
    """Detection files of in/a.png; clean/ holds it anonymized, leaking/ as it is."""
    image, found = textured()
    write_detections(tmp_path / "people" / "a.png.json", found, image, "a.png", Finder())
    write(tmp_path / "in" / "a.png", image)
    write(tmp_path / "clean" / "a.png", anonymize_people(image, found, load_anonymizer("noise")))
    write(tmp_path / "leaking" / "a.png", image)
    return f"file={tmp_path / 'people'}"


def test_it_exits_with_0_where_nobody_is_left(cli: Cli, tmp_path: Path, detector: str) -> None:
    result = cli("audit", tmp_path / "in", tmp_path / "clean", "--detector", detector)
    assert result.code == 0, result.err
    assert "1 image, 2 people, 0 left as they are" in result.out


def test_it_exits_with_1_names_those_who_are_left_and_shows_them(
    cli: Cli, tmp_path: Path, detector: str
) -> None:
    sheet = tmp_path / "left.png"
    result = cli("audit", tmp_path / "in", tmp_path / "leaking", "--detector", detector, "--sheet", sheet)
    assert result.code == 1
    assert "2 left as they are" in result.out
    assert result.out.count("a.png") == 2
    assert "100%" in result.out
    assert Image.open(sheet).width > 2 * 320


def test_json_holds_everybody_and_nothing_else_is_on_stdout(cli: Cli, tmp_path: Path, detector: str) -> None:
    pair = tmp_path / "in" / "a.png", tmp_path / "clean" / "a.png"
    result = cli("audit", *pair, "--detector", detector, "--json")
    content = json.loads(result.out)
    assert result.code == 0
    assert [person["image"] for person in content["people"]] == ["a.png", "a.png"]
    assert content["people"][0]["visible"] is False


def test_metadata_that_may_show_somebody_is_a_leak(cli: Cli, tmp_path: Path) -> None:
    for name in ("in", "out"):
        (tmp_path / name).mkdir()
        phone_photo(tmp_path / name / "phone.jpg")
    from anonbench.datasets.images import read_image

    image, found = read_image(tmp_path / "in" / "phone.jpg"), textured()[1]
    nobody = type(found)((image.shape[1], image.shape[2]), ())
    write_detections(tmp_path / "people" / "phone.jpg.json", nobody, image, "phone.jpg", Finder())
    result = cli("audit", tmp_path / "in", tmp_path / "out", "--detector", f"file={tmp_path / 'people'}")
    assert result.code == 1
    assert "phone.jpg: metadata that may name or show somebody: thumbnail, XMP" in result.out
    assert "camera, time or place in 1 file" in result.out


def test_a_missing_counterpart_is_an_error(cli: Cli, tmp_path: Path, detector: str) -> None:
    (tmp_path / "clean" / "a.png").rename(tmp_path / "clean" / "b.png")
    result = cli("audit", tmp_path / "in", tmp_path / "clean", "--detector", detector)
    assert result.code == 3
    assert "lacks 1 of the images: a.png" in result.error


def test_every_is_for_video(cli: Cli, tmp_path: Path, detector: str) -> None:
    result = cli("audit", tmp_path / "in", tmp_path / "clean", "--detector", detector, "--every", 2)
    assert result.code == 2
    assert "--every is an option of video" in result.error
