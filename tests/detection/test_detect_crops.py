"""Claims about detections written beside crops: what was found reads back, what was there is kept."""

import subprocess
import sys

import pytest
import torch

from anonbench.crops import Outcome
from anonbench.datasets.folder import ImageFolder
from anonbench.datasets.market1501 import Market1501
from anonbench.detection import mediapipe_pose
from anonbench.detection.cached import DetectionCounts, detect_dataset
from anonbench.detection.people import Person, PersonDetections
from anonbench.errors import DataError, UsageError
from tests.datasets.crop_folders import write_image, write_market, write_mask
from tests.detection.scenes import scene


def found_in(image):
    """Who is seen: a box and joints that depend on the pixels, nobody in one image of three."""
    brightness = int(image.long().sum())
    if brightness % 3 == 0:
        return None
    mask = torch.zeros(image.shape[1:], dtype=torch.bool)
    mask[10 : 20 + brightness % 50, 5:30] = True
    joints = torch.arange(51).reshape(17, 3) * (1 + brightness % 7) / 8
    return mask, torch.cat([joints[:, :2], (joints[:, 2:] / 64).clamp(max=1)], dim=1).round(decimals=3)


class Sees:
    """A detector that finds what a function says: masks and keypoints of people, or none."""

    name, digest = "sees", "d" * 64

    def __init__(self, function):
        self._function = function
        self.names = []

    def require(self):
        pass

    def detect(self, image, name=None):
        self.names.append(name)
        found = self._function(image)
        people = [Person.of_mask(mask, 0.9, keypoints) for mask, keypoints in ([found] if found else [])]
        return PersonDetections(tuple(image.shape[1:]), tuple(p for p in people if p))


def assert_read_back(data):
    crops = data.load(range(len(data)))
    for i, file in enumerate(data.files):
        found = found_in(crops.image[i])
        assert (file.mask is None) == (found is None)
        if found is None:
            assert crops.outcome[i] == Outcome.NONE
            assert not crops.keypoints[i].any()
        else:
            assert crops.outcome[i] == Outcome.MASK_ONLY
            assert torch.equal(crops.person_mask[i, 0], found[0])
            assert torch.allclose(crops.keypoints[i], found[1], atol=1e-4)


def test_market1501_reads_back_what_was_found(tmp_path):
    root = write_market(tmp_path / "market", detections=False)
    before = Market1501(root)
    counts = detect_dataset(before, Sees(found_in))
    after = Market1501(root)
    nobody = sum(found_in(image) is None for image in before.load(range(7)).image)
    assert 0 < nobody < 7
    assert counts == DetectionCounts(crops=7, masks=7 - nobody, keypoints=7 - nobody)
    assert_read_back(after)
    assert after.digest != before.digest


def test_the_wrapped_official_archive_gets_its_detections_where_they_are_read(tmp_path):
    write_market(tmp_path / "Market-1501-v15.09.15", detections=False)
    detect_dataset(Market1501(tmp_path), Sees(found_in))
    assert_read_back(Market1501(tmp_path))


def test_nested_folders_read_back_what_was_found_in_pixels_of_the_file(tmp_path):
    for seed, name in enumerate(["a/x.png", "b/x.png", "b/y.png", "z.png"]):
        write_image(tmp_path / name, seed, size=(96, 40))
    detect_dataset(ImageFolder(tmp_path, size=(32, 16)), Sees(found_in))
    assert_read_back(ImageFolder(tmp_path))


def test_masks_and_keypoints_are_counted_apart(tmp_path):
    dark, bright = torch.zeros(128, 64, dtype=torch.bool), torch.ones(128, 64, dtype=torch.bool)
    unseen, seen = torch.zeros(17, 3), torch.ones(17, 3)
    answers = iter([(bright, unseen), (dark, seen), None, (bright, seen)])
    for seed in range(4):
        write_image(tmp_path / f"{seed}.png", seed)
    counts = detect_dataset(ImageFolder(tmp_path), Sees(lambda _: next(answers)))
    assert counts == DetectionCounts(crops=4, masks=2, keypoints=1)


