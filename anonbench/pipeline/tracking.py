"""Who is who from frame to frame, by boxes alone: ByteTrack (Zhang et al., ECCV 2022) of `supervision`."""

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import supervision

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 in pixels."""

MIN_IOU = 0.1
"""A box belongs to a track only if it overlaps the predicted one by this; people walk, boxes jitter."""

UNTRACKED = -1


def track_boxes(frames: Sequence[Sequence[Box]], frame_rate: float, patience: float) -> list[tuple[int, ...]]:
    """The track of every box: an id from 0 on per box and frame, UNTRACKED where it follows no other.

    frames: the boxes of each frame. frame_rate: frames per second. patience: seconds after which a track that
    finds no box is over.
    Every box counts as certain. Scores of different detectors do not compare, and whatever is anonymized has
    to be followed; ByteTrack's second round, for uncertain boxes, is thereby left out.
    """
    import supervision

    with warnings.catch_warnings():
        # It moved to the package `trackers`, which asks for NumPy 2; MediaPipe's last release asks for NumPy 1.
        warnings.simplefilter("ignore")
        tracker = supervision.ByteTrack(
            minimum_matching_threshold=1 - MIN_IOU,
            lost_track_buffer=round(30 * patience),  # counted at 30 frames per second
            frame_rate=frame_rate,
        )
    return [_update(tracker, boxes) for boxes in frames]


def _update(tracker: "supervision.ByteTrack", boxes: Sequence[Box]) -> tuple[int, ...]:
    import supervision

    ids = np.full(len(boxes), UNTRACKED)
    found = tracker.update_with_detections(
        supervision.Detections(
            xyxy=np.asarray(boxes, dtype=np.float32).reshape(-1, 4),
            confidence=np.ones(len(boxes), dtype=np.float32),
            data={"box": np.arange(len(boxes))},
        )
    )
    if found.tracker_id is not None and len(found):  # of nobody, it forgets the other columns
        ids[found.data["box"]] = found.tracker_id - 1
    return tuple(ids.tolist())
