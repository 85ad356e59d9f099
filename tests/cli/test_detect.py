"""`anonbench detect`: files for photos, what is kept, and what is refused."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from anonbench.crops import Outcome
from anonbench.detection import coco_masks
from anonbench.detection.files import read_detections
from anonbench.detection.people import Person, PersonDetections
from tests.cli.conftest import Cli
from tests.detection.scenes import scene
from tests.pipeline.clip_files import pictures, write_video


class BrightPeople:
    """Everything brighter than 200 is one person, seen from head to foot."""

    name, digest = "mediapipe", "bright people"
    asked = 0

    def require(self) -> None: ...

    def detect(self, image: torch.Tensor) -> PersonDetections:
        type(self).asked += 1
        person = Person.of_mask((image > 200).all(dim=0), 0.75)
        return PersonDetections((image.shape[1], image.shape[2]), (person,) if person else ())


@pytest.fixture(autouse=True)
def backend(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> type[BrightPeople]:
    monkeypatch.setattr("anonbench.detection.mediapipe_people.MediapipePeople", BrightPeople)
    monkeypatch.setattr(BrightPeople, "asked", 0)
    return BrightPeople


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A person in a/x.png and in y.jpg, nobody in z.png, and a text."""
    folder = tmp_path / "photos"
    (folder / "a").mkdir(parents=True)
    pixels = torch.zeros(40, 30, 3, dtype=torch.uint8)
    Image.fromarray(pixels.numpy()).save(folder / "z.png")
    pixels[10:30, 10:20] = 255
    Image.fromarray(pixels.numpy()).save(folder / "a" / "x.png")
    Image.fromarray(pixels.numpy()).save(folder / "y.jpg")
    (folder / "notes.txt").write_text("no image")
    return folder


def people_in(path: Path) -> int:
    return len(read_detections(path))


def test_a_folder_gets_a_file_per_photo_under_its_relative_name(
    cli: Cli, photos: Path, tmp_path: Path
) -> None:
    result = cli("detect", photos, "-o", tmp_path / "people")
    assert result.code == 0, result.err
    assert {p: people_in(tmp_path / "people" / p) for p in ("a/x.png.json", "y.jpg.json", "z.png.json")} == {
        "a/x.png.json": 1,
        "y.jpg.json": 1,
        "z.png.json": 0,
    }
    assert result.out.splitlines() == [
        "3 images, 2 people",
        "  mask_only 2 (100.0%)",
        "nobody in 1, check these by eye: z.png",
    ]


def test_one_photo_is_enough_and_an_overlay_shows_who_was_found(
    cli: Cli, photos: Path, tmp_path: Path
) -> None:
    result = cli("detect", photos / "a" / "x.png", "-o", tmp_path / "people", "--overlay")
    assert result.code == 0, result.err
    assert sorted(p.name for p in (tmp_path / "people").iterdir()) == ["x.png.json", "x.png.overlay.jpg"]
    assert Image.open(tmp_path / "people" / "x.png.overlay.jpg").size == (30, 40)
    stored = json.loads((tmp_path / "people" / "x.png.json").read_text())
    assert stored["image"]["name"] == "x.png"
    assert stored["detector"] == "mediapipe"


def test_a_second_run_detects_nothing_even_into_another_folder(
    cli: Cli, photos: Path, tmp_path: Path, backend: type[BrightPeople]
) -> None:
    first, again, other = (cli("detect", photos, "-o", tmp_path / name) for name in ("p", "p", "q"))
    assert first.out == again.out == other.out
    assert backend.asked == 3
    for name in ("a/x.png.json", "y.jpg.json", "z.png.json"):
        assert (tmp_path / "p" / name).read_bytes() == (tmp_path / "q" / name).read_bytes()


def test_files_of_hand_or_of_other_settings_are_not_replaced_unasked(
    cli: Cli, photos: Path, tmp_path: Path
) -> None:
    path = tmp_path / "people" / "y.jpg.json"
    path.parent.mkdir()
    by_hand = json.dumps({"version": 1, "image": {"size": [40, 30]}, "people": []})
    path.write_text(by_hand)
    refused = cli("detect", photos, "-o", tmp_path / "people")
    assert refused.code == 3
    assert "y.jpg.json: exists" in refused.error
    assert path.read_text() == by_hand
    assert cli("detect", photos, "-o", tmp_path / "people", "--overwrite").code == 0
    assert people_in(path) == 1
    assert cli("detect", photos, "-o", tmp_path / "people", "--min-score", 0.9).code == 3


def test_people_below_the_least_score_are_left_out(
    cli: Cli, photos: Path, tmp_path: Path, backend: type[BrightPeople]
) -> None:
    assert cli("detect", photos, "-o", tmp_path / "p").code == 0
    result = cli("detect", photos, "-o", tmp_path / "q", "--min-score", 0.9)
    assert result.out.splitlines()[0] == "3 images, 0 people"
    assert backend.asked == 3


