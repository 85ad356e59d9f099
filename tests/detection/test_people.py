"""Claims about windows, people and what they share."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anonbench.crops import Outcome
from anonbench.detection.people import Person, PersonDetections, Window, mask_iou
from tests.detection.scenes import scene

starts, lengths = st.integers(-20, 20), st.integers(1, 20)
windows = st.builds(
    lambda top, left, h, w: Window(top, left, top + h, left + w), starts, starts, lengths, lengths
)


def pixels(window):
    return {(y, x) for y in range(window.top, window.bottom) for x in range(window.left, window.right)}


@given(a=windows, b=windows)
def test_the_overlap_of_windows_is_that_of_their_pixels(a, b):
    shared = a.overlap(b)
    assert (pixels(shared) if shared else set()) == pixels(a) & pixels(b)
    assert shared == b.overlap(a)


@given(a=windows, b=windows)
def test_a_window_keeps_its_size_wherever_it_is_seen_from(a, b):
    seen = a.relative_to(b)
    assert seen.size == a.size
    assert (seen.top + b.top, seen.left + b.left) == (a.top, a.left)


@pytest.mark.parametrize("edges", [(0, 0, 0, 5), (0, 5, 5, 5), (3, 0, 2, 5)])
def test_there_is_no_empty_window(edges):
    with pytest.raises(ValueError, match="empty"):
        Window(*edges)


def test_a_window_indexes_its_pixels():
    image = torch.arange(30).reshape(5, 6)
    assert image[Window(1, 2, 3, 5).slices].tolist() == [[8, 9, 10], [14, 15, 16]]


def test_a_person_of_a_mask_is_cut_out_at_its_bounds():
    mask = torch.zeros(20, 30, dtype=torch.bool)
    mask[4:9, 10:13] = True
    surface = torch.full((20, 30), 5)
    person = Person.of_mask(mask, 0.5, surface=surface)
    assert person is not None
    assert person.window == Window(4, 10, 9, 13)
    assert person.box == (10, 4, 13, 9)
    assert person.mask.all()
    assert person.surface.dtype == torch.int32
    mask[:] = False
    assert person.mask.all()  # of its own


def test_an_empty_mask_is_nobody():
    assert Person.of_mask(torch.zeros(4, 4, dtype=torch.bool), 0.5) is None


def test_the_outcome_says_what_is_known():
    _, detections = scene(1)
    person = detections.people[0]
    bare = replace(person, surface=torch.full_like(person.surface, -1))
    assert person.outcome == Outcome.SURFACE
    assert bare.outcome == Outcome.MASK_ONLY
    assert replace(person, mask=torch.zeros_like(person.mask)).outcome == Outcome.NONE


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("mask", torch.zeros(3, 3, dtype=torch.bool)),
        ("mask", torch.zeros(5, 5, dtype=torch.uint8)),
        ("surface", torch.zeros(5, 5, dtype=torch.int64)),
        ("keypoints", torch.zeros(16, 3)),
        ("keypoints", torch.zeros(17, 3, dtype=torch.float64)),
    ],
)
def test_wrong_tensors_are_refused_by_name(field, value):
    person = Person.of_mask(torch.ones(5, 5, dtype=torch.bool), 1.0)
    assert person is not None
    with pytest.raises(ValueError, match=rf"Person\.{field} must be"):
        replace(person, **{field: value})


def test_nobody_stands_outside_the_image():
    _, detections = scene(1)
    with pytest.raises(ValueError, match="leaves the image"):
        PersonDetections((20, 20), detections.people)


def test_the_mask_of_all_is_the_union():
    _, detections = scene(5)
    union = detections.mask()
    assert union.shape == detections.size
    assert int(union.sum()) == sum(
        int(p.mask.sum()) for p in detections.people
    )  # a scene's masks are disjoint
    assert not detections.with_people([]).mask().any()


def test_iou_is_one_with_oneself_zero_apart_and_symmetric():
    _, detections = scene(2)
    a, b = detections.people
    assert mask_iou(a, a) == 1
    assert mask_iou(a, b) == mask_iou(b, a) == 0
    assert mask_iou(a, replace(a, mask=torch.zeros_like(a.mask))) == 0


def test_iou_of_overlapping_masks_in_different_windows():
    def rectangle(top, left, bottom, right):
        mask = torch.zeros(20, 20, dtype=torch.bool)
        mask[top:bottom, left:right] = True
        person = Person.of_mask(mask, 1.0)
        assert person is not None
        return person

    a, b = rectangle(0, 0, 10, 10), rectangle(5, 5, 15, 10)
    assert mask_iou(a, b) == pytest.approx(25 / 125)
