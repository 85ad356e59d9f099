"""Claims about the Market-1501 reader: names and counts are checked first, detections are read as stored."""

import json
import shutil

import pytest
import torch

from anonbench.crops import Outcome
from anonbench.datasets.market1501 import Market1501
from anonbench.errors import DataError
from tests.datasets.crop_folders import EMPTY_MASK, MASKED, NAMES, write_image, write_market, write_mask


@pytest.fixture
def root(tmp_path):
    return write_market(tmp_path / "market")


def test_rows_hold_what_the_names_say(root):
    samples = Market1501(root).samples.set_index("key")
    assert list(samples.index) == NAMES["query"] + NAMES["bounding_box_test"]
    assert samples.loc["-1_c1s1_000009_01.jpg"].to_dict() == {
        "person_id": -1,
        "camera_id": 1,
        "role": "gallery",
    }
    assert samples.loc["0000_c3s2_000012_02.jpg", "person_id"] == 0
    assert samples.loc["0002_c2s1_000005_00.jpg"].to_dict() == {
        "person_id": 2,
        "camera_id": 2,
        "role": "query",
    }


def test_crops_agree_with_the_rows_in_any_order(root):
    data = Market1501(root)
    assert data.size == (128, 64)
    assert len(data) == 7
    crops = data.load([6, 0, 2])
    assert crops.key == tuple(data.samples.key.iloc[[6, 0, 2]])
    assert crops.person_id.tolist() == [2, 1, -1]
    assert crops.camera_id.tolist() == [6, 1, 1]


def test_a_filled_mask_is_a_detection_and_an_empty_or_absent_one_is_none(root):
    data = Market1501(root)
    crops = data.load(range(len(data)))
    outcome = dict(zip(crops.key, crops.outcome.tolist(), strict=True))
    assert {key for key, value in outcome.items() if value == Outcome.MASK_ONLY} == {
        f"{s}.jpg" for s in MASKED
    }
    assert outcome[f"{EMPTY_MASK}.jpg"] == Outcome.NONE
    assert (crops.surface == -1).all()
    index = crops.key.index(f"{MASKED[0]}.jpg")
    assert crops.person_mask[index, 0, 64, 32]
    assert not crops.person_mask[index, 0, 0, 0]
    assert crops.keypoints[index, 16].tolist() == pytest.approx([32.0, 116.0, 0.9])


def test_without_detections_every_crop_is_none_and_a_note_says_so(tmp_path):
    data = Market1501(write_market(tmp_path, detections=False))
    assert (data.load(range(7)).outcome == Outcome.NONE).all()
    assert any("every crop has outcome none" in note for note in data.notes)


def test_a_subset_is_reported_with_its_counts(root):
    note = Market1501(root).notes[0]
    assert "subset" in note
    assert "2 of 3368 query" in note
    assert "5 of 19732 gallery" in note
    assert "2 of 1501 identities" in note


def test_training_images_are_read_where_they_exist(root):
    write_image(root / "bounding_box_train" / "0007_c1s1_000001_01.jpg")
    samples = Market1501(root).samples
    assert samples.role.tolist().count("train") == 1
    assert samples[samples.role == "train"].person_id.item() == 7


def test_keypoints_and_masks_follow_a_resize(root):
    small = Market1501(root, size=(64, 32)).load([0])
    whole = Market1501(root).load([0])
    assert small.size == (64, 32)
    torch.testing.assert_close(small.keypoints[..., :2], whole.keypoints[..., :2] / 2)
    assert small.person_mask.float().mean().item() == pytest.approx(
        whole.person_mask.float().mean().item(), abs=0.02
    )


def test_images_of_several_sizes_are_resized_to_one_with_a_note(root):
    write_image(root / "query" / "0003_c1s1_000001_00.jpg", size=(100, 40))
    data = Market1501(root, size=(128, 64))
    assert data.load([2]).size == (128, 64)
    assert any("100x40" in note for note in data.notes)


