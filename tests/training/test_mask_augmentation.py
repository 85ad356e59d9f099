import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import binary_dilation

from anonbench.training.mask_augmentation import dilate, dilate_masks, structuring_elements


def random_masks(count=6, size=(72, 40), seed=0):
    return torch.rand(count, 1, *size, generator=torch.Generator().manual_seed(seed)) < 0.01


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@given(seed=st.integers(0, 2**32 - 1), probability=st.floats(0, 1), height=st.sampled_from([8, 72, 144]))
def test_masks_never_lose_a_pixel_and_grow_by_a_24th_of_the_height_at_most(seed, probability, height):
    masks = torch.zeros(3, 1, height, 40, dtype=torch.bool)
    masks[:, :, height // 2, 20] = True
    grown = dilate_masks(masks, probability, generator(seed))
    assert grown.dtype == torch.bool
    assert (grown >= masks).all()
    reach = max(1, -(-height // 24))
    rows = grown.any(dim=3).sum(dim=2)
    assert rows.max() <= 2 * reach + 1


@given(seed=st.integers(0, 2**32 - 1))
def test_probability_1_grows_every_mask_and_0_none_without_a_draw(seed):
    masks, draw = random_masks(), generator(seed)
    assert dilate_masks(masks, 0.0, draw) is masks
    assert torch.equal(draw.get_state(), generator(seed).get_state())
    grown = dilate_masks(masks, 1.0, draw)
    assert (grown.sum((1, 2, 3)) > masks.sum((1, 2, 3))).all()


def test_about_the_given_share_is_grown():
    masks = random_masks(400, (24, 16))
    masks[:, :, 12, 8] = True
    grown = dilate_masks(masks, 0.25, generator())
    assert (grown != masks).flatten(1).any(1).float().mean().item() == pytest.approx(0.25, abs=0.07)


def test_equal_generators_give_equal_masks_and_others_other_ones():
    masks = random_masks()
    first, again, other = (dilate_masks(masks, 1.0, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@given(seed=st.integers(0, 2**32 - 1))
def test_what_a_mask_becomes_does_not_depend_on_the_others(seed):
    masks = random_masks()
    others = random_masks(seed=1)
    others[2] = masks[2]
    grown = [dilate_masks(m, 0.5, generator(seed))[2] for m in (masks, others)]
    assert torch.equal(*grown)


def test_the_given_masks_stay_as_they_are():
    masks = random_masks()
    before = masks.clone()
    dilate_masks(masks, 1.0, generator())
    assert torch.equal(masks, before)


def test_dilation_is_the_morphological_one():
    masks = random_masks(5)
    elements = structuring_elements(torch.rand(5, generator=generator()), torch.rand(5, 2), radius=4)
    for grown, mask, element in zip(dilate(masks, elements), masks, elements, strict=True):
        expected = binary_dilation(mask[0].numpy(), element.numpy())
        assert torch.equal(grown[0], torch.from_numpy(expected))


def test_diamond_ellipse_and_rectangle_have_the_areas_of_their_shapes():
    shapes, axes = torch.tensor([0.1, 0.5, 0.9]), torch.full((3, 2), 1.0)
    areas = structuring_elements(shapes, axes, radius=20).sum((1, 2)) / 20**2
    torch.testing.assert_close(areas, torch.tensor([2.0, torch.pi, 4.0]), rtol=0.07, atol=0)
