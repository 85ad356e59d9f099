"""Claims about the noise that the surface head is trained with."""

import pytest
import torch

from anonbench.crops import KEYPOINTS
from anonbench.training.detector_noise import DetectorNoise, disturb_keypoints, disturb_masks

SILENT = DetectorNoise(
    edge=0, roughness=0, hole=0, cut=0, neighbour=0, jitter=0, missing=0, swapped_pair=0, swapped_person=0
)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def squares(batch=8):
    mask = torch.zeros(batch, 1, 72, 40, dtype=torch.bool)
    mask[..., 16:56, 10:30] = True
    return mask


def people(batch=4):
    spots = torch.rand(batch, 17, 2, generator=rng()) * torch.tensor([40.0, 72.0])
    return torch.cat([spots, torch.ones(batch, 17, 1)], 2)


def only(**changes):
    return SILENT.model_copy(update=changes)


def test_without_noise_a_block_stays_a_block():
    changed = disturb_masks(squares(), SILENT, rng()) ^ squares()
    assert changed.sum() <= 8 * 4 * 3  # rounded corners


def test_the_same_seed_gives_the_same_noise():
    noise = DetectorNoise()
    assert torch.equal(disturb_masks(squares(), noise, rng(3)), disturb_masks(squares(), noise, rng(3)))
    once, again = (disturb_keypoints(people(), (72, 40), noise, rng(3)) for _ in range(2))
    assert torch.equal(once, again)


def test_edges_move_both_ways():
    area = disturb_masks(squares(64), only(edge=0.45), rng()).float().sum(dim=(1, 2, 3))
    assert area.min() < 780
    assert area.max() > 820


@pytest.mark.parametrize("kind", ["hole", "cut"])
def test_holes_and_cuts_only_take_away(kind):
    result = disturb_masks(squares(32), only(**{kind: 1}), rng())
    assert not (result & ~squares(32)).any()
    assert result.sum() < 0.97 * squares(32).sum()


def test_a_neighbour_only_adds_the_mask_of_another_crop():
    mask = squares(6)
    mask[::2] = False
    mask[::2, :, 2:6, 16:24] = True
    result = disturb_masks(mask, only(neighbour=1), rng())
    assert result.sum() > mask.sum()
    added = result & ~disturb_masks(mask, SILENT, rng())
    rows = added[::2].any(dim=3).nonzero()[:, 2]
    assert rows.min() >= 15  # the other crop's rows
    assert rows.max() <= 56


def test_silent_keypoints_stay_where_they_are():
    torch.testing.assert_close(
        disturb_keypoints(people(), (72, 40), SILENT, rng())[..., :2], people()[..., :2]
    )


def test_a_swapped_person_has_left_and_right_exchanged_and_the_nose_not():
    swapped = disturb_keypoints(people(), (72, 40), only(swapped_person=1), rng())
    sides = {"left": "right", "right": "left"}
    partner = [
        KEYPOINTS.index("_".join(sides.get(word, word) for word in name.split("_"))) for name in KEYPOINTS
    ]
    torch.testing.assert_close(swapped[..., :2], people()[:, partner, :2])


def test_jitter_grows_with_the_crop_and_is_larger_for_hidden_joints():
    keypoints = people(400)
    keypoints[:, :8, 2] = 0.5
    noise = only(jitter=0.02)
    small = (disturb_keypoints(keypoints, (72, 40), noise, rng()) - keypoints)[..., :2]
    large = (disturb_keypoints(keypoints, (144, 80), noise, rng()) - keypoints)[..., :2]
    torch.testing.assert_close(large, 2 * small, rtol=1e-3, atol=1e-3)
    assert small[:, :8].std() > 1.5 * small[:, 8:].std()


def test_hidden_joints_look_less_visible_and_absent_ones_stay_absent():
    keypoints = people(300)
    keypoints[:, 0, 2], keypoints[:, 1, 2] = 0.5, 0.0
    visibility = disturb_keypoints(keypoints, (72, 40), SILENT, rng())[..., 2]
    assert visibility[:, 0].mean() < visibility[:, 2].mean()
    assert (visibility[:, 1] == 0).all()
    assert visibility.min() >= 0
    assert visibility.max() <= 1


def test_missing_keypoints_have_no_visibility():
    visibility = disturb_keypoints(people(400), (72, 40), only(missing=0.5), rng())[..., 2]
    assert (visibility == 0).float().mean().item() == pytest.approx(0.25, abs=0.03)
