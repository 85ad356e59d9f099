"""Claims about people from boxes and a pose network: everybody once, judged, covered, in images of any size.

The pose network is played by one that sees red people; what the real one sees is tested where it is installed.
"""

import pickle
import sys

import pytest
import torch
import torch.nn.functional as F

from anonbench.detection import mediapipe_people
from anonbench.detection.hog import Box, HogOptions
from anonbench.detection.mediapipe_people import MediapipeOptions, MediapipePeople
from anonbench.detection.skeleton import body_area
from anonbench.errors import UsageError

SIZE = (120, 160)
TALL = Box(40.0, 20.0, 70.0, 100.0, score=2.0)
"""Where the red person of `street` stands."""


def street(*boxes):
    """A grey street with a red person in every box."""
    image = torch.full((3, *SIZE), 128, dtype=torch.uint8)
    for box in boxes:
        rows, columns = slice(int(box.y0), int(box.y1)), slice(int(box.x0), int(box.x1))
        image[:, rows, columns] = torch.tensor([255, 0, 0], dtype=torch.uint8)[:, None, None]
    return image


class RedPose:
    """Sees the leftmost red person. `headless`: its segmentation leaves out their upper quarter."""

    def __init__(self, visibility=0.9, headless=False):
        self.visibility, self.headless, self.views = visibility, headless, 0

    def see(self, view, size):
        self.views += 1
        red = (view[0] > 200) & (view[1] < 60)
        columns = red.sum(dim=0) > 2
        if not columns.any():
            return None
        first = int(columns.nonzero()[0])
        gap = (~columns[first:]).nonzero()
        last = first + int(gap[0]) if len(gap) else red.shape[1]
        person = torch.zeros_like(red)
        person[:, first:last] = red[:, first:last]
        rows = person.any(dim=1).nonzero()[:, 0]
        top, bottom = int(rows[0]), int(rows[-1]) + 1
        points = self._points(first, last, top, bottom)
        if self.headless:
            person[: top + (bottom - top) // 4] = False
        scale = torch.tensor([size[1] / view.shape[2], size[0] / view.shape[1]])
        probability = F.interpolate(person[None, None].float(), size, mode="bilinear")[0, 0]
        return probability, torch.cat([points * scale, torch.full((17, 1), self.visibility)], dim=1)

    def _points(self, left, right, top, bottom):
        middle, height = (left + right) / 2, bottom - top
        heights = [0.06] * 5 + [0.2] * 2 + [0.35] * 2 + [0.5] * 2 + [0.52] * 2 + [0.75] * 2 + [0.98] * 2
        sides = [0.0, 0.1, -0.1, 0.2, -0.2] + [0.6, -0.6] * 6
        half = (right - left) / 2
        return torch.tensor(
            [[middle + s * half, top + h * height] for s, h in zip(sides, heights, strict=True)]
        )


def people_in(image, boxes, monkeypatch, pose=None, **options):
    monkeypatch.setattr(mediapipe_people, "person_boxes", lambda image, options: list(boxes))
    detector = MediapipePeople(MediapipeOptions(**options))
    detector.__dict__["_pose"] = pose or RedPose()
    return detector.detect(image)


def test_a_person_is_found_with_mask_keypoints_and_score(monkeypatch):
    (person,) = people_in(street(TALL), [TALL], monkeypatch).people
    truth = torch.zeros(SIZE, dtype=torch.bool)
    truth[20:100, 40:70] = True
    mask = torch.zeros(SIZE, dtype=torch.bool)
    mask[person.window.slices] = person.mask
    assert (mask & truth).sum() > 0.95 * truth.sum()
    assert (mask & ~truth).sum() < 0.1 * truth.sum()
    assert person.score == pytest.approx(0.9)
    assert person.keypoints[:, 0].mean() == pytest.approx(55, abs=2)


def test_two_boxes_around_one_person_give_one_person(monkeypatch):
    near = Box(42.0, 16.0, 74.0, 104.0, score=1.0)
    assert len(people_in(street(TALL), [TALL, near], monkeypatch)) == 1


def test_one_box_around_two_people_gives_both(monkeypatch):
    other = Box(90.0, 22.0, 118.0, 98.0)
    both = Box(40.0, 18.0, 118.0, 102.0, score=1.0)
    found = people_in(street(TALL, other), [both], monkeypatch)
    assert sorted(round(person.window.left / 10) for person in found.people) == [4, 9]


def test_somebody_without_a_box_is_found_in_the_whole_image(monkeypatch):
    assert len(people_in(street(TALL), [], monkeypatch)) == 1


def test_a_box_around_no_person_gives_nobody(monkeypatch):
    detections = people_in(street(), [TALL], monkeypatch)
    assert detections.people == ()
    assert detections.size == SIZE


def test_a_pose_that_is_mostly_guessed_is_nobody(monkeypatch):
    assert not len(people_in(street(TALL), [TALL], monkeypatch, RedPose(visibility=0.4)))
    assert len(people_in(street(TALL), [TALL], monkeypatch, RedPose(visibility=0.4), min_visibility=0.3)) == 0
    low = people_in(
        street(TALL), [TALL], monkeypatch, RedPose(visibility=0.4), min_visibility=0.3, min_keypoints=0
    )
    assert len(low) == 1


def test_boxes_of_doubt_are_looked_at_once(monkeypatch):
    sure, doubtful = RedPose(), RedPose()
    people_in(street(), [TALL], monkeypatch, sure)
    people_in(street(), [Box(40.0, 20.0, 70.0, 100.0, score=0.1)], monkeypatch, doubtful)
    whole = 1
    assert (sure.views - whole, doubtful.views - whole) == (3, 1)


def test_the_mask_covers_the_head_that_a_segmentation_left_out(monkeypatch):
    (person,) = people_in(street(TALL), [TALL], monkeypatch, RedPose(headless=True)).people
    x, y = person.keypoints[0, :2].int().tolist()
    assert person.mask[y - person.window.top, x - person.window.left]


def test_unseen_keypoints_cover_nothing():
    keypoints = torch.rand(17, 3) * torch.tensor([40.0, 60.0, 0.49])
    assert not body_area(keypoints, (60, 40)).any()


def test_keypoints_outside_the_image_are_no_error():
    keypoints = torch.cat([torch.rand(17, 2) * 400 - 200, torch.ones(17, 1)], dim=1)
    assert body_area(keypoints, (60, 40)).shape == (60, 40)


def test_the_image_is_not_painted_on(monkeypatch):
    image = street(TALL)
    people_in(image, [TALL], monkeypatch)
    assert torch.equal(image, street(TALL))


@pytest.mark.parametrize("size", [(1, 1), (2000, 10), (10, 2000), (20_000, 10)])
def test_images_of_any_shape_have_nobody_and_everybody(size, monkeypatch):
    red = torch.zeros(3, *size, dtype=torch.uint8)
    red[0] = 255
    for image in (torch.zeros_like(red), red):
        detections = people_in(image, [], monkeypatch)
        assert detections.size == size  # whose check says that nobody leaves the image


def test_options_decide_the_digest():
    plain = MediapipePeople().digest
    assert plain == MediapipePeople(MediapipeOptions()).digest
    assert plain != MediapipePeople(MediapipeOptions(min_visibility=0.5)).digest
    assert plain != MediapipePeople(MediapipeOptions(hog=HogOptions(threshold=0.1))).digest


def test_a_detector_can_be_sent_to_another_process_after_it_was_used(monkeypatch):
    detector = MediapipePeople(MediapipeOptions(min_height=33))
    detector.__dict__["_pose"] = lambda: None  # as little to be pickled as MediaPipe's networks
    copy = pickle.loads(pickle.dumps(detector))
    assert copy.options == detector.options
    assert copy.digest == detector.digest


def test_without_mediapipe_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "mediapipe.python.solutions.pose", None)
    with pytest.raises(UsageError, match=r"pip install 'anonbench\[detect\]'"):
        MediapipePeople().require()


def test_the_real_network_finds_nobody_in_noise_of_any_shape():
    pytest.importorskip("mediapipe.python.solutions.pose", reason="the extra `detect` is not installed")
    detector = MediapipePeople()
    detector.require()
    rng = torch.Generator().manual_seed(0)
    for size in ((1, 1), (20_000, 10), (96, 128)):
        image = torch.randint(0, 256, (3, *size), generator=rng, dtype=torch.uint8)
        assert detector.detect(image).people == ()
