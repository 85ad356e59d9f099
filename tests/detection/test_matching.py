"""Claims about people whom two networks found: who is whom, and that nobody is lost."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anonbench.crops import Outcome
from anonbench.detection.matching import SURFACE_IOU, join_keypoints, join_surfaces, match
from anonbench.detection.people import Person, mask_iou
from tests.detection.scenes import scene

SIZE = (120, 160)


def as_masked(person):
    return replace(person, surface=torch.full_like(person.surface, -1), keypoints=torch.zeros(17, 3))


def as_surfaced(person):
    """What a surface network says: a little less than the mask."""
    mask = torch.zeros(SIZE, dtype=torch.bool)
    surface = torch.full(SIZE, -1, dtype=torch.int32)
    mask[person.window.slices] = person.surface >= 0
    surface[person.window.slices] = person.surface
    found = Person.of_mask(mask, 0.5, surface=surface)
    assert found is not None
    return found


def rectangle(top, left, bottom, right):
    mask = torch.zeros(SIZE, dtype=torch.bool)
    mask[top:bottom, left:right] = True
    person = Person.of_mask(mask, 0.8)
    assert person is not None
    return person


def test_the_largest_overlap_is_matched_first_and_one_to_one():
    iou = torch.tensor([[0.8, 0.9], [0.7, 0.6]])
    assert match(iou, 0.5) == [(0, 1), (1, 0)]
    assert match(iou, 0.75) == [(0, 1)]


def test_nothing_matches_without_overlap_whatever_the_threshold():
    assert match(torch.zeros(2, 2), 0.0) == []
    assert match(torch.zeros(0, 3), 0.5) == []
    assert match(torch.zeros(3, 0), 0.5) == []


@settings(max_examples=50)
@given(rows=st.integers(0, 6), columns=st.integers(0, 6), seed=st.integers(0, 99), threshold=st.floats(0, 1))
def test_a_matching_is_one_to_one_above_the_threshold_and_cannot_be_extended(rows, columns, seed, threshold):
    iou = torch.rand(rows, columns, generator=torch.Generator().manual_seed(seed))
    pairs = match(iou, threshold)
    assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs)
    assert all(iou[pair] >= threshold for pair in pairs)
    free_rows = [r for r in range(rows) if r not in {row for row, _ in pairs}]
    free_columns = [c for c in range(columns) if c not in {column for _, column in pairs}]
    assert all(iou[r, c] < threshold for r in free_rows for c in free_columns)


def test_masks_get_the_surfaces_of_the_same_people_in_any_order():
    _, truth = scene(3)
    masked = [as_masked(p) for p in truth.people]
    surfaced = [as_surfaced(p) for p in reversed(truth.people)]
    joined = join_surfaces(masked, surfaced, SIZE)
    assert len(joined) == 3
    for person, exact in zip(joined, truth.people, strict=True):
        assert person.outcome == Outcome.SURFACE
        assert torch.equal(person.mask, exact.mask)
        assert torch.equal(person.surface, exact.surface)
        assert person.score == exact.score


def test_matched_people_are_the_union_of_mask_and_surface():
    mask, surface = rectangle(10, 10, 60, 40), rectangle(20, 20, 70, 45)
    surface = replace(surface, surface=torch.full_like(surface.surface, 7))
    assert mask_iou(mask, surface) > SURFACE_IOU
    (person,) = join_surfaces([mask], [surface], SIZE)
    assert int(person.mask.sum()) == 50 * 30 + 50 * 25 - 40 * 20
    assert not ((person.surface >= 0) & ~person.mask).any()
    assert person.window.size == (60, 35)


def test_an_unmatched_mask_stays_mask_only():
    _, truth = scene(2)
    joined = join_surfaces([as_masked(p) for p in truth.people], [as_surfaced(truth.people[1])], SIZE)
    assert [p.outcome for p in joined] == [Outcome.MASK_ONLY, Outcome.SURFACE]


def test_an_unmatched_surface_becomes_a_person_with_a_larger_mask():
    _, truth = scene(2)
    lonely = as_surfaced(truth.people[1])
    joined = join_surfaces([as_masked(truth.people[0])], [lonely], SIZE)
    assert [p.outcome for p in joined] == [Outcome.MASK_ONLY, Outcome.SURFACE]
    inside = lonely.window.relative_to(joined[1].window).slices
    assert joined[1].mask[inside][lonely.mask].all()
    assert joined[1].mask.sum() > lonely.mask.sum()
    assert torch.equal(joined[1].surface[inside], lonely.surface)


def test_dilation_stops_at_the_border_of_the_image():
    corner = rectangle(0, 0, 30, 20)
    corner = replace(corner, surface=torch.ones_like(corner.surface))
    (person,) = join_surfaces([], [corner], SIZE)
    assert (person.window.top, person.window.left) == (0, 0)
    assert person.window.bottom > 30
    assert person.window.right > 20


def test_keypoints_go_to_the_box_that_they_share():
    _, truth = scene(3)
    boxes = torch.tensor([p.box for p in truth.people]).flip(0) + 1
    keypoints = torch.stack([p.keypoints for p in truth.people]).flip(0)
    joined = join_keypoints([as_masked(p) for p in truth.people], boxes, torch.ones(3), keypoints, SIZE)
    assert len(joined) == 3
    for person, exact in zip(joined, truth.people, strict=True):
        assert torch.equal(person.keypoints, exact.keypoints)


def test_whom_only_the_keypoint_network_sees_is_a_box_to_blur():
    boxes = torch.tensor([[100.0, 20.0, 200.0, 60.5]])
    (person,) = join_keypoints([], boxes, torch.tensor([0.7]), torch.ones(1, 17, 3), SIZE)
    assert person.outcome == Outcome.MASK_ONLY
    assert not person.keypoints.any()
    assert int(person.mask.sum()) == 60 * 41
    assert person.score == pytest.approx(0.7)


def test_a_box_outside_the_image_is_nobody():
    boxes = torch.tensor([[-20.0, -20.0, -5.0, -5.0]])
    assert join_keypoints([], boxes, torch.ones(1), torch.zeros(1, 17, 3), SIZE) == []


def test_nobody_and_nobody_make_nobody():
    assert join_surfaces([], [], SIZE) == []
    assert join_keypoints([], torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, 17, 3), SIZE) == []
