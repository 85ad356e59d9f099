"""Temporal measures: identity is best, noise is worst, graded corruption is ordered, and closed forms hold."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from anonbench.metrics.temporal import (
    CHANGED_LEVELS,
    changed_share,
    flicker,
    likeness_between,
    longest_leak,
    steps,
    track_consistency,
    uncovered,
    warp,
    warping_error,
)

CLIP = np.repeat(np.arange(3), 5)
FRAME = np.tile(np.arange(5), 3)
PAIRS = steps(CLIP, FRAME)


def people(noise: float) -> NDArray[np.float64]:
    """Features (15, 8): a direction of its own for each clip, and noise in each frame."""
    rng = np.random.default_rng(0)
    return np.eye(8)[CLIP] + noise * rng.normal(size=(15, 8))


def textured(count: int = 2, size: tuple[int, int] = (24, 16)) -> Tensor:
    rng = np.random.default_rng(1)
    coarse = torch.from_numpy(rng.uniform(0, 255, (count, 3, 6, 4)).astype(np.float32))
    fine = torch.nn.functional.interpolate(coarse, size, mode="bilinear")
    return fine.to(torch.uint8)


def constant_flow(count: int, size: tuple[int, int], x: float, y: float) -> Tensor:
    return torch.tensor([x, y]).reshape(1, 2, 1, 1).expand(count, 2, *size).contiguous()


def everywhere(images: Tensor) -> Tensor:
    return torch.ones(len(images), 1, *images.shape[2:], dtype=torch.bool)


def test_steps_join_consecutive_frames_of_one_clip() -> None:
    pairs = steps([7, 7, 7, 4, 4], [0, 1, 3, 2, 3])
    assert pairs.now.tolist() == [4, 1]
    assert pairs.before.tolist() == [3, 0]
    assert pairs.first.tolist() == [3, 0]


def test_the_first_frame_of_a_clip_is_its_earliest_wherever_it_stands() -> None:
    pairs = steps([0, 0, 0], [5, 3, 4])
    assert sorted(zip(pairs.now.tolist(), pairs.before.tolist(), strict=True)) == [(0, 2), (2, 1)]
    assert set(pairs.first.tolist()) == {1}


def test_a_moment_that_stands_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        steps([0, 0], [1, 1])


def test_a_person_who_stays_the_same_is_perfectly_consistent() -> None:
    assert track_consistency(people(0.0), PAIRS) == pytest.approx(1.0)
    assert likeness_between(people(0.0), CLIP, PAIRS) == pytest.approx(0.0)


def test_consistency_falls_with_noise_to_that_of_strangers() -> None:
    values = [track_consistency(people(noise), PAIRS).mean() for noise in (0.0, 0.1, 0.3, 1.0)]
    assert values == sorted(values, reverse=True)
    assert values[0] - values[-1] > 0.4
    noise = np.random.default_rng(3).normal(size=(15, 64))
    assert track_consistency(noise, PAIRS).mean() < 0.2


def test_a_constant_person_is_as_like_others_as_themselves() -> None:
    grey = np.ones((15, 8))
    assert track_consistency(grey, PAIRS) == pytest.approx(1.0)
    assert likeness_between(grey, CLIP, PAIRS) == pytest.approx(1.0)


def test_consistency_is_the_mean_of_two_cosines_and_opposites_count_as_none() -> None:
    features = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [0.0, -1.0]])
    values = track_consistency(features, steps([0, 0, 0, 0], [0, 1, 2, 3]))
    half = np.sqrt(0.5)
    assert values == pytest.approx([(half + half) / 2, (half + 0) / 2, 0.0])


@settings(max_examples=25)
@given(st.permutations(range(15)))
def test_the_order_of_samples_changes_nothing(order: list[int]) -> None:
    features = people(0.3)
    shuffled = steps(CLIP[order], FRAME[order])
    expected = dict(zip(PAIRS.now.tolist(), track_consistency(features, PAIRS), strict=True))
    found = track_consistency(features[order], shuffled)
    assert {order[i]: v for i, v in zip(shuffled.now.tolist(), found, strict=True)} == pytest.approx(expected)
    between = likeness_between(features[order], CLIP[order], shuffled)
    assert between.mean() == pytest.approx(likeness_between(features, CLIP, PAIRS).mean())


def test_strangers_need_two_clips() -> None:
    with pytest.raises(ValueError, match="2 clips"):
        likeness_between(np.ones((3, 2)), [0, 0, 0], steps([0, 0, 0], [0, 1, 2]))


def test_warping_by_whole_pixels_shifts_and_by_half_a_pixel_averages() -> None:
    images = textured()
    shifted = warp(images, constant_flow(2, (24, 16), 3.0, -2.0))
    assert torch.allclose(shifted[:, :, 2:, :-3], images[:, :, :-2, 3:].float(), atol=1e-3)
    half = warp(images, constant_flow(2, (24, 16), 0.5, 0.0))
    assert torch.allclose(half[..., :-1], (images[..., :-1].float() + images[..., 1:].float()) / 2, atol=1e-3)
    assert torch.equal(warp(images, constant_flow(2, (24, 16), 0.0, 0.0)).round(), images.float())


def test_a_texture_that_moves_with_the_flow_has_no_warping_error() -> None:
    before = textured()
    now = torch.roll(before, shifts=(2, 3), dims=(2, 3))
    flow = constant_flow(2, (24, 16), -3.0, -2.0)
    inside = everywhere(now)
    inside[:, :, :2] = inside[:, :, :, :3] = False
    assert warping_error(now, before, flow, inside) == pytest.approx(0.0, abs=1e-6)
    assert warping_error(now, before, torch.zeros_like(flow), inside).min() > 0.02
    assert flicker(now, before, inside).min() > 0.02


def test_warping_error_grows_with_flicker_and_is_largest_for_noise() -> None:
    before = textured()
    flow = torch.zeros(2, 2, 24, 16)
    rng = np.random.default_rng(5)
    noise = torch.from_numpy(rng.normal(size=before.shape)).float()
    errors = [
        warping_error(
            (before + amount * noise).clamp(0, 255).to(torch.uint8), before, flow, everywhere(before)
        ).mean()
        for amount in (0, 4, 16, 64)
    ]
    assert errors == sorted(errors)
    assert errors[0] == pytest.approx(0, abs=1e-6)
    other = torch.from_numpy(rng.integers(0, 256, before.shape, dtype=np.uint8))
    assert warping_error(other, before, flow, everywhere(before)).mean() > errors[-1]


def test_a_change_of_brightness_by_a_tenth_is_an_error_of_a_tenth() -> None:
    before = torch.full((1, 3, 8, 8), 100, dtype=torch.uint8)
    now = before + 51
    flow = torch.zeros(1, 2, 8, 8)
    assert warping_error(now, before, flow, everywhere(now)) == pytest.approx(0.2)
    assert flicker(now, before, everywhere(now)) == pytest.approx(0.2)


def test_pixels_that_were_hidden_do_not_count_and_a_frame_of_them_has_no_value() -> None:
    before, now = textured(), textured()
    now[:, :, :, 8:] = 0
    seen = everywhere(now)
    seen[:, :, :, 8:] = False
    flow = torch.zeros(2, 2, 24, 16)
    assert warping_error(now, before, flow, seen) == pytest.approx(0.0, abs=1e-6)
    assert np.isnan(warping_error(now, before, flow, torch.zeros_like(seen))).all()


def test_errors_do_not_depend_on_the_batch() -> None:
    now, before = textured(4), textured(4).flip(0)
    flow = torch.from_numpy(np.random.default_rng(2).normal(size=(4, 2, 24, 16)).astype(np.float32))
    together = warping_error(now, before, flow, everywhere(now))
    alone = [
        warping_error(*(x[i : i + 1] for x in (now, before, flow, everywhere(now))))[0] for i in range(4)
    ]
    assert together == pytest.approx(alone)


def test_a_flow_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        warp(textured(), torch.zeros(2, 2, 8, 8))


def test_what_stays_within_the_grain_is_not_changed() -> None:
    original = torch.full((1, 3, 4, 4), 100, dtype=torch.uint8)
    mask = everywhere(original)
    assert changed_share(original, original + CHANGED_LEVELS, mask) == 0
    painted = original.clone()
    painted[:, 0, :, :3] += CHANGED_LEVELS + 1  # three of four columns, in one channel
    assert changed_share(original, painted, mask) == 0.75
    mask[..., 1:] = False
    assert changed_share(original, painted, mask) == 1.0


def test_a_frame_leaks_when_less_than_half_of_the_person_is_changed() -> None:
    assert uncovered([0.0, 0.49, 0.5, 1.0, np.nan]).tolist() == [True, True, False, False, False]


def test_the_longest_leak_is_the_longest_run_in_seconds() -> None:
    bare = [True, True, False, True, False, False, True]
    clip = [0, 0, 0, 0, 1, 1, 2]
    assert longest_leak(bare, clip, [0, 1, 2, 3, 0, 1, 9], 10.0) == {0: 0.2, 1: 0.0, 2: 0.1}


def test_a_missing_frame_ends_a_leak() -> None:
    assert longest_leak([True, True, True], [0, 0, 0], [0, 1, 3], 2.0) == {0: 1.0}
