"""People are followed over a clip and covered where no detector saw them."""

from collections.abc import Sequence
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anonbench.crops import Outcome
from anonbench.detection.people import Person, PersonDetections
from anonbench.pipeline.clips import Frame
from anonbench.pipeline.detection_store import DetectionStore, pack, unpack
from anonbench.pipeline.filling import moved
from anonbench.pipeline.track import TrackSettings
from anonbench.pipeline.tracks import DEFAULTS, ClipTracks, track_clip
from tests.detection.scenes import scene
from tests.pipeline.clip_files import Scripted
from tests.pipeline.people import block

SIZE = (100, 300)
RATE = 10


def walker(frame: int, surface: bool = True, start: int = 20, step: int = 4) -> Person:
    """A person of 20x60 pixels who walks to the right."""
    return block(SIZE, 20, start + step * frame, 80, start + 20 + step * frame, surface)


def tracked(
    people: Sequence[Sequence[Person]], chosen: TrackSettings = DEFAULTS, rate: int = RATE
) -> ClipTracks:
    found = [PersonDetections(SIZE, tuple(own)) for own in people]
    blank = torch.zeros((3, *SIZE), dtype=torch.uint8)
    frames = (Frame(blank, Fraction(i, rate), f"{i:06d}") for i in range(len(found)))
    return track_clip(frames, Scripted(found), chosen)


def covered(tracks: ClipTracks, frame: int, person: Person) -> float:
    """Share of a person's pixels that are anonymized in a frame."""
    mask = tracks.frame(frame)[0].mask()
    return float(mask[person.window.slices][person.mask].float().mean())


def test_whoever_is_seen_is_given_back_as_detected() -> None:
    people = [[walker(i)] for i in range(10)]
    tracks = tracked(people)
    for i, (person,) in enumerate(people):
        detections, ids = tracks.frame(i)
        assert ids == (0,)
        assert torch.equal(detections.people[0].mask, person.mask)
        assert torch.equal(detections.people[0].surface, person.surface)


def test_missed_frames_inside_a_track_are_filled_where_the_person_was() -> None:
    people = [[walker(i)] if i not in (7, 8, 9, 10) else [] for i in range(20)]
    tracks = tracked(people)
    assert len(tracks.tracks) == 1
    for missed in (7, 8, 9, 10):
        detections, ids = tracks.frame(missed)
        assert ids == (0,)
        assert detections.people[0].outcome == Outcome.SURFACE
        assert covered(tracks, missed, walker(missed)) == 1
        assert detections.mask().sum() < 2 * walker(missed).mask.sum()