def test_files_by_hand_become_files_with_surfaces(cli: Cli, tmp_path: Path) -> None:
    image, truth = scene(1)
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(tmp_path / "x.png")
    mask = torch.zeros(truth.size, dtype=torch.bool)
    mask[truth.people[0].window.slices] = truth.people[0].mask
    runs = {"size": truth.size, "counts": coco_masks.encode(mask)}
    people = [{"mask": runs, "keypoints": truth.people[0].keypoints.tolist()}]
    (tmp_path / "hand").mkdir()
    content = {"version": 1, "image": {"size": truth.size}, "people": people}
    (tmp_path / "hand" / "x.png.json").write_text(json.dumps(content))
    result = cli(
        "detect", tmp_path / "x.png", "-o", tmp_path / "all", "--detector", f"file={tmp_path / 'hand'}"
    )
    assert result.code == 0, result.err
    found = read_detections(tmp_path / "all" / "x.png.json", image)
    assert [p.outcome for p in found.people] == [Outcome.SURFACE]


def test_a_photo_without_a_file_is_refused(cli: Cli, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    result = cli("detect", photos, "-o", tmp_path / "p", "--detector", f"file={tmp_path / 'none'}")
    assert result.code == 3
    assert "no detections of a/x.png" in result.error


def test_unreadable_photos_stop_the_run_with_a_list_before_anything_is_written(
    cli: Cli, photos: Path, tmp_path: Path
) -> None:
    for name in ("text.jpg", "more.png"):
        (photos / name).write_text("no image")
    result = cli("detect", photos, "-o", tmp_path / "people")
    assert result.code == 3
    assert "2 of 5 images cannot be used: more.png, text.jpg" in result.error
    assert not (tmp_path / "people").exists()


@pytest.mark.parametrize("size", [(1, 1), (20_000, 10)])
def test_odd_sizes_are_detected(cli: Cli, tmp_path: Path, size: tuple[int, int]) -> None:
    Image.new("RGB", (size[1], size[0]), "white").save(tmp_path / "odd.png")
    result = cli("detect", tmp_path / "odd.png", "-o", tmp_path / "people", "--overlay")
    assert result.code == 0, result.err
    assert people_in(tmp_path / "people" / "odd.png.json") == 1


def test_an_unknown_detector_and_output_in_the_input_are_refused(
    cli: Cli, photos: Path, tmp_path: Path
) -> None:
    unknown = cli("detect", photos, "-o", tmp_path / "p", "--detector", "yolo")
    assert unknown.code == 2
    assert "file=DIR" in unknown.error
    assert cli("detect", photos, "-o", photos / "people").code == 2


def test_a_full_disk_is_told_in_one_line(
    cli: Cli, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("anonbench.pipeline.image_detection.write_detections", _full)
    result = cli("detect", photos, "-o", tmp_path / "elsewhere")
    assert result.code == 3
    assert "is the disk full" in result.error


def _full(*_: object) -> None:
    from anonbench.errors import CacheError

    raise CacheError("No space left on device")


def test_crops_take_any_detector_and_are_detected_once(
    cli: Cli, photos: Path, tmp_path: Path, backend: type[BrightPeople]
) -> None:
    first = cli("data", "detect", f"folder={photos}")
    assert first.out.splitlines() == ["folder: 3 crops", "  mask: 2", "  keypoints: 0", "  nothing: 1"]
    assert cli("data", "detect", f"folder={photos}", "--overwrite").out == first.out
    assert backend.asked == 3
    assert cli("detect", photos, "-o", tmp_path / "people").code == 0
    again = cli(
        "data", "detect", f"folder={photos}", "--overwrite", "--detector", f"file={tmp_path / 'people'}"
    )
    assert again.out == first.out


def test_doctor_says_which_detectors_are_usable(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    result = cli("doctor")
    assert result.code == 0
    lines = [line.split() for line in result.out.splitlines() if line.startswith("detector ")]
    assert [line[1] for line in lines] == ["mediapipe", "torchvision", "detectron2"]
    assert lines[0][2:] == ["ready"]


def test_frames_of_a_video_are_named_by_their_numbers(cli: Cli, tmp_path: Path) -> None:
    write_video(tmp_path / "clip.mp4", pictures(3))
    result = cli("detect", tmp_path / "clip.mp4", "-o", tmp_path / "people")
    assert result.code == 0, result.err
    assert result.out.splitlines()[0].startswith("3 images, ")
    assert sorted(p.name for p in (tmp_path / "people").glob("*.json")) == [
        f"00000{i}.json" for i in range(3)
    ]