def test_other_files_in_the_folders_are_ignored(root):
    (root / "query" / "Thumbs.db").write_bytes(b"x")
    assert len(Market1501(root)) == 7


def test_the_folder_around_the_official_archive_is_accepted(tmp_path):
    write_market(tmp_path / "Market-1501-v15.09.15")
    assert len(Market1501(tmp_path)) == 7


@pytest.mark.parametrize("change", ["image", "mask", "keypoints", "name"])
def test_the_digest_follows_every_part_of_the_data(root, change):
    before = Market1501(root).digest
    assert Market1501(root).digest == before
    if change == "image":
        write_image(root / "query" / NAMES["query"][0], seed=99)
    elif change == "mask":
        write_mask(root / "masks" / f"{MASKED[0]}.png", filled=False)
    elif change == "keypoints":
        content = json.loads((root / "keypoints.json").read_text())
        content[f"{MASKED[0]}.jpg"][0][0] += 1
        (root / "keypoints.json").write_text(json.dumps(content))
    else:
        shutil.move(root / "query" / NAMES["query"][1], root / "query" / "0002_c2s1_000006_00.jpg")
    assert Market1501(root).digest != before


def bad(root, *parts, content=b"text"):
    path = root.joinpath(*parts)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("name", "mend"),
    [
        ("0001_0002_c1s1_000001_01.jpg", "more than one person id; keep one"),
        ("person.jpg", "not a Market-1501 name; rename"),
        ("0001_c7s1_000001_01.jpg", "not a Market-1501 name"),
        ("0001_c1s1_000001_01.png", "not a Market-1501 name"),
    ],
)
def test_a_wrong_name_is_an_error_before_any_image_is_read(root, name, mend):
    bad(root, "query", NAMES["query"][0])
    path = bad(root, "query", name)
    with pytest.raises(DataError, match=mend) as caught:
        Market1501(root)
    assert str(path) in str(caught.value)


def test_the_same_name_in_query_and_gallery_is_an_error(root):
    write_image(root / "bounding_box_test" / NAMES["query"][0])
    with pytest.raises(DataError, match=r"query/ and bounding_box_test/.*remove one"):
        Market1501(root)


def test_a_path_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(DataError, match="nowhere: no such folder"):
        Market1501(tmp_path / "nowhere")


def test_an_empty_folder_is_named(root):
    shutil.rmtree(root / "bounding_box_test")
    (root / "bounding_box_test").mkdir()
    with pytest.raises(DataError, match="bounding_box_test: holds no images"):
        Market1501(root)


def test_a_broken_image_ends_the_run_when_the_data_is_opened(root):
    path = bad(root, "query", NAMES["query"][0])
    bad(root, "bounding_box_test", NAMES["bounding_box_test"][0])
    with pytest.raises(DataError, match="not an image") as caught:
        Market1501(root)
    assert str(path) in str(caught.value)
    assert "1 more" in str(caught.value)


def test_a_mask_of_another_size_is_an_error_when_the_data_is_opened(root):
    write_mask(root / "masks" / f"{MASKED[0]}.png", size=(64, 64))
    with pytest.raises(DataError, match=r"the mask is 64x64 but its image is 128x64"):
        Market1501(root)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "not valid JSON"),
        ("[]", "must map file names"),
        ('{"a.jpg": [[1, 2, 3]]}', "key 'a.jpg': must be 17"),
        (json.dumps({"a.jpg": [[1, 2, 2]] * 17}), "visibility must lie in"),
        (json.dumps({"a.jpg": [[float("nan"), 2, 1]] * 17}), "must be 17 finite"),
    ],
)
def test_bad_keypoints_are_named_by_file_and_key(root, content, reason):
    (root / "keypoints.json").write_text(content)
    with pytest.raises(DataError, match=reason) as caught:
        Market1501(root)
    assert "keypoints.json" in str(caught.value)
