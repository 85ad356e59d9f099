"""Graded damage: what it does to images, and what the measures of quality make of it on toys."""

import numpy as np
import pytest
import torch

from anonbench.protocols.perturbations import grown_mask
from anonbench.protocols.validity_curves import curves_of
from anonbench.protocols.validity_quality import FAULTS, Fault, Quality, add_noise, blur, compress, damaged
from tests.protocols.conftest import context
from tests.protocols.toys import PersonColour, PixelDistance, ToyDataset, Untouched, market_like

IMAGES = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (6, 3, 16, 8), dtype=np.uint8))
KEYS = [f"image_{i}" for i in range(6)]
PIXELS = [fault for fault in FAULTS if fault.damage is not None]


def toy() -> ToyDataset:
    return ToyDataset(market_like(24, 2))


@pytest.mark.parametrize("fault", PIXELS, ids=lambda fault: fault.name)
def test_damage_grows_with_its_level(fault: Fault) -> None:
    assert fault.damage is not None
    changes = [
        (fault.damage(IMAGES, level, KEYS).float() - IMAGES.float()).abs().mean().item() for level in fault.levels[1:]
    ]  # fmt: skip
    assert changes[0] > 0
    assert changes == sorted(changes)


@pytest.mark.parametrize("fault", PIXELS, ids=lambda fault: fault.name)
def test_damage_depends_on_no_batch(fault: Fault) -> None:
    assert fault.damage is not None
    whole = fault.damage(IMAGES, fault.levels[2], KEYS)
    parts = [fault.damage(IMAGES[i : i + 1], fault.levels[2], KEYS[i : i + 1]) for i in range(6)]
    assert torch.equal(torch.cat(parts), whole)


def test_noise_has_the_deviation_that_it_says() -> None:
    grey = torch.full((1, 3, 64, 64), 128, dtype=torch.uint8)
    assert add_noise(grey, 16, ["x"]).float().std() == pytest.approx(16, rel=0.05)


def test_blur_is_given_in_pixels_whatever_the_size() -> None:
    step = torch.zeros(1, 3, 40, 20, dtype=torch.uint8)
    step[:, :, 20:] = 255
    inner = slice(10, 30)
    padded = torch.nn.functional.pad(step.float(), (0, 0, 10, 10), mode="replicate").to(torch.uint8)
    assert torch.equal(blur(step, 1, ["x"])[:, :, inner], blur(padded, 1, ["x"])[:, :, 20:40])


def test_compression_hardly_touches_what_is_flat() -> None:
    flat = torch.full((1, 3, 16, 16), 128, dtype=torch.uint8)
    assert (compress(flat, 90, ["x"]).int() - 128).abs().max() <= 2


@pytest.mark.parametrize("name", ["blur_inside", "noise_inside"])
def test_damage_of_the_person_stays_inside_the_mask(name: str) -> None:
    (fault,) = [fault for fault in FAULTS if fault.name == name]
    made = context(Untouched(), toy()).generation
    mask = made.crops.load(range(len(made.crops))).person_mask.numpy()
    before, after = (damaged(made, fault, level).images for level in (0, fault.levels[-1]))
    changed = (before != after).any(axis=1, keepdims=True)
    assert not (changed & ~mask).any()


def test_every_fault_starts_from_the_same_images() -> None:
    made = context(Untouched(), toy()).generation
    assert len({damaged(made, fault, 0).key for fault in FAULTS}) == 1
    assert len({damaged(made, fault, fault.levels[-1]).key for fault in PIXELS}) == len(PIXELS)


def test_a_grown_mask_reaches_so_many_pixels_further_and_keeps_the_rest() -> None:
    crops = toy().load([0])
    wider = grown_mask(crops, pixels=2)
    rows, columns = (wider.person_mask[0, 0].any(dim=d).nonzero()[:, 0] for d in (1, 0))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (0, 15, 0, 7)
    assert (wider.person_mask | ~crops.person_mask).all()
    assert torch.equal(wider.image, crops.image)


def test_measures_of_quality_start_at_their_best_for_untouched_images_and_get_worse() -> None:
    (fault,) = [fault for fault in FAULTS if fault.name == "noise_whole"]
    made = context(Untouched(), toy()).generation
    sweep = Quality(made, fault, PersonColour("distribution"), PixelDistance())
    curves = {curve.key: curve for curve in curves_of(sweep, fault.name, 4)}
    distance = curves["fid.value.person_colour"]
    assert distance.largest.values[0] == pytest.approx(0, abs=1e-6)
    assert distance.largest.values[-1] > 0
    assert curves["fid.precision.person_colour"].largest.values[0] == 1
    assert curves["lpips.random.pixels"].tau == 1
    assert {r.design for r in distance.resolved} == {"unpaired", "coupled"}
    assert all(curve.role == "quality" for curve in curves.values())
