"""Claims about detection files: what is written reads back, and what is wrong is named with its key."""

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from anonbench.crops import Outcome
from anonbench.detection import coco_masks
from anonbench.detection.file_format import StoredDetections, StoredImage, StoredPerson, StoredSurfaces
from anonbench.detection.files import image_digest, read_detections, write_detections
from anonbench.detection.people import PersonDetections
from anonbench.errors import DataError
from tests.detection.scenes import scene

TRIANGLE = [2, 2, 10, 2, 10, 8]


def assert_equal(a, b):
    assert (a.size, a.template, len(a)) == (b.size, b.template, len(b))
    for one, other in zip(a.people, b.people, strict=True):
        assert (one.box, one.score, one.window) == (other.box, other.score, other.window)
        assert torch.equal(one.mask, other.mask)
        assert torch.equal(one.surface, other.surface)
        assert torch.equal(one.keypoints, other.keypoints)


def hand_written(path, people, size=(12, 16), **keys):
    path.write_text(json.dumps({"version": 1, "image": {"size": size}, "people": people} | keys))
    return path


def edited(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.fixture
def written(tmp_path):
    image, detections = scene(2)
    path = tmp_path / "a.jpg.json"
    write_detections(path, detections, image, name="a.jpg")
    return path


@settings(max_examples=12)
@given(people=st.integers(0, 5), seed=st.integers(0, 1000))
def test_what_is_written_reads_back_to_the_bit(tmp_path_factory, people, seed):
    image, detections = scene(people, seed=seed)
    rng = torch.Generator().manual_seed(seed)
    moved = [replace(p, keypoints=torch.rand(17, 3, generator=rng)) for p in detections.people]
    detections = detections.with_people(moved)
    path = tmp_path_factory.mktemp("files") / "x.json"
    write_detections(path, detections, image)
    assert_equal(read_detections(path, image), detections)
    assert_equal(read_detections(path), detections)


def test_every_outcome_reads_back(tmp_path):
    image, detections = scene(3)
    people = list(detections.people)
    people[1] = replace(people[1], surface=torch.full_like(people[1].surface, -1))
    people[2] = replace(
        people[2], mask=torch.zeros_like(people[2].mask), surface=torch.full_like(people[2].surface, -1)
    )
    detections = detections.with_people(people)
    write_detections(tmp_path / "x.json", detections, image)
    found = read_detections(tmp_path / "x.json", image)
    assert [p.outcome for p in found.people] == [Outcome.SURFACE, Outcome.MASK_ONLY, Outcome.NONE]
    assert_equal(found, detections)


def test_equal_detections_are_equal_bytes(tmp_path):
    image, detections = scene(2)
    for folder in "ab":
        write_detections(tmp_path / folder / "x.json", detections, image)
    for name in ("x.json", "x.npz"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_digest_is_what_the_docs_say(tmp_path):
    image, _ = scene(1)
    path = tmp_path / "x.png"
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(path)
    assert image_digest(image) == hashlib.sha256(np.asarray(Image.open(path)).tobytes()).hexdigest()


def test_nobody_is_a_valid_file_and_old_surfaces_go(written):
    image, detections = scene(2)
    assert written.with_suffix(".npz").is_file()
    write_detections(written, detections.with_people([]), image)
    assert len(read_detections(written, image)) == 0
    assert not written.with_suffix(".npz").exists()


def test_a_box_alone_is_a_person_to_blur(tmp_path):
    path = hand_written(tmp_path / "x.json", [{"box": [2.5, -3, 8, 6.2]}])
    (person,) = read_detections(path).people
    assert person.outcome == Outcome.MASK_ONLY
    assert person.score == 1
    assert int(person.mask.sum()) == 6 * 7


def test_polygons_are_a_mask_and_their_bounds_the_box(tmp_path):
    path = hand_written(tmp_path / "x.json", [{"polygons": [TRIANGLE, [12, 1, 15, 1, 15, 4, 12, 4]]}])
    (person,) = read_detections(path).people
    assert person.outcome == Outcome.MASK_ONLY
    x0, y0, x1, y1 = person.box
    assert (x0, y0) == pytest.approx((2, 1), abs=1)
    assert (x1, y1) == pytest.approx((15, 8), abs=1)
    assert person.mask.sum() == pytest.approx(24 + 9, abs=8)


def test_a_file_of_another_image_names_both(written):
    image, _ = scene(2)
    other = 255 - image
    with pytest.raises(
        DataError, match=rf"{image_digest(image)[:12]} \('a.jpg'\).*{image_digest(other)[:12]}"
    ):
        read_detections(written, other)
    with pytest.raises(DataError, match=r"of 120x160 \('a.jpg'\), but this one is 60x160"):
        read_detections(written, image[:, :60])


def test_without_a_digest_any_image_of_the_size_will_do(tmp_path):
    path = hand_written(tmp_path / "x.json", [{"polygons": [TRIANGLE]}])
    assert len(read_detections(path, torch.zeros(3, 12, 16, dtype=torch.uint8))) == 1


def test_surfaces_of_another_run_are_refused(written):
    image, detections = scene(2)
    write_detections(written.with_name("b.json"), detections.with_people(detections.people[:1]), image)
    written.with_name("b.npz").replace(written.with_suffix(".npz"))
    with pytest.raises(DataError, match=r"a\.jpg\.npz: not the surfaces"):
        read_detections(written, image)


def test_a_run_killed_between_its_two_files_leaves_no_new_ones(tmp_path, monkeypatch):
    image, detections = scene(1)

    def killed(path, text):
        raise KeyboardInterrupt

    monkeypatch.setattr("anonbench.detection.files.write_text", killed)
    with pytest.raises(KeyboardInterrupt):
        write_detections(tmp_path / "x.json", detections, image)
    assert [p.name for p in tmp_path.iterdir()] == ["x.npz"]


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (lambda c: c.pop("version"), "version"),
        (lambda c: c.update(version=2), "version"),
        (lambda c: c.pop("people"), "people"),
        (lambda c: c.update(persons=[]), "persons"),
        (lambda c: c["image"].pop("size"), "image.size"),
        (lambda c: c["image"].update(size=[0, 160]), "image.size.0"),
        (lambda c: c["image"].update(size=[10**6, 10**6]), "image.size"),
        (lambda c: c["image"].update(sha256="12ab"), "image.sha256"),
        (lambda c: c["surfaces"].update(file="../a.npz"), "surfaces.file"),
        (lambda c: c["people"][1].update(box=[1, 2, 3]), "people.1.box.3"),
        (lambda c: c["people"][1].update(score=1.5), "people.1.score"),
        (lambda c: c["people"][1].update(outcome="blurred"), "people.1.outcome"),
        (lambda c: c["people"][1].update(outcome="mask_only"), "people.1.outcome"),
        (lambda c: c["people"][1]["mask"].update(size=[60, 160]), "people.1.mask.size"),
        (lambda c: c["people"][1]["mask"].update(counts=""), "people.1.mask.counts"),
        (lambda c: c["people"][1]["mask"].update(counts="0o"), "people.1.mask.counts"),
        (lambda c: c["people"][1]["mask"].update(counts="ooooo0"), "people.1.mask.counts"),
        (lambda c: c["people"][1]["mask"].update(counts="é"), "people.1.mask.counts"),
        (lambda c: c["people"][1].update(window=[0, 0, 1, 1]), "people.1.window"),
        (lambda c: c["people"][1].update(window=[0, 0, 121, 160]), "people.1.window"),
        (lambda c: c["people"][1].update(window=[5, 5, 5, 9]), "people.1.window"),
        (lambda c: c["people"][1].update(window=[0, 0, 120, 160]), "people.1.surface"),
        (lambda c: c["people"][1].update(keypoints=[[1, 2, 0.5]] * 16), "people.1.keypoints"),
        (lambda c: c["people"][1].update(keypoints=[[1, 2, 2]] * 17), "people.1.keypoints.0.2"),
        (lambda c: c["people"][1].update(keypoints=[[float("nan"), 2, 1]] * 17), "people.1.keypoints.0.0"),
        (lambda c: c["people"][1].update(keypoints=[[1, float("inf"), 1]] * 17), "people.1.keypoints.0.1"),
    ],
)
def test_a_broken_key_is_named(written, change, key):
    edited(written, change)
    with pytest.raises(DataError, match=rf"a\.jpg\.json: key '{key}'"):
        read_detections(written)