def test_the_subject_is_who_covers_most_of_the_crop(tmp_path):
    write_image(tmp_path / "a" / "x.png", 1, size=(120, 160))
    detector = Sees(found_in)
    _, everybody = scene(3)
    detector.detect = lambda image, name: everybody
    detect_dataset(ImageFolder(tmp_path), detector)
    crops = ImageFolder(tmp_path, size=(120, 160)).load([0])
    assert int(crops.person_mask.sum()) == max(int(p.mask.sum()) for p in everybody.people)


def test_a_detector_is_told_the_names_of_the_crops(tmp_path):
    write_image(tmp_path / "a" / "x.png", 1)
    detector = Sees(found_in)
    detect_dataset(ImageFolder(tmp_path), detector)
    assert detector.names == ["a/x.png"]


def test_existing_detections_are_refused_before_anything_is_detected(tmp_path):
    root = write_market(tmp_path / "market")
    kept = {path: path.read_bytes() for path in [*(root / "masks").iterdir(), root / "keypoints.json"]}
    with pytest.raises(DataError, match="--overwrite"):
        detect_dataset(Market1501(root), Sees(lambda image: pytest.fail("looked at an image")))
    assert {path: path.read_bytes() for path in kept} == kept


def test_masks_in_the_parent_folder_count_as_existing(tmp_path):
    write_image(tmp_path / "crops" / "x.png")
    write_mask(tmp_path / "masks" / "x.png")
    with pytest.raises(DataError, match=r"masks/x\.png: .* --overwrite"):
        detect_dataset(ImageFolder(tmp_path / "crops"), Sees(found_in))


def test_overwriting_also_removes_the_masks_of_crops_in_which_nobody_is_found(tmp_path):
    root = write_market(tmp_path / "market")
    detect_dataset(Market1501(root), Sees(lambda image: None), overwrite=True)
    assert not list((root / "masks").iterdir())
    assert (Market1501(root).load(range(7)).outcome == Outcome.NONE).all()
    detect_dataset(Market1501(root), Sees(found_in), overwrite=True)
    assert_read_back(Market1501(root))


def test_an_interrupted_detection_leaves_the_data_as_they_were(tmp_path):
    root = write_market(tmp_path / "market", detections=False)
    answers = iter([found_in, found_in])
    with pytest.raises(StopIteration):
        detect_dataset(Market1501(root), Sees(lambda image: next(answers)(image)))
    assert {path.name for path in root.iterdir()} == {"query", "bounding_box_test"}


def test_a_folder_that_cannot_be_written_is_refused_first(tmp_path, monkeypatch):
    data = Market1501(write_market(tmp_path / "market", detections=False))
    monkeypatch.setattr("os.access", lambda path, mode: False)  # the superuser may write everywhere
    with pytest.raises(DataError, match="not writable"):
        detect_dataset(data, Sees(lambda image: pytest.fail("looked at an image")))


def test_without_mediapipe_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "mediapipe.python.solutions.pose", None)
    with pytest.raises(UsageError, match=r"pip install 'anonbench\[detect\]'"):
        mediapipe_pose.PersonDetector()


def test_landmarks_become_coco_keypoints_in_pixels():
    class Landmark:
        def __init__(self, index):
            self.x, self.y, self.visibility = index / 100, index / 50, index / 32

    keypoints = mediapipe_pose._keypoints([Landmark(i) for i in range(33)], (200, 100))
    left_shoulder, right_ankle = 11, 28
    assert keypoints[5].tolist() == pytest.approx([left_shoulder, 4 * left_shoulder, left_shoulder / 32])
    assert keypoints[16].tolist() == pytest.approx([right_ankle, 4 * right_ankle, right_ankle / 32])


LOOKING_AT_GREY = """
import torch
from anonbench.detection.mediapipe_pose import PersonDetector
assert PersonDetector().detect(torch.full((3, 128, 64), 128, dtype=torch.uint8)) is None
"""


def test_mediapipe_finds_nobody_in_an_even_grey_and_says_nothing():
    pytest.importorskip("mediapipe.python.solutions.pose", reason="the extra `detect` is not installed")
    # A process of its own: MediaPipe tells how it starts once in each.
    done = subprocess.run([sys.executable, "-c", LOOKING_AT_GREY], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
