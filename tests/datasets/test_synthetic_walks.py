"""Clips of walking people: consistent motion, exact flow, and bytes that depend on the index alone."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion

from anonbench.crops import KEYPOINTS
from anonbench.datasets.synthetic.body import Body, body
from anonbench.datasets.synthetic.chunks import CHUNK
from anonbench.datasets.synthetic.dataset import SyntheticDataset
from anonbench.datasets.synthetic.render import Motion, Sample
from anonbench.datasets.synthetic.splits import FRAME_RATE, SPLITS, WALK_FRAMES, Plan
from anonbench.datasets.synthetic.walks import Walk, render_clips
from anonbench.errors import UsageError
from anonbench.metrics.temporal import warp

SIZE = (72, 40)
FIELDS = ("image", "plate", "person_mask", "surface", "keypoints")


def plans(indices: range | list[int]) -> list[Plan]:
    split = SPLITS["walks"]
    return [split.plan(split, 0, i) for i in indices]


@pytest.fixture(scope="module")
def model() -> Body:
    return body()


@pytest.fixture(scope="module")
def clips(model: Body) -> list[list[Sample]]:
    """Six frames of each of two clips."""
    return [
        render_clips(model, 0, plans(range(clip * WALK_FRAMES, clip * WALK_FRAMES + 6)), SIZE)
        for clip in (0, 3)
    ]


def moved(image: NDArray[np.uint8], motion: Motion) -> NDArray[np.float32]:
    """An image (H, W, 3) warped along a flow."""
    batch = torch.from_numpy(image.transpose(2, 0, 1)[None].copy())
    flow = torch.from_numpy(motion.flow.transpose(2, 0, 1)[None].copy())
    return np.asarray(warp(batch, flow)[0].permute(1, 2, 0).numpy())


def steps(clips: list[list[Sample]]) -> list[tuple[Sample, Sample, Motion]]:
    """(before, now, motion) of all consecutive frames."""
    found = [(before, now, now.motion) for clip in clips for before, now in pairwise(clip)]
    return [(before, now, motion) for before, now, motion in found if motion is not None]


def error(a: NDArray[np.float32], b: NDArray[np.uint8], where: NDArray[np.bool_]) -> float:
    return float(np.abs(a - b.astype(np.float32))[where].mean())


def test_the_frame_before_moved_along_the_flow_is_the_frame(clips: list[list[Sample]]) -> None:
    along, still = [], []
    for before, now, motion in steps(clips):
        body_pixels = (now.surface >= 0) & motion.visible
        assert body_pixels.sum() > 150
        along.append(error(moved(before.image, motion), now.image, body_pixels))
        still.append(error(before.image.astype(np.float32), now.image, body_pixels))
    assert np.mean(along) < 14  # of 255: outlines are mixed with what lies behind them
    assert np.mean(along) < 0.5 * np.mean(still)


def test_the_place_moves_exactly_with_the_crop(clips: list[list[Sample]]) -> None:
    along, still = [], []
    for before, now, motion in steps(clips):
        place = motion.visible & ~now.person_mask & (now.surface < 0)
        flow = motion.flow[place].astype(np.float64)
        y, x = np.nonzero(place)
        # A crop that moves over a picture: the flow is an offset and a change of scale, nothing else.
        terms = np.stack([x, y, np.ones(len(x))], 1)
        fitted = terms @ np.linalg.lstsq(terms, flow, rcond=None)[0]
        assert np.abs(fitted - flow).max() < 1e-3
        along.append(error(moved(before.plate, motion), now.plate, place))
        still.append(error(before.plate.astype(np.float32), now.plate, place))
    assert np.mean(along) < 0.85 * np.mean(still)  # the rest is grain and fine texture


def test_the_flow_carries_keypoints_to_where_they_were(clips: list[list[Sample]]) -> None:
    names = ("nose", "left_shoulder", "right_shoulder", "left_hip", "right_hip", "left_knee", "right_knee")
    chosen = [KEYPOINTS.index(name) for name in names]
    errors, lengths = [], []
    for before, now, motion in steps(clips):
        for k in chosen:
            x, y, visibility = now.keypoints[k]
            row, column = int(y), int(x)
            if visibility == 1 and now.surface[row, column] >= 0 and motion.visible[row, column]:
                expected = before.keypoints[k, :2] - now.keypoints[k, :2]
                errors.append(np.linalg.norm(motion.flow[row, column] - expected))
                lengths.append(np.linalg.norm(expected))
    assert len(errors) > 20
    # Joints lie below the skin and turn a little less than it does.
    assert np.median(errors) < 0.35
    assert np.median(errors) < 0.4 * np.median(lengths)


def test_visible_points_of_the_person_lay_on_the_person(clips: list[list[Sample]]) -> None:
    for before, now, motion in steps(clips):
        # Gaps narrower than a pixel: half of it shows the person, its centre the place.
        y, x = np.nonzero(binary_erosion(now.surface >= 0) & motion.visible)
        there = (np.stack([x, y], 1) + 0.5 + motion.flow[y, x]).astype(int)
        assert before.person_mask[there[:, 1], there[:, 0]].mean() > 0.99


def test_some_of_the_person_was_hidden_and_most_was_not(clips: list[list[Sample]]) -> None:
    shares = [motion.visible[now.surface >= 0].mean() for _, now, motion in steps(clips)]
    assert 0.6 < np.mean(shares) < 0.99
    assert max(shares) < 1


def test_the_first_frame_has_no_flow(clips: list[list[Sample]]) -> None:
    for clip in clips:
        motion = clip[0].motion
        assert motion is not None
        assert not motion.visible.any()
        assert not motion.flow.any()


def test_bytes_do_not_depend_on_the_batch(model: Body, clips: list[list[Sample]]) -> None:
    (alone,) = render_clips(model, 0, plans([4]), SIZE)
    frame = clips[0][4]
    assert all(np.array_equal(getattr(alone, name), getattr(frame, name)) for name in FIELDS)
    assert alone.motion is not None
    assert frame.motion is not None
    assert np.array_equal(alone.motion.flow, frame.motion.flow)
    assert np.array_equal(alone.motion.visible, frame.motion.visible)


def test_the_person_keeps_their_size_and_place_in_the_crop(clips: list[list[Sample]]) -> None:
    for clip in clips:
        rows = [np.flatnonzero((frame.surface >= 0).any(1)) for frame in clip]
        heights = [row[-1] - row[0] for row in rows]
        assert max(heights) - min(heights) <= 0.12 * SIZE[0]
        # Also where the arms hang: no frame is cut.
        assert all(row[0] > 0 and row[-1] < SIZE[0] - 1 for row in rows)


def test_a_walk_goes_where_it_looks_at_the_speed_of_its_steps() -> None:
    for seed in range(20):
        walk = Walk.draw(np.random.default_rng(seed))
        assert 0.5 < walk.speed < 1.7
        step = 1e-4
        for seconds in (0.0, 0.7, 1.5):
            here, there = walk.position(seconds), walk.position(seconds + step)
            velocity = (np.array(there) - here) / step
            direction = [np.sin(walk.direction(seconds)), -np.cos(walk.direction(seconds))]
            assert velocity == pytest.approx(walk.speed * np.array(direction), abs=1e-3)


def test_a_clip_lies_in_one_file() -> None:
    assert CHUNK % WALK_FRAMES == 0


def test_all_frames_of_a_clip_show_one_person_before_one_camera() -> None:
    clip = plans(range(WALK_FRAMES))
    assert len({(p.person, p.camera, p.pose, p.view, p.light, p.scene, p.shot) for p in clip}) == 1
    assert [p.moment for p in clip] == [(0, frame) for frame in range(WALK_FRAMES)]
    following = plans([WALK_FRAMES])[0]
    assert following.moment == (1, 0)
    assert following.person != clip[0].person


def test_the_dataset_gives_clips_with_their_flow(tmp_path: Path) -> None:
    data = SyntheticDataset("walks", (16, 8), count=2, cache=tmp_path, workers=1)
    assert len(data) == 2 * WALK_FRAMES
    assert data.samples["clip"].tolist() == [0] * WALK_FRAMES + [1] * WALK_FRAMES
    assert data.samples["frame"].tolist() == 2 * list(range(WALK_FRAMES))
    assert (data.flow_source, data.frame_rate) == ("exact", FRAME_RATE)
    crops, (flow, valid) = data.load([0, 1]), data.flow([0, 1])
    assert len(crops) == 2
    assert (flow.shape, flow.dtype) == ((2, 2, 16, 8), torch.float32)
    assert (valid.shape, valid.dtype) == ((2, 1, 16, 8), torch.bool)
    assert not valid[0].any()
    assert valid[1].float().mean() > 0.3


def test_other_splits_have_no_flow(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="synthetic/val holds no clips"):
        SyntheticDataset("val", (16, 8), count=2, cache=tmp_path).flow([0])