def test_people_are_held_for_seconds_not_frames() -> None:
    for rate in (10, 20):
        people = [[walker(i, step=1)] if 2 * rate <= i < 4 * rate else [] for i in range(6 * rate)]
        tracks = tracked(people, TrackSettings(hold=0.5), rate)
        shown = [i for i in range(6 * rate) if len(tracks.frame(i)[0])]
        assert (shown[0], shown[-1]) == (2 * rate - rate // 2, 4 * rate - 1 + rate // 2)


def test_a_held_person_walks_on_and_ends_at_the_border() -> None:
    people = [[walker(i, start=60, step=10)] if i < 18 else [] for i in range(40)]
    tracks = tracked(people, TrackSettings(hold=2.0))
    assert covered(tracks, 19, walker(19, start=60, step=10)) == 1
    assert len(tracks.frame(35)[0]) == 0


def test_a_false_alarm_of_one_frame_is_not_drawn_out_but_anonymized() -> None:
    people = [[walker(5)] if i == 5 else [] for i in range(12)]
    tracks = tracked(people, TrackSettings(hold=1.0))
    assert [len(tracks.frame(i)[0]) for i in range(12)] == [0] * 5 + [1] + [0] * 6


def test_a_mask_that_collapses_for_a_moment_is_completed_from_its_neighbours() -> None:
    people = [[walker(i)] for i in range(20)]
    head = block(SIZE, 20, 20 + 4 * 9, 32, 40 + 4 * 9)
    people[9] = [Person(walker(9).box, 0.9, head.window, head.mask, head.surface, head.keypoints)]
    tracks = tracked(people)
    assert covered(tracks, 9, walker(9)) == 1
    assert covered(tracks, 9, head) == 1


def test_a_missing_surface_is_lent_by_the_nearest_frame_so_that_nobody_flickers() -> None:
    people = [[walker(i, surface=i not in (4, 5, 12))] for i in range(20)]
    tracks = tracked(people)
    for i in (4, 5, 12):
        person = tracks.frame(i)[0].people[0]
        assert person.outcome == Outcome.SURFACE
        assert torch.equal(person.mask, walker(i).mask)
        assert (person.surface >= 0).float().mean() > 0.9
    assert tracks.tracks[0].outcome == Outcome.SURFACE


def test_somebody_without_any_surface_stays_mask_only() -> None:
    tracks = tracked([[walker(i, surface=False)] for i in range(5)])
    assert tracks.tracks[0].outcome == Outcome.MASK_ONLY
    assert tracks.frame(2)[0].people[0].outcome == Outcome.MASK_ONLY


def test_a_person_found_again_near_by_is_the_same_one() -> None:
    """Farther than a box can jump, so the tracker alone calls them two."""
    people = [[walker(i, step=12)] if i not in range(6, 13) else [] for i in range(20)]
    tracks = tracked(people)
    assert [track.id for track in tracks.tracks] == [0]
    assert all(tracks.frame(i)[1] == (0,) for i in range(20))


def test_a_person_who_appears_elsewhere_or_later_is_another_one() -> None:
    elsewhere = [[walker(0)] if i < 10 else [walker(50)] for i in range(20)]
    later = [[walker(0)] if i < 10 or i > 65 else [] for i in range(75)]
    assert len(tracked(elsewhere).tracks) == 2
    assert len(tracked(later).tracks) == 2


def test_somebody_who_stands_hidden_for_seconds_stays_covered() -> None:
    people = [[walker(0)] if i % 20 < 3 else [] for i in range(60)]
    tracks = tracked(people)
    assert len(tracks.tracks) == 1
    assert min(covered(tracks, i, walker(0)) for i in range(43)) == 1


def test_a_detection_in_the_gap_of_a_track_is_that_person() -> None:
    """Its box is too small for the tracker."""
    people = [[walker(i)] if i not in (8, 9, 10) else [] for i in range(20)]
    small = block(SIZE, 20, 20 + 4 * 9, 60, 34 + 4 * 9)
    people[9] = [small]
    tracks = tracked(people)
    assert [track.id for track in tracks.tracks] == [0]
    assert tracks.frame(9)[1] == (0,)
    assert covered(tracks, 9, small) == 1


def test_detecting_in_every_third_frame_covers_the_others() -> None:
    people = [[walker(i)] for i in range(21)]
    tracks = tracked(people, TrackSettings(every=3))
    assert len(tracks.tracks) == 1
    assert min(covered(tracks, i, walker(i)) for i in range(21)) == 1
    detector = Scripted([PersonDetections(SIZE, ())] * 7)
    blank = torch.zeros((3, *SIZE), dtype=torch.uint8)
    track_clip([Frame(blank, Fraction(i), f"{i}") for i in range(7)], detector, TrackSettings(every=3))
    assert detector.asked == 3


def test_a_clip_without_anybody_has_no_tracks() -> None:
    tracks = tracked([[]] * 5)
    assert (len(tracks), tracks.tracks) == (5, ())
    assert len(tracks.frame(3)[0]) == 0


def test_detections_come_back_from_the_store_as_they_were() -> None:
    _, found = scene(3)
    store = DetectionStore()
    for detections in (found.with_people([]), found):
        store.append(pack(detections))
    again = store[1]
    assert (len(store), len(store[0])) == (2, 0)
    assert (again.size, again.template) == (found.size, found.template)
    for a, b in zip(again.people, found.people, strict=True):
        assert (a.box, a.score, a.window) == (b.box, b.score, b.window)
        assert torch.equal(a.mask, b.mask)
        assert torch.equal(a.surface, b.surface)
        assert torch.equal(a.keypoints, b.keypoints)
    assert unpack(pack(found)).people[0].box == found.people[0].box


@settings(max_examples=50)
@given(st.floats(-60, 320), st.floats(-60, 120), st.floats(0.5, 2.0), st.booleans())
def test_a_moved_person_lies_inside_the_image_and_covers_the_place(
    x: float, y: float, scale: float, surface: bool
) -> None:
    person = walker(3, surface)
    place = (x, y, x + 20 * scale, y + 60 * scale)
    found = moved(person, person.box, place, SIZE)
    rows = slice(max(round(y), 0), max(round(y + 60 * scale), 0))
    columns = slice(max(round(x), 0), max(round(x + 20 * scale), 0))
    if found is None:
        assert torch.zeros(SIZE)[rows, columns].numel() <= SIZE[0] + SIZE[1]
        return
    full = torch.zeros(SIZE, dtype=torch.bool)
    full[found.window.slices] = found.mask
    assert full[rows, columns].all()
    assert found.box == pytest.approx(place)
    assert not (found.surface[~found.mask] >= 0).any()
