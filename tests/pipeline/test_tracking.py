"""ByteTrack follows boxes; the same boxes always give the same tracks."""

from anonbench.pipeline.tracking import UNTRACKED, Box, track_boxes


def walker(start: float, step: float, frames: int, top: float = 10) -> list[Box]:
    return [(start + step * i, top, start + 30 + step * i, top + 80) for i in range(frames)]


def test_two_people_who_pass_each_other_keep_their_tracks() -> None:
    right, left = walker(10, 4, 40), walker(200, -4, 40, top=16)
    ids = track_boxes([list(pair) for pair in zip(right, left, strict=True)], 10, 1.0)
    assert set(ids) == {(0, 1)}


def test_the_order_of_the_boxes_does_not_matter() -> None:
    right, left = walker(10, 4, 20), walker(300, -4, 20)
    ids = track_boxes(
        [[a, b] if i % 2 else [b, a] for i, (a, b) in enumerate(zip(right, left, strict=True))], 10, 1.0
    )
    assert len({own[i % 2] for i, own in enumerate(ids)}) == 1
    assert len({own[1 - i % 2] for i, own in enumerate(ids)}) == 1


def test_a_person_who_is_missed_within_the_patience_is_the_same_person() -> None:
    boxes = [[box] for box in walker(10, 3, 30)]
    boxes[10:15] = [[]] * 5
    lost = track_boxes(boxes, 10, patience=0.3)
    kept = track_boxes(boxes, 10, patience=1.0)
    assert {own[0] for own in kept if own} == {0}
    assert len({own[0] for own in lost if own and own[0] != UNTRACKED}) == 2


def test_frames_without_anybody_are_tracked_too() -> None:
    assert track_boxes([[], [], []], 10, 1.0) == [(), (), ()]


def test_tracking_is_repeatable() -> None:
    frames = [[a, b] for a, b in zip(walker(10, 4, 25), walker(90, -2, 25), strict=True)]
    assert track_boxes(frames, 10, 1.0) == track_boxes(frames, 10, 1.0)
