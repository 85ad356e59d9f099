"""Claims about crops of people: where the person stands, that nothing is lost, and that they map back."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anonbench.crops import Outcome
from anonbench.detection.cropping import BACKGROUND, CROP_SIZE, crop_people, crop_window
from anonbench.detection.people import Person, PersonDetections, Window
from tests.detection.scenes import scene

sides = st.integers(min_value=1, max_value=300)


def box_person(window, image_size):
    mask = torch.zeros(image_size, dtype=torch.bool)
    mask[window.slices] = True
    person = Person.of_mask(mask, 0.9, torch.rand(17, 3, generator=torch.Generator().manual_seed(0)))
    assert person is not None
    return person


@settings(max_examples=60)
@given(h=sides, w=sides, top=st.integers(0, 50), left=st.integers(0, 50))
def test_a_window_holds_its_person_in_the_middle_with_the_aspect_of_the_crop(h, w, top, left):
    person = box_person(Window(top, left, top + h, left + w), (top + h, left + w))
    window = crop_window(person)
    assert window.overlap(person.window) == person.window
    height, width = window.size
    assert abs(width - height * 160 / 288) < 1
    above, below = person.window.top - window.top, window.bottom - person.window.bottom
    before, after = person.window.left - window.left, window.right - person.window.right
    assert abs(above - below) <= 1
    assert abs(before - after) <= 1
    assert h * w <= (1 - BACKGROUND) * height * width


def test_a_standing_person_fills_the_height_as_in_the_synthetic_crops():
    person = box_person(Window(10, 10, 310, 110), (400, 400))
    fill = person.window.size[0] / crop_window(person).size[0]
    assert 0.9 < fill < 0.95


def test_a_crop_shows_the_pixels_of_its_window():
    image, detections = scene(1, size=(240, 320))
    size = crop_window(detections.people[0], (2, 1)).size
    crops, (window,) = crop_people(image, detections, size=size)
    assert window.size == size
    inside = window.overlap(Window(0, 0, 240, 320))
    assert inside is not None
    shown = crops.image[0][(slice(None), *inside.relative_to(window).slices)]
    assert torch.equal(shown, image[(slice(None), *inside.slices)])
    mask = crops.person_mask[0, 0][detections.people[0].window.relative_to(window).slices]
    assert torch.equal(mask, detections.people[0].mask)
    assert int(crops.person_mask.sum()) == int(detections.people[0].mask.sum())
    surface = crops.surface[0][detections.people[0].window.relative_to(window).slices]
    assert torch.equal(surface, detections.people[0].surface)


def test_one_subject_per_crop_and_the_outcome_of_the_person():
    image, detections = scene(5, size=(120, 160))
    bare = replace(detections.people[1], surface=torch.full_like(detections.people[1].surface, -1))
    people = [detections.people[0], bare, *detections.people[2:]]
    crops, windows = crop_people(image, detections.with_people(people))
    assert crops.size == CROP_SIZE
    assert crops.outcome.tolist() == [Outcome.SURFACE, Outcome.MASK_ONLY] + [Outcome.SURFACE] * 3
    for crop, person, window in zip(range(5), people, windows, strict=True):
        area = int(person.mask.sum()) * 288 * 160 / (window.size[0] * window.size[1])
        assert int(crops.person_mask[crop].sum()) == pytest.approx(area, rel=0.05)


def test_keypoints_stay_on_the_same_body_part_and_unknown_ones_zero():
    image, detections = scene(1)
    person = detections.people[0]
    keypoints = person.keypoints.clone()
    keypoints[3] = 0
    crops, (window,) = crop_people(image, detections.with_people([replace(person, keypoints=keypoints)]))
    assert crops.keypoints[0, 3].tolist() == [0, 0, 0]
    x, y, visibility = crops.keypoints[0, 0].tolist()
    assert visibility == 1
    assert window.left + x * window.size[1] / 160 == pytest.approx(keypoints[0, 0].item(), abs=1e-3)
    assert window.top + y * window.size[0] / 288 == pytest.approx(keypoints[0, 1].item(), abs=1e-3)


def test_beyond_the_image_its_edge_is_repeated():
    image = torch.arange(3 * 6 * 5, dtype=torch.uint8).reshape(3, 6, 5)
    person = box_person(Window(0, 0, 6, 5), (6, 5))
    window = crop_window(person)
    crops, _ = crop_people(image, PersonDetections((6, 5), (person,)), size=window.size)
    rows = torch.arange(window.top, window.bottom).clamp(0, 5)
    columns = torch.arange(window.left, window.right).clamp(0, 4)
    assert torch.equal(crops.image[0], image[:, rows][:, :, columns])
    assert int(crops.person_mask.sum()) == 30


def test_no_colour_of_the_person_is_left_outside_a_mask_that_covers_all():
    image, detections = scene(2, size=(479, 641))
    other = image.clone()
    person = detections.people[0]
    region = other[(slice(None), *person.window.slices)]
    region[:, person.mask] = 255 - region[:, person.mask]
    alone = detections.with_people([person])
    before, _ = crop_people(image, alone, cover_all=True)
    after, _ = crop_people(other, alone, cover_all=True)
    outside = ~before.person_mask[0, 0]
    assert torch.equal(before.image[0][:, outside], after.image[0][:, outside])


@pytest.mark.parametrize("size", [(1, 1), (20_000, 10), (10, 20_000)])
def test_odd_images_make_crops_in_little_memory(size):
    image = torch.full((3, *size), 77, dtype=torch.uint8)
    person = box_person(Window(0, 0, *size), size)
    crops, _ = crop_people(image, PersonDetections(size, (person,)))
    assert (crops.image == 77).all()
    assert crops.outcome.tolist() == [Outcome.MASK_ONLY]


def test_nobody_gives_no_crops():
    image, detections = scene(0)
    crops, windows = crop_people(image, detections)
    assert len(crops) == len(windows) == 0
    assert crops.size == CROP_SIZE


def test_keys_name_the_crops():
    image, detections = scene(2)
    assert crop_people(image, detections)[0].key == ("0", "1")
    assert crop_people(image, detections, keys=["a/0", "a/1"])[0].key == ("a/0", "a/1")


def test_detections_of_another_size_are_refused():
    _, detections = scene(1)
    with pytest.raises(ValueError, match="detections of"):
        crop_people(torch.zeros(3, 10, 10, dtype=torch.uint8), detections)
