"""Claims about boxes of the pedestrian detector: best first, tight, and none where there is no room for one."""

import cv2
import pytest
import torch

from anonbench.detection.hog import Box, HogOptions, person_boxes
from anonbench.errors import UsageError
from tests.detection.scenes import scene

EVERYTHING = HogOptions(threshold=0.0, pixels=200_000)


@pytest.mark.parametrize("size", [(1, 1), (20_000, 10), (10, 20_000), (15, 300)])
def test_an_image_too_narrow_for_a_person_has_no_boxes(size):
    assert person_boxes(torch.zeros(3, *size, dtype=torch.uint8), EVERYTHING) == []


def test_an_even_image_has_no_boxes():
    assert person_boxes(torch.full((3, 240, 320), 128, dtype=torch.uint8), EVERYTHING) == []


def test_boxes_come_best_first_and_upright():
    image, _ = scene(3, size=(240, 320))
    boxes = person_boxes(image, EVERYTHING)
    assert boxes
    assert [box.score for box in boxes] == sorted((box.score for box in boxes), reverse=True)
    # The person takes 3/4 of the window's height and 1/2 of its width, which is half the height.
    assert all(box.height / (box.x1 - box.x0) == pytest.approx(3, rel=0.02) for box in boxes)


def test_a_higher_threshold_keeps_the_better_boxes_only():
    image, _ = scene(3, size=(240, 320))
    scores = [box.score for box in person_boxes(image, EVERYTHING)]
    border = sorted(scores)[len(scores) // 2]
    kept = person_boxes(image, EVERYTHING.model_copy(update={"threshold": border}))
    assert all(box.score >= border for box in kept)
    assert max(scores) == pytest.approx(kept[0].score)


def test_a_large_image_is_searched_at_the_size_that_was_asked_for(monkeypatch):
    searched = []
    resize = cv2.resize
    monkeypatch.setattr(cv2, "resize", lambda a, size, **how: searched.append(size) or resize(a, size, **how))
    person_boxes(torch.zeros(3, 900, 1200, dtype=torch.uint8), HogOptions(pixels=120_000))
    assert searched == [(400, 300)]


def test_an_opencv_without_the_detector_is_an_error_that_says_what_to_install(monkeypatch):
    monkeypatch.delattr(cv2, "HOGDescriptor")
    with pytest.raises(UsageError, match="opencv-python<5"):
        person_boxes(torch.zeros(3, 240, 320, dtype=torch.uint8), EVERYTHING)


def test_the_height_of_a_box_is_in_pixels():
    assert Box(1.0, 2.0, 3.0, 7.0).height == 5.0
