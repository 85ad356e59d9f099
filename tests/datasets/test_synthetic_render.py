"""Rendered samples: exact ground truth, and bytes that depend on nothing but version, seed and index."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_erosion

from anonbench import template
from anonbench.crops import KEYPOINTS
from anonbench.datasets.synthetic.body import Body, body
from anonbench.datasets.synthetic.render import Sample, occluder, render
from anonbench.datasets.synthetic.splits import SPLITS, Plan
from anonbench.datasets.synthetic.streams import Stream, stream

SIZE = (72, 40)
FIELDS = ("image", "plate", "person_mask", "surface", "keypoints")


@pytest.fixture(scope="module")
def model() -> Body:
    return body()


def plans(split: str, indices: range | list[int]) -> list[Plan]:
    return [SPLITS[split].plan(SPLITS[split], 0, i) for i in indices]


@pytest.fixture(scope="module")
def people(model: Body) -> list[Sample]:
    return render(model, 0, plans("val", range(24)), SIZE)


def same(a: Sample, b: Sample) -> bool:
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in FIELDS)


def test_bytes_do_not_depend_on_the_batch(model: Body, people: list[Sample]) -> None:
    alone = [render(model, 0, [plan], SIZE)[0] for plan in plans("val", range(3))]
    assert all(same(a, b) for a, b in zip(people, alone, strict=False))


def test_bytes_do_not_depend_on_the_thread_count(model: Body, people: list[Sample]) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1 if threads > 1 else 2)
    try:
        again = render(model, 0, plans("val", range(3)), SIZE)
    finally:
        torch.set_num_threads(threads)
    assert all(same(a, b) for a, b in zip(people, again, strict=False))


def test_another_seed_gives_other_people(model: Body, people: list[Sample]) -> None:
    other = render(model, 1, plans("val", [0]), SIZE)[0]
    assert not np.array_equal(people[0].image, other.image)


def test_surface_ids_are_template_vertices_inside_the_mask(people: list[Sample]) -> None:
    for sample in people:
        assert sample.surface.min() == -1
        assert 0 <= sample.surface.max() < template.VERTICES
        assert sample.person_mask[sample.surface >= 0].all()


def test_the_mask_covers_every_pixel_that_the_person_changes(model: Body) -> None:
    for sample in render(model, 0, plans("pose_swap", [0, 5, 30, 61]), SIZE):
        outside = ~sample.person_mask
        assert outside.any()
        assert np.array_equal(sample.image[outside], sample.plate[outside])


def test_the_mask_covers_the_person_at_full_size_where_cameras_blur(model: Body) -> None:
    (sample,) = render(model, 0, plans("background_swap", [1]), (288, 160))
    assert np.array_equal(sample.image[~sample.person_mask], sample.plate[~sample.person_mask])


def test_changing_the_place_changes_nothing_about_the_person(model: Body) -> None:
    places = render(model, 0, plans("background_swap", range(6, 12)), SIZE)
    first = places[0]
    inside = binary_erosion(first.surface >= 0, iterations=2)
    assert inside.sum() > 100
    for other in places[1:]:
        assert np.array_equal(first.surface, other.surface)
        assert np.array_equal(first.keypoints, other.keypoints)
        assert np.array_equal(first.image[inside], other.image[inside])
        assert not np.array_equal(first.plate, other.plate)


def test_a_step_moves_the_pose_or_the_place_a_little_and_nothing_else(model: Body) -> None:
    samples = render(model, 0, plans("steps", range(12)), SIZE)
    for still, pose, background in zip(samples[0::3], samples[1::3], samples[2::3], strict=True):
        assert np.array_equal(still.plate, pose.plate)
        overlap = (still.person_mask & pose.person_mask).sum() / (still.person_mask | pose.person_mask).sum()
        assert 0.75 < overlap < 1
        moved = np.abs(background.plate.astype(int) - still.plate)
        assert 2 < moved.mean() < 30
        assert np.array_equal(still.surface, background.surface)
        inside = binary_erosion(still.surface >= 0, iterations=2)
        # Some places shine through between an arm and the body.
        assert (still.image[inside] == background.image[inside]).mean() > 0.98


def test_changing_the_pose_or_the_person_keeps_the_plate_to_the_byte(model: Body) -> None:
    # Place 2 under every pose of identity 0 and one pose of identity 1.
    shots = render(model, 0, plans("pose_swap", [2, 6, 10, 14, 18, 22, 26]), SIZE)
    assert all(np.array_equal(shots[0].plate, shot.plate) for shot in shots[1:])
    assert all(not np.array_equal(shots[0].surface, shot.surface) for shot in shots[1:])


def test_the_left_of_a_person_seen_from_the_front_is_on_the_right_of_the_image(model: Body) -> None:
    plan = replace(plans("pose_swap", [0])[0], azimuth=0.0, pose_kind="stand")
    (sample,) = render(model, 0, [plan], SIZE)
    x = dict(zip(KEYPOINTS, sample.keypoints[:, 0], strict=True))
    for joint in ("shoulder", "hip", "knee", "ankle", "eye"):
        assert x[f"left_{joint}"] > x[f"right_{joint}"]
    part = template.parts(torch.from_numpy(sample.surface)[None])[0].numpy()
    columns = np.broadcast_to(np.arange(SIZE[1]), SIZE)
    left, right = (columns[part == template.PARTS.index(f"{s}_lower_leg")].mean() for s in ("left", "right"))
    assert left > right
    facing = [(part == template.PARTS.index(f"torso_{side}")).sum() for side in ("front", "back")]
    assert facing[0] > 4 * facing[1]


def test_visible_keypoints_lie_on_the_body_part_that_they_name(people: list[Sample]) -> None:
    near = {
        "wrist": ("hand", "lower_arm"),
        "ankle": ("foot", "lower_leg"),
        "knee": ("upper_leg", "lower_leg"),
    }
    hits = []
    for sample in people:
        part = template.parts(torch.from_numpy(sample.surface)[None])[0].numpy()
        for name, (x, y, visibility) in zip(KEYPOINTS, sample.keypoints, strict=True):
            side, _, joint = name.partition("_")
            if visibility == 1 and joint in near and part[int(y), int(x)] >= 0:
                found = template.PARTS[part[int(y), int(x)]]
                hits.append(found in {f"{side}_{limb}" for limb in near[joint]})
    assert len(hits) > 60
    # Skirts and loose sleeves belong to the nearest body part, which may be another.
    assert np.mean(hits) > 0.9


def test_keypoint_visibility_takes_its_three_values(people: list[Sample]) -> None:
    visibility = np.stack([sample.keypoints[:, 2] for sample in people])
    assert set(np.unique(visibility)) <= {0.0, 0.5, 1.0}
    assert 0.5 < (visibility == 1).mean() < 0.95


def test_a_joint_behind_the_body_is_not_visible(model: Body) -> None:
    plan = replace(plans("pose_swap", [0])[0], azimuth=float(np.pi), pose_kind="stand")
    (sample,) = render(model, 0, [plan], SIZE)
    visible = dict(zip(KEYPOINTS, sample.keypoints[:, 2], strict=True))
    assert visible["nose"] == 0.5
    assert visible["left_shoulder"] == 1


def test_occluders_cover_about_an_eighth_of_the_shots() -> None:
    covered = [occluder(stream(0, Stream.OCCLUDER, i), (16, 8)) is not None for i in range(2000)]
    assert 0.10 < np.mean(covered) < 0.15


@pytest.mark.parametrize("size", [(8, 8), (128, 64), (40, 72), (168, 96)])
def test_any_multiple_of_eight_is_rendered_at_that_size(model: Body, size: tuple[int, int]) -> None:
    (sample,) = render(model, 0, plans("reid", [3]), size)
    assert sample.image.shape == sample.plate.shape == (*size, 3)
    assert sample.surface.shape == sample.person_mask.shape == size
    assert (sample.surface >= 0).any()


def test_the_coarse_topology_keeps_the_outline_of_the_fine_one(model: Body) -> None:
    plan = plans("pose_swap", [4])
    small, large = (render(model, 0, plan, size)[0] for size in ((144, 80), (288, 160)))
    silhouette = (large.surface >= 0).reshape(144, 2, 80, 2).mean((1, 3))
    assert np.abs(silhouette - (small.surface >= 0)).mean() < 0.02