@pytest.mark.parametrize(
    ("person", "key"),
    [
        ({}, "mask"),
        ({"box": [20, 2, 30, 8]}, "box"),
        ({"box": [8, 2, 4, 8]}, "box"),
        ({"polygons": [[1, 1, 5, 5]]}, "polygons"),
        ({"polygons": [[1, 1, 5, 5, 7]]}, "polygons"),
        ({"polygons": [[1, 1, 17, 1, 5, 5]]}, "polygons"),
        ({"polygons": [[1, 1, 5, 1, 5, 1e300]]}, "polygons"),
        ({"box": [1, 1, 5, 5], "keypoints": [[1, 1, 1]] * 17}, "keypoints"),
    ],
)
def test_a_person_that_cannot_be_is_named(tmp_path, person, key):
    path = hand_written(tmp_path / "x.json", [{"box": [1, 1, 5, 5]}, person])
    with pytest.raises(DataError, match=rf"x\.json: key 'people\.1\.{key}'"):
        read_detections(path)


@pytest.mark.parametrize("content", [b"not JSON", b"[]", b"\xff\xfe", b'{"version": 1'])
def test_what_is_no_json_object_is_named(tmp_path, content):
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"x\.json"):
        read_detections(path)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"0": np.full((4, 4), 13_380)},
            r"people\.0\.surface': vertex 13380, but 'makehuman_13380' has 0 to 13379",
        ),
        ({"0": np.full((4, 4), -2)}, r"people\.0\.surface': vertex -2"),
        ({"0": np.full((4, 5), 3)}, r"people\.0\.surface': must be integers of the shape \(4, 4\)"),
        ({"0": np.full((4, 4), 0.5)}, r"people\.0\.surface': must be integers"),
        ({"1": np.full((4, 4), 3)}, r"x\.npz: array '1' is of none of the 1 people"),
        ({"0": np.zeros((500, 500))}, r"x\.npz: a surface is larger than its image"),
        ({"0": np.array([{}], dtype=object)}, r"x\.npz: not an \.npz of surfaces"),
    ],
)
def test_wrong_surfaces_are_named(tmp_path, arrays, message):
    np.savez_compressed(tmp_path / "x.npz", **arrays)
    path = hand_written(tmp_path / "x.json", [{"box": [1, 1, 5, 5]}], surfaces={"file": "x.npz"})
    with pytest.raises(DataError, match=message):
        read_detections(path)


