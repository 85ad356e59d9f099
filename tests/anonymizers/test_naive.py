"""Claims about the anonymizers without a network."""

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anonbench.anonymizers.base import area_to_change
from anonbench.anonymizers.naive import gaussian_blur, heavy_blur, pixelate
from anonbench.anonymizers.registry import build, load_anonymizer
from anonbench.cards import ModelCard
from anonbench.crops import Outcome
from anonbench.errors import CardError
from tests.anonymizers.crop_batches import random_crops

NAIVE = ("original", "blackout", "noise", "gaussian_blur", "pixelate")
SIZES = st.tuples(st.integers(2, 40), st.integers(2, 24))


def anonymizer(name, **options):
    return build(ModelCard(name=name, kind=name, description="for a test", options=options), Path())


@pytest.mark.parametrize("name", NAIVE)
@settings(max_examples=20)
@given(batch=st.integers(1, 5), size=SIZES, seed=st.integers(0, 999))
def test_only_pixels_inside_the_masks_of_detected_persons_change(name, batch, size, seed):
    crops = random_crops(batch, size, seed)
    before = crops.image.clone()
    image = load_anonymizer(name).anonymize(crops)
    assert image.dtype == torch.uint8
    assert image.shape == before.shape
    assert torch.equal(crops.image, before)
    assert torch.equal(image[crops.outcome == Outcome.NONE], before[crops.outcome == Outcome.NONE])
    outside = ~area_to_change(crops).expand_as(image)
    assert torch.equal(image[outside], before[outside])


@pytest.mark.parametrize("name", NAIVE)
@settings(max_examples=15)
@given(size=SIZES, seed=st.integers(0, 999), order=st.permutations(range(5)))
def test_the_result_does_not_depend_on_batch_or_order(name, size, seed, order):
    crops = random_crops(5, size, seed)
    model = load_anonymizer(name)
    together = model.anonymize(crops)
    for index in range(5):
        assert torch.equal(model.anonymize(crops.select([index]))[0], together[index])
    assert torch.equal(model.anonymize(crops.select(order)), together[torch.tensor(order)])


@pytest.mark.parametrize("name", NAIVE)
def test_an_empty_batch_stays_empty(name):
    crops = random_crops(3, (16, 8)).select([])
    assert load_anonymizer(name).anonymize(crops).shape == (0, 3, 16, 8)


def test_original_changes_nothing():
    crops = random_crops(4, (16, 8))
    assert torch.equal(load_anonymizer("original").anonymize(crops), crops.image)


def test_blackout_is_black_inside():
    crops = random_crops(2, (16, 8))
    image = load_anonymizer("blackout").anonymize(crops)
    assert (image[area_to_change(crops).expand_as(image)] == 0).all()


def test_noise_is_uniform_and_its_own_for_every_key():
    crops = random_crops(2, (96, 64))
    crops = crops.with_image(torch.zeros_like(crops.image))
    first, second = anonymizer("noise").anonymize(crops)
    shared = (crops.person_mask[0] & crops.person_mask[1]).expand_as(first)
    values = first[crops.person_mask[0].expand_as(first)].double()
    assert values.mean().item() == pytest.approx(127.5, abs=5)
    assert values.std().item() == pytest.approx(255 / math.sqrt(12), abs=5)
    assert (first[shared] == second[shared]).double().mean() < 0.02


@settings(max_examples=30)
@given(size=SIZES, seed=st.integers(0, 999), blocks=st.integers(1, 40))
def test_pixelating_twice_is_pixelating_once(size, seed, blocks):
    crops = random_crops(2, size, seed)
    once = pixelate(crops.image, crops.person_mask, blocks)
    assert torch.equal(pixelate(once, crops.person_mask, blocks), once)


def test_a_block_has_one_colour_the_mean_of_its_pixels():
    image = torch.arange(4 * 8 * 4 * 3, dtype=torch.int64).reshape(4, 3, 8, 4).remainder(251).to(torch.uint8)
    everywhere = torch.ones(4, 1, 8, 4, dtype=torch.bool)
    result = pixelate(image, everywhere, blocks=4)
    for top in range(0, 8, 2):
        for left in range(0, 4, 2):
            block = (slice(None), slice(None), slice(top, top + 2), slice(left, left + 2))
            means = image[block].double().mean(dim=(2, 3), keepdim=True).round().to(torch.uint8)
            assert torch.equal(result[block], means.expand_as(result[block]))


def test_background_does_not_enter_a_block():
    image = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    mask = torch.zeros(1, 1, 8, 8, dtype=torch.bool)
    mask[..., :4] = True
    image[..., :4] = 200
    assert (pixelate(image, mask, blocks=1)[..., :4] == 200).all()


def test_blur_keeps_a_constant_image_and_lowers_variance_as_sigma_grows():
    constant = torch.full((1, 3, 32, 16), 77, dtype=torch.uint8)
    assert torch.equal(gaussian_blur(constant, 0.1), constant)
    image = random_crops(1, (64, 32)).image
    spread = [gaussian_blur(image, sigma).double().std().item() for sigma in (0.01, 0.03, 0.06, 0.2)]
    assert spread == sorted(spread, reverse=True)
    assert spread[-1] < spread[0] / 4


def test_blur_of_a_dot_is_the_gaussian():
    image = torch.zeros(1, 3, 65, 65, dtype=torch.uint8)
    image[..., 32, 32] = 255
    sigma = 1.5
    blurred = gaussian_blur(image, sigma / 65)[0, 0].double()
    offset = torch.arange(65.0, dtype=torch.float64) - 32
    bell = torch.exp(-(offset[:, None] ** 2 + offset**2) / (2 * sigma**2)) / (2 * math.pi * sigma**2)
    assert (blurred - 255 * bell).abs().max() < 0.6


def test_the_heavy_blur_leaves_no_face_sized_detail():
    """Stripes as wide as an eye (1/64 of the height) vanish."""
    stripes = (torch.arange(128) // 2 % 2 * 255).to(torch.uint8)[:, None].expand(1, 3, 128, 64)
    blurred = heavy_blur(stripes, torch.ones(1, 1, 128, 64, dtype=torch.bool))
    assert blurred[:, :, 32:96].double().std() < 1


@pytest.mark.parametrize(
    ("kind", "options", "key"),
    [
        ("gaussian_blur", {"sigma": 0}, "sigma"),
        ("gaussian_blur", {"radius": 3}, "radius"),
        ("pixelate", {"blocks": 0}, "blocks"),
        ("blackout", {"colour": "red"}, "colour"),
    ],
)
def test_wrong_options_name_card_and_key(kind, options, key):
    with pytest.raises(CardError, match=f"{kind}.*'{key}'"):
        anonymizer(kind, **options)
