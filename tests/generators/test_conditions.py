import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from anonbench import template
from anonbench.crops import KEYPOINTS, resize
from anonbench.errors import DataError
from anonbench.generators.conditions import (
    conditions_of,
    discriminator_condition,
    flip,
    generator_input,
    mapper_input,
)
from anonbench.generators.config import CHANNELS
from anonbench.template import SurfaceTemplate
from tests.generators.conftest import random_crops

ALL, NONE = torch.tensor([True, True]), torch.tensor([False, False])


def test_generator_input_holds_no_pixel_of_the_person(random_crops):
    crops = random_crops(2, (16, 16))
    repainted = torch.where(crops.person_mask, 255 - crops.image, crops.image)
    inputs = [generator_input(conditions_of(c)) for c in (crops, crops.with_image(repainted))]
    assert inputs[0].shape == (2, 21, 16, 16)
    assert torch.equal(*inputs)


def test_mapper_input_holds_no_pixel_of_the_background(random_crops):
    crops = random_crops(2, (16, 16))
    repainted = torch.where(crops.person_mask, crops.image, 255 - crops.image)
    inputs = [mapper_input(conditions_of(c)) for c in (crops, crops.with_image(repainted))]
    assert torch.equal(*inputs)


def test_surface_outside_the_person_mask_does_not_reach_the_networks(random_crops):
    crops = random_crops(2, (16, 16))
    spilled = replace(crops, surface=torch.where(crops.surface < 0, 7, crops.surface))
    conditions = conditions_of(spilled)
    assert not conditions.surface_mask[~crops.person_mask].any()
    assert not conditions.embedding.sum(1, keepdim=True)[~crops.person_mask].any()


def test_discriminator_condition_shows_the_person_mask_or_hides_its_hole_in_noise(random_crops):
    conditions = conditions_of(random_crops(2, (16, 16)))
    plain = discriminator_condition(conditions, "person_mask", torch.Generator().manual_seed(0))
    improved = discriminator_condition(conditions, "surface_mask", torch.Generator().manual_seed(0))
    hole = conditions.person_mask.bool().expand(-1, 3, -1, -1)
    assert torch.equal(plain[:, 3:], conditions.person_mask)
    assert not plain[:, :3][hole].any()
    assert torch.equal(improved[:, 3:], conditions.surface_mask)
    assert improved[:, :3][hole].std() > 0.5
    assert torch.equal(improved[:, :3][~hole], conditions.image[~hole])
    assert not torch.isclose(improved[:, :3][hole], conditions.image[hole]).all()


def test_flip_swaps_left_and_right_vertices_with_the_pixels(random_crops):
    crops = random_crops(2, (16, 16))
    flipped = flip(crops, ALL)
    assert torch.equal(flipped.image, crops.image.flip(3))
    assert torch.equal(flipped.person_mask, crops.person_mask.flip(3))
    assert torch.equal(flipped.surface, template.mirror(crops.surface).flip(2))
    assert not torch.equal(flipped.surface, crops.surface.flip(2))


def test_flip_swaps_left_and_right_keypoints_and_leaves_unknown_ones_unknown(random_crops):
    crops = random_crops(2, (16, 16))
    crops.keypoints[1] = 0
    flipped = flip(crops, ALL)
    left, right = KEYPOINTS.index("left_wrist"), KEYPOINTS.index("right_wrist")
    assert torch.equal(flipped.keypoints[0, left, 1:], crops.keypoints[0, right, 1:])
    torch.testing.assert_close(flipped.keypoints[0, left, 0], 16 - crops.keypoints[0, right, 0])
    assert not flipped.keypoints[1].any()


def test_flip_twice_or_of_nobody_changes_nothing(random_crops):
    crops = random_crops(2, (16, 16))
    for result in (flip(flip(crops, ALL), ALL), flip(crops, NONE)):
        assert torch.equal(result.image, crops.image)
        assert torch.equal(result.surface, crops.surface)
        torch.testing.assert_close(result.keypoints, crops.keypoints)