def test_surfaces_that_are_no_archive_are_named(tmp_path):
    path = hand_written(tmp_path / "x.json", [{"box": [1, 1, 5, 5]}], surfaces={"file": "x.npz"})
    with pytest.raises(DataError, match=r"x\.npz: cannot read"):
        read_detections(path)
    (tmp_path / "x.npz").write_text("no archive")
    with pytest.raises(DataError, match=r"x\.npz: not an \.npz"):
        read_detections(path)


def test_vertices_of_another_template_keep_their_range(tmp_path):
    np.savez(tmp_path / "x.npz", **{"0": np.full((4, 4), 20_000)})
    keys = {"surfaces": {"file": "x.npz"}, "template": "smpl_27554"}
    path = hand_written(tmp_path / "x.json", [{"box": [1, 1, 5, 5]}], **keys)
    found = read_detections(path)
    assert found.template == "smpl_27554"
    assert (found.people[0].surface == 20_000).all()


@pytest.mark.parametrize("size", [(1, 1), (20_000, 10), (3, 5_000)])
def test_masks_of_any_shape_survive_run_length_coding(size):
    mask = torch.rand(size, generator=torch.Generator().manual_seed(0)) > 0.5
    assert torch.equal(coco_masks.decode(coco_masks.encode(mask), size), mask)


@settings(max_examples=120)
@given(counts=st.text(alphabet=[chr(c) for c in range(47, 113)], max_size=30))
def test_no_run_lengths_give_a_mask_of_uninitialised_memory(counts):
    try:
        mask = coco_masks.decode(counts, (9, 7))
    except ValueError:
        return
    assert coco_masks.encode(mask) == counts


def test_people_outside_the_image_cannot_be_made():
    _, detections = scene(1)
    with pytest.raises(ValueError, match="leaves the image"):
        PersonDetections((10, 10), detections.people)


def test_the_shortest_file_in_the_docs_works(tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "detect.md").read_text()
    (example,) = re.findall(r"```json\n(.*?)```", page, flags=re.DOTALL)
    (tmp_path / "x.json").write_text(example)
    assert [p.outcome for p in read_detections(tmp_path / "x.json").people] == [Outcome.MASK_ONLY]


def test_every_key_is_in_the_docs():
    page = (Path(__file__).parents[2] / "docs" / "detect.md").read_text()
    for schema in (StoredDetections, StoredPerson, StoredImage, StoredSurfaces):
        for key in schema.model_fields:
            assert re.search(rf"`(\w+\.)?{key}(\.\w+)?`", page), key
