"""The factory: what is found in photos comes back from the shards, and nothing is lost without a word."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from anonbench.crops import NO_VERTEX, Outcome
from anonbench.datasets import shards as shards_module
from anonbench.datasets.fdh import FDHDataset
from anonbench.detection.cropping import crop_people
from anonbench.detection.people import Person, Window
from anonbench.errors import DataError, UsageError
from anonbench.pipeline.detected_crops import CropRules, DetectedCrops, Found, crop_key, find_people
from anonbench.pipeline.factory import build_report_path, build_shards, parted
from anonbench.pipeline.sources import PhotoFolder
from tests.detection.scenes import scene
from tests.pipeline.photos import SIZE, Known, photo_album

ALBUM = {"beach/b.1.png": 2, "a.png": 1, "empty.png": 0}


@pytest.fixture
def photos(tmp_path: Path) -> tuple[PhotoFolder, Known]:
    detector = photo_album(tmp_path / "photos", ALBUM)
    return PhotoFolder(tmp_path / "photos"), detector


def test_crops_come_back_from_the_shards_as_they_were_cut(
    photos: tuple[PhotoFolder, Known], tmp_path: Path
) -> None:
    source, detector = photos
    build_shards(source, detector, CropRules(max_outside=1), tmp_path / "out")
    dataset = FDHDataset(tmp_path / "out")
    stored = dataset.load(range(len(dataset)))
    expected = [
        crop_people(source.read(name), detector.detect(source.read(name)), cover_all=True)[0]
        for name in ("a.png", "beach/b.1.png")
    ]
    for field in ("image", "person_mask", "surface", "outcome"):
        assert torch.equal(getattr(stored, field), torch.cat([getattr(crops, field) for crops in expected]))
    assert stored.size == (288, 160)
    assert (stored.outcome == Outcome.SURFACE).all()


def test_the_report_says_what_was_found(photos: tuple[PhotoFolder, Known], tmp_path: Path) -> None:
    source, detector = photos
    (built,) = build_shards(source, detector, CropRules(max_outside=1), tmp_path / "out")
    assert (built.crops, built.shards, built.images, built.people) == (3, 1, 3, 3)
    assert built.people_per_image == {0: 1, 1: 1, 2: 1}
    assert built.dropped == {}
    stored = json.loads(build_report_path(tmp_path / "out", "train").read_text())
    assert stored["detector"] == "known"
    assert stored["rules"] == {"min_height": 72, "max_outside": 1}


def test_a_second_run_writes_nothing_and_other_photos_are_refused(
    photos: tuple[PhotoFolder, Known], tmp_path: Path
) -> None:
    source, detector = photos
    build_shards(source, detector, CropRules(), tmp_path / "out")
    shard = tmp_path / "out" / "train" / "out-000000.tar"
    before = shard.stat().st_mtime_ns
    build_shards(source, detector, CropRules(), tmp_path / "out")
    assert shard.stat().st_mtime_ns == before
    (tmp_path / "photos" / "a.png").unlink()
    with pytest.raises(DataError, match="holds shards of other data"):
        build_shards(PhotoFolder(tmp_path / "photos"), detector, CropRules(), tmp_path / "out")


def test_a_killed_run_goes_on_and_gives_the_same_bytes(
    photos: tuple[PhotoFolder, Known], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, detector = photos
    build_shards(source, detector, CropRules(max_outside=1), tmp_path / "whole", per_shard=1)

    written: list[str] = []
    write_one = shards_module._write_shard

    def killed(shard: Path, *rest: object) -> None:
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(shard.name)
        write_one(shard, *rest)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(shards_module, "_write_shard", killed)
        with pytest.raises(KeyboardInterrupt):
            build_shards(source, detector, CropRules(max_outside=1), tmp_path / "cut", per_shard=1)
    build_shards(source, detector, CropRules(max_outside=1), tmp_path / "cut", per_shard=1)
    for file in sorted((tmp_path / "whole" / "train").iterdir()):
        assert (tmp_path / "cut" / "train" / file.name).read_bytes() == file.read_bytes()


def test_no_image_is_read_to_find_out_about_a_data_set(photos: tuple[PhotoFolder, Known]) -> None:
    source, detector = photos
    found = find_people(source, detector, CropRules())
    detector.asked.clear()
    dataset = DetectedCrops("photos", source, detector, found)
    assert len(dataset) == len(dataset.samples)
    assert len(dataset.digest) == 64
    assert detector.asked == []


def test_an_image_is_read_once_for_all_its_people(photos: tuple[PhotoFolder, Known]) -> None:
    source, detector = photos
    dataset = DetectedCrops(
        "photos", source, detector, find_people(source, detector, CropRules(max_outside=1))
    )
    detector.asked.clear()
    crops = dataset.load([2, 1, 0])
    assert crops.key == tuple(dataset.samples["key"].iloc[[2, 1, 0]])
    assert detector.asked == ["beach/b.1.png", "a.png"]


def _corner(person: Person) -> Window:
    """The window of somebody of this size who stands in the top left corner."""
    return Window(0, 0, *person.window.size)


@pytest.mark.parametrize(
    ("rules", "change", "reason"),
    [
        (CropRules(), lambda p: p, ""),
        (CropRules(), lambda p: replace(p, surface=torch.full_like(p.surface, NO_VERTEX)), "no surface"),
        (CropRules(), lambda p: replace(p, mask=torch.zeros_like(p.mask)), "no surface"),
        (CropRules(min_height=400), lambda p: p, "too small"),
        (CropRules(max_outside=0.0), lambda p: replace(p, window=_corner(p)), "cut"),
    ],
)  # fmt: skip
def test_people_are_dropped_for_a_reason(rules: CropRules, change: object, reason: str) -> None:
    _, found = scene(1, (240, 240))
    assert callable(change)
    person: Person = change(found.people[0])
    assert rules.reason_to_drop(person, (240, 240)) == reason


def test_nobody_left_to_write_is_an_error_that_says_why(
    photos: tuple[PhotoFolder, Known], tmp_path: Path
) -> None:
    source, detector = photos
    with pytest.raises(
        DataError, match="photos: nobody to write to train; 3 images, 3 people, dropped: 3 too small"
    ):
        build_shards(source, detector, CropRules(min_height=1000), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_keys_fit_into_shards_and_differ() -> None:
    names = ["a.b/c.jpg", "a_b/c.jpg", "a.b/c.png", "ümlaut weiß.jpg", "x" * 300 + ".jpg"]
    keys = [crop_key(name, person) for name in names for person in (0, 1)]
    assert len(set(keys)) == len(keys)
    assert all(key.isascii() and "." not in key and "/" not in key and len(key) < 64 for key in keys)
    assert crop_key("a.b/c.jpg", 0) == "a_b_c-" + keys[0].split("-")[1] + "-0"


def album(names: list[str]) -> Found:
    people = pd.DataFrame({"image": names, "person": 0, "key": names, "reason": ""})
    return Found(pd.DataFrame({"name": names, "sha256": "0"}), people)


def test_photos_keep_their_split_when_others_are_added() -> None:
    names = [f"{i}.jpg" for i in range(400)]
    few, many = parted(album(names[::2]), 0.25, False), parted(album(names), 0.25, False)
    assert set(few["val"].people["image"]) == set(many["val"].people["image"]) & set(names[::2])
    assert 60 < len(many["val"].images) < 140
    assert sorted(pd.concat([part.images["name"] for part in many.values()])) == sorted(names)


def test_the_end_of_a_video_goes_to_val() -> None:
    names = [f"{i:06d}" for i in range(10)]
    parts = parted(album(names), 0.2, successive=True)
    assert parts["train"].images["name"].tolist() == names[:8]
    assert parts["val"].people["image"].tolist() == names[8:]


@pytest.mark.parametrize("split", ["test", "0", "1", "1.5", "nan", "-0.1"])
def test_other_splits_are_refused(photos: tuple[PhotoFolder, Known], tmp_path: Path, split: str) -> None:
    with pytest.raises(UsageError, match=f"--split {split}: train, val, or the share"):
        build_shards(*photos, CropRules(), tmp_path / "out", split)


def test_surfaces_of_another_template_are_refused(photos: tuple[PhotoFolder, Known]) -> None:
    source, _ = photos

    class Other(Known):
        def detect(self, image: torch.Tensor, name: str | None = None):  # type: ignore[no-untyped-def]
            return replace(super().detect(image, name), template="smpl_27554")

    with pytest.raises(DataError, match="of the body template 'smpl_27554'"):
        find_people(source, Other(), CropRules())


def test_half_a_crop_beyond_the_image_is_more_than_allowed() -> None:
    _, found = scene(1, SIZE)
    person = found.people[0]
    corner = _corner(person)
    shares = np.linspace(0, 1, 11)
    reasons = [
        CropRules(1, share).reason_to_drop(replace(person, window=corner), corner.size) for share in shares
    ]
    assert reasons[0] == "cut"
    assert reasons[-1] == ""
    assert reasons == sorted(reasons, reverse=True)