def test_surfaces_are_embedded_and_mirrored_by_the_template_that_they_refer_to(random_crops):
    crops = replace(random_crops(2, (16, 16)), template="other")
    other = SurfaceTemplate("other", template.embedding().flip(0), template.mirror_vertices())
    packaged = conditions_of(random_crops(2, (16, 16)))
    assert not torch.equal(conditions_of(crops, other).embedding, packaged.embedding)
    assert flip(crops, ALL, other).template == "other"
    for use in (lambda: conditions_of(crops), lambda: flip(crops, ALL)):
        with pytest.raises(DataError, match="template 'other', not to 'makehuman_13380'"):
            use()


def test_nobody_is_mirrored_without_counterparts_but_nobody_needs_to_be(random_crops):
    crops = replace(random_crops(2, (16, 16)), template="other")
    one_sided = SurfaceTemplate("other", template.embedding())
    assert flip(crops, NONE, one_sided) is crops
    with pytest.raises(DataError, match="flip_probability 0"):
        flip(crops, ALL, one_sided)


ONE_OF_EACH = st.lists(st.sampled_from(list(CHANNELS)), min_size=1, unique=True)


@given(names=ONE_OF_EACH)
def test_inputs_are_the_named_conditions_in_their_order_and_the_mapper_has_the_person_for_a_background(names):
    conditions = conditions_of(random_crops(2, (16, 8)))
    maps = {
        "background": conditions.background,
        "person_mask": conditions.person_mask,
        "surface_embedding": conditions.embedding,
        "surface_mask": conditions.surface_mask,
        "keypoints": conditions.keypoint_maps,
    }
    assert {name: maps[name].shape[1] for name in maps} == CHANNELS
    assert torch.equal(generator_input(conditions, names), torch.cat([maps[n] for n in names], dim=1))
    person = torch.cat([conditions.person, *(maps[n] for n in names if n != "background")], dim=1)
    assert torch.equal(mapper_input(conditions, names), person)


def with_keypoints(points, size=(48, 32)):
    return replace(random_crops(1, size), keypoints=torch.tensor(points)[None])


@given(x=st.integers(0, 31), y=st.integers(0, 47))
def test_a_known_joint_is_a_blob_of_height_1_on_its_pixel(x, y):
    joints = [[x + 0.5, y + 0.5, 1.0]] + [[0.0, 0.0, 0.0]] * 16
    maps = conditions_of(with_keypoints(joints)).keypoint_maps[0]
    assert maps[0, y, x] == 1 == maps.max()
    neighbour = maps[0, y, x - 1 if x else x + 1]
    torch.testing.assert_close(neighbour, torch.tensor(math.exp(-0.5)))  # sigma is 48 / 48 = one pixel
    assert not maps[1:].any()


def test_joints_outside_the_image_are_hidden_and_occluded_ones_shown():
    joints = [[9.0, 9.0, 0.5], [50.0, 9.0, 0.0]] + [[0.0, 0.0, 0.0]] * 15
    maps = conditions_of(with_keypoints(joints)).keypoint_maps[0]
    assert maps[0].max() > 0.5
    assert not maps[1].any()


def test_blobs_grow_with_the_crop():
    small = random_crops(1, (48, 32))
    large = resize(small, (96, 64))
    coarse, fine = (conditions_of(crops).keypoint_maps for crops in (small, large))
    torch.testing.assert_close(F.avg_pool2d(fine, 2), coarse, rtol=0, atol=0.06)


def test_joints_of_a_flipped_crop_swap_sides_with_their_blobs(random_crops):
    crops = random_crops(2, (16, 16))
    wrists = [KEYPOINTS.index("left_wrist"), KEYPOINTS.index("right_wrist")]
    before, after = (conditions_of(c).keypoint_maps[:, wrists] for c in (crops, flip(crops, ALL)))
    torch.testing.assert_close(after, before.flip(1, 3))
