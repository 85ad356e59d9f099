"""From photos to a trained model on the command line: built, checked, counted, filtered, measured."""

import json
import tarfile
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from anonbench.detection import detectors
from anonbench.detection.files import write_detections
from tests.cli.conftest import Cli
from tests.detection.scenes import scene
from tests.pipeline.photos import Known, photo_album

ALBUM = {f"holiday/{i}.jpeg.png": i % 3 for i in range(18)}


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Eighteen photos with eighteen people, whom every detector finds."""
    detector: Known = photo_album(tmp_path / "photos", ALBUM)
    monkeypatch.setattr(detectors, "load_detector", lambda spec: detector)
    return tmp_path / "photos"


@pytest.fixture
def people(cli: Cli, photos: Path, tmp_path: Path) -> Path:
    """These people as train/ and val/."""
    result = cli(
        "data", "build", photos, "-o", tmp_path / "people", "--split", 0.4, "--workers", 1, "--max-outside", 1
    )
    assert result.code == 0, result.err
    return tmp_path / "people"


def test_a_build_says_what_it_found(cli: Cli, photos: Path, tmp_path: Path) -> None:
    result = cli("data", "build", photos, "-o", tmp_path / "people", "--workers", 1, "--max-outside", 1)
    assert result.out.splitlines() == [
        f"{tmp_path / 'people' / 'train'}: 18 crops in 1 shard",
        "  images: 18, 6 of them without people",
        "  people found: 18",
    ]
    assert "next: anonbench data check" in result.err


def test_detection_files_need_no_detector(cli: Cli, tmp_path: Path) -> None:
    for number in range(2):
        image, people = scene(1, (160, 200), number)
        (tmp_path / "photos" / "day").mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(tmp_path / "photos" / "day" / f"{number}.png")
        write_detections(tmp_path / "found" / "day" / f"{number}.png.json", people, image)
    build = (
        "data",
        "build",
        tmp_path / "photos",
        "-o",
        tmp_path / "people",
        "--workers",
        1,
        "--max-outside",
        1,
        "--detector",
    )
    result = cli(*build, f"file={tmp_path / 'found'}")
    assert result.code == 0, result.err
    assert "  people found: 2" in result.out
    (tmp_path / "found" / "day" / "1.png.json").unlink()
    assert "no detections of day/1.png" in cli(*build, f"file={tmp_path / 'found'}").error
    assert "no such folder" in cli(*build, f"file={tmp_path / 'nothing'}").error
    assert "unknown detector 'yolo'" in cli(*build, "yolo").error


def test_people_who_are_dropped_are_counted(cli: Cli, photos: Path, tmp_path: Path) -> None:
    result = cli("data", "build", photos, "-o", tmp_path / "people", "--workers", 1, "--min-height", 999)
    assert result.code == 3
    assert "dropped: 18 too small" in result.error


def test_bad_photos_end_a_build_or_are_left_out(cli: Cli, photos: Path, tmp_path: Path) -> None:
    (photos / "broken.jpg").write_bytes(b"?")
    build = ("data", "build", photos, "-o", tmp_path / "people", "--workers", 1, "--max-outside", 1)
    assert "broken.jpg: not an image" in cli(*build).error
    result = cli(*build, "--skip-bad")
    assert result.code == 0, result.err
    assert "  files left out: 1" in result.out
    assert "broken.jpg" in result.err


def test_what_is_built_passes_the_check_in_both_splits(cli: Cli, people: Path) -> None:
    result = cli("data", "check", f"fdh={people}")
    assert result.code == 0, result.err
    splits = [line for line in result.out.splitlines() if line.startswith("fdh/")]
    assert [line.split(":")[0] for line in splits] == ["fdh/train", "fdh/val"]
    assert all("crops of 288x160" in line for line in splits)


def test_the_members_are_those_of_fdh(people: Path) -> None:
    with tarfile.open(people / "train" / "out-000000.tar") as archive:
        names = archive.getnames()
    key = names[0].split(".")[0]
    members = ("image.png", "mask.png", "maskrcnn_mask.png", "vertices.npy", "e_mask.png", "keypoints.npy")
    assert names[:6] == [f"{key}.{member}" for member in members]


def test_protocols_measure_on_what_is_built(cli: Cli, photos: Path, own_cache: Path, tmp_path: Path) -> None:
    people = tmp_path / "people"
    assert (
        cli("data", "build", photos, "-o", people, "--split", "val", "--workers", 1, "--max-outside", 1).code
        == 0
    )
    for protocol in ("fid", "lpips"):
        result = cli(
            "run", protocol, "--data", f"fdh={people}", "--model", "blackout", "--preset", "smoke", "--json"
        )
        assert result.code == 0, result.err
        assert '"fdh/val"' in result.out


def test_training_starts_from_what_is_built_and_kept(cli: Cli, people: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept.csv"
    result = cli("data", "filter", "--by", "vertices", "--drop", 0.2, "--data", f"fdh={people}", "-o", kept)
    assert result.code == 0, result.err
    result = cli(
        "train", "final", "--data", f"fdh={people}", "--keep", kept, "--out", tmp_path / "run",
        "--images", 4, "--workers", 0, "--accelerator", "cpu", "--set", "training.batch_size=4",
        "--set", "architecture.generator.base_channels=8", "--set", "architecture.discriminator.base_channels=8",
        "--set", "architecture.appearance_mapper.base_channels=8",
    )  # fmt: skip
    assert result.code == 0, result.err
    assert (tmp_path / "run" / "final.safetensors").exists()


def test_statistics_are_printed_and_plotted(cli: Cli, people: Path, tmp_path: Path) -> None:
    plot = tmp_path / "plots" / "vertices.png"
    result = cli("data", "stats", f"fdh={people}", "--plot", plot)
    assert result.code == 0, result.err
    assert "detection surface: " in result.out
    assert "images with 0 people: " in result.out
    assert "shows head: 100.0 %" in result.out
    assert "vertices_per_part: 0 %: " in result.out
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_statistics_as_json_hold_the_same(cli: Cli, people: Path) -> None:
    found = json.loads(cli("data", "stats", f"fdh={people}", "--split", "val", "--json").out)
    assert found["name"] == "fdh/val"
    assert (
        found["crops"]
        == found["outcomes"]["surface"]
        == sum(int(n) * images for n, images in found["people_per_image"].items())
    )


def test_the_middle_group_is_drawn_reviewed_and_kept(cli: Cli, people: Path, tmp_path: Path) -> None:
    kept, sheet = tmp_path / "kept.csv", tmp_path / "look.png"
    filtering = (
        "data", "filter", "--by", "vertices", "--drop-below", 1, "--keep-above", 100000,
        "--data", f"fdh={people}", "-o", kept,
    )  # fmt: skip
    result = cli(*filtering, "--sheet", sheet)
    assert result.code == 0, result.err
    assert "0 of them decided" in result.out
    assert "column kept" in result.err
    assert sheet.read_bytes().startswith(b"\x89PNG")

    table = pd.read_csv(kept, dtype=str)
    assert list(table.columns) == ["key", "vertices", "parts", "vertices_per_part", "group", "kept"]
    table.loc[0, "kept"] = "true"
    table.to_csv(kept, index=False)
    assert "1 of them decided" in cli(*filtering).out
    assert pd.read_csv(kept, dtype=str)["kept"].dropna().tolist() == ["True"]
    stats = ("data", "stats", f"fdh={people}", "--plot", tmp_path / "groups.pdf", "--keep", kept)
    assert cli(*stats).code == 0
    assert (tmp_path / "groups.pdf").read_bytes().startswith(b"%PDF")
    table.assign(key="other").to_csv(kept, index=False)
    assert "names no crop of fdh/train" in cli(*stats).error


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("build", "ROOT/none", "-o", "ROOT/out"), 3, "no such file"),
        (("build", "ROOT/photos", "-o", "ROOT/out", "--every", 2), 2, "--every is for videos"),
        (("build", "ROOT/photos", "-o", "ROOT/out", "--split", "test"), 2, "train, val, or the share"),
        (("build", "ROOT/photos", "-o", "ROOT/out", "--split", "nan"), 2, "train, val, or the share"),
        (("filter", "--by", "vertices", "--model", "final"), 2, "--model means nothing with --by vertices"),
        (("filter", "--by", "reconstruction"), 2, "needs --model NAME"),
        (("filter", "--by", "reconstruction", "--sheet", "x.png"), 2, "--sheet means nothing"),
        (("filter", "--by", "vertices", "--sheet", "x.png"), 2, "add --keep-above"),
        (("filter", "--by", "vertices", "--drop", 0.1, "--drop-below", 5), 2, "give one"),
        (("filter", "--by", "vertices", "--drop-below", 9, "--keep-above", 5), 2, "exchange them"),
        (("stats", "fdh=ROOT/people", "--keep", "x.csv"), 2, "add --plot"),
        (("stats", "fdh=ROOT/people", "--plot", "x.jpg"), 2, "change the ending"),
        (("stats", "nothing"), 2, "unknown data 'nothing'"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    cli: Cli, people: Path, tmp_path: Path, arguments: tuple[object, ...], code: int, message: str
) -> None:
    if arguments[0] == "filter":
        arguments = (*arguments, "--data", "fdh=ROOT/people", "-o", "ROOT/kept.csv")
    result = cli("data", *(str(a).replace("ROOT", str(tmp_path)) for a in arguments))
    assert result.code == code, result.err
    assert message in result.error


def test_a_list_of_something_else_is_not_overwritten(cli: Cli, people: Path, tmp_path: Path) -> None:
    other = tmp_path / "shopping.csv"
    other.write_text("item,price\nmilk,1\n")
    result = cli("data", "filter", "--by", "vertices", "--drop", 0.1, "--data", f"fdh={people}", "-o", other)
    assert result.code == 3
    assert "not a list that" in result.error
    assert other.read_text() == "item,price\nmilk,1\n"
