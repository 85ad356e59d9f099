"""Tracks from sightings: fragments of one person are joined, and each track knows where the person was."""

import statistics
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from anonbench.crops import Outcome
from anonbench.pipeline.tracking import UNTRACKED, Box

NEAR = 0.25
"""A person found again lies at most so many body heights from where they were expected, and `DRIFT` more"""

DRIFT = 0.5
"""for every second in between: people walk about 0.8 body heights a second, and mostly straight on."""

SAME_HEIGHT = 1.5
"""Largest ratio of heights between the last sight of a person and the first new one."""

PARTIAL = 0.5
"""A mask smaller than this share of the median around it in its track shows a part of the person only."""

VELOCITY_SECONDS = 0.5
"""How far back the velocity at the end of a track is taken from; steps and jitter average out."""


@dataclass(frozen=True)
class TrackSettings:
    """How people are followed.

    every: the detector looks at each so many frames; in between people are where their track says.
    patience: seconds for which a person may be lost and is still the same when found again. The frames in
        between are filled.
    hold: seconds for which a person is covered before the first and after the last detection, but no longer
        than they were seen: a false alarm in one frame is not drawn out.
    workers: processes that detect.
    """

    every: int = 1
    patience: float = 1.0
    hold: float = 0.5
    workers: int = 1


@dataclass(frozen=True)
class Sighting:
    """A detection as tracks know it. person: its place in the detections of the frame. area: pixels of the mask."""

    frame: int
    person: int
    box: Box
    area: int
    has_surface: bool


@dataclass(frozen=True)
class Track:
    """One person. sightings: by frame. first, last: the frames in which the person is covered.

    frame_rate: frames per second. partial: frames whose mask shows a part of the person only.
    """

    id: int
    sightings: tuple[Sighting, ...]
    first: int
    last: int
    frame_rate: float
    partial: frozenset[int] = frozenset()

    def __len__(self) -> int:
        """Frames in which the person is covered."""
        return self.last - self.first + 1

    @property
    def outcome(self) -> Outcome:
        """What happens to the person in all of the track: surfaces are lent from frame to frame."""
        if self._has_surfaces:
            return Outcome.SURFACE
        return Outcome.MASK_ONLY if any(s.area for s in self.sightings) else Outcome.NONE

    @property
    def longest_gap(self) -> int:
        """Frames in the longest row without a sighting between two of them."""
        frames = [s.frame for s in self.sightings]
        return max((b - a - 1 for a, b in pairwise(frames)), default=0)

    def seen_at(self, frame: int) -> Sighting | None:
        """The sighting in this frame."""
        at = bisect_left(self.sightings, frame, key=_frame)
        found = self.sightings[at : at + 1]
        return found[0] if found and found[0].frame == frame else None

    def is_sound(self, sighting: Sighting) -> bool:
        """Whether a frame shows all that the track knows of the person: the whole mask, and a surface."""
        return sighting.frame not in self.partial and (sighting.has_surface or not self._has_surfaces)

    def nearest_sound(self, frame: int) -> Sighting | None:
        """The sound sighting closest in time, the earlier of two; none if there is no sound one."""
        return min(_around(self._sound, frame), key=lambda s: abs(s.frame - frame), default=None)

    def box_at(self, frame: int) -> Box:
        """Where the person is: between sightings interpolated, beyond them at constant velocity and size."""
        known = self._whole
        around = _around(known, frame)
        if len(around) == 2:
            before, after = around
            share = (frame - before.frame) / max(after.frame - before.frame, 1)
            return _mixed(before.box, after.box, share)
        beyond = known[0] if frame <= known[0].frame else known[-1]
        dx, dy = self._velocity(at_end=beyond is known[-1])
        steps = frame - beyond.frame
        x0, y0, x1, y1 = beyond.box
        return x0 + dx * steps, y0 + dy * steps, x1 + dx * steps, y1 + dy * steps

    def _velocity(self, at_end: bool) -> tuple[float, float]:
        """Pixels per frame of the box's centre, at either end of the track."""
        known = self._whole if at_end else self._whole[::-1]
        reach = VELOCITY_SECONDS * self.frame_rate
        recent = [s for s in known[-round(reach) - 2 :] if abs(s.frame - known[-1].frame) <= max(reach, 1)]
        frames = recent[-1].frame - recent[0].frame
        if not frames:
            return 0.0, 0.0
        (x0, y0), (x1, y1) = _centre(recent[0].box), _centre(recent[-1].box)
        return (x1 - x0) / frames, (y1 - y0) / frames

    @cached_property
    def _whole(self) -> tuple[Sighting, ...]:
        return tuple(s for s in self.sightings if s.frame not in self.partial)

    @cached_property
    def _sound(self) -> tuple[Sighting, ...]:
        return tuple(s for s in self.sightings if self.is_sound(s))

    @cached_property
    def _has_surfaces(self) -> bool:
        return any(s.has_surface for s in self._whole)


def build_tracks(
    sightings: Iterable[tuple[Sighting, int]], frames: int, frame_rate: float, settings: TrackSettings
) -> tuple[Track, ...]:
    """Tracks of a clip of so many `frames`, numbered in the order in which people appear.

    sightings: with the id that the tracker gave; UNTRACKED ones are fragments of a single frame. Fragments
    that one person may have left are joined if no more than `patience` seconds lie between them.
    """
    fragments = _fragments(sightings, frame_rate)
    whole = _joined(fragments, max(settings.patience * frame_rate, settings.every))
    tracks = []
    for id_, parts in enumerate(sorted(whole, key=lambda part: (part[0].frame, part[0].box))):
        seen = parts[-1].frame - parts[0].frame
        held = max(min(round(settings.hold * frame_rate), seen), settings.every - 1)
        tracks.append(
            Track(
                id=id_,
                sightings=parts,
                first=max(parts[0].frame - held, 0),
                last=min(parts[-1].frame + held, frames - 1),
                frame_rate=frame_rate,
                partial=_partial(parts, frame_rate),
            )
        )
    return tuple(tracks)


def _fragments(sightings: Iterable[tuple[Sighting, int]], frame_rate: float) -> list[Track]:
    """What the tracker saw as one person, by first frame."""
    by_id: dict[int, list[Sighting]] = defaultdict(list)
    single = []
    for sighting, id_ in sightings:
        if id_ == UNTRACKED:
            single.append((sighting,))
        else:
            by_id[id_].append(sighting)
    parts = [*map(tuple, by_id.values()), *single]
    return [
        Track(i, part, part[0].frame, part[-1].frame, frame_rate)
        for i, part in enumerate(sorted(parts, key=lambda part: (part[0].frame, part[0].box)))
    ]


def _joined(fragments: Sequence[Track], patience: float) -> list[tuple[Sighting, ...]]:
    """Fragments linked to the likeliest next one, closest pairs first. patience: in frames."""
    by_end = sorted(fragments, key=lambda fragment: fragment.last)
    ends = [fragment.last for fragment in by_end]
    pairs = []
    for later in fragments:
        recent = slice(bisect_left(ends, later.first - patience), bisect_left(ends, later.first))
        for earlier in by_end[recent]:
            distance = _distance(earlier, later)
            if distance is not None:
                pairs.append((distance, earlier.id, later.id))
    following: dict[int, int] = {}
    continued = set()
    for _, earlier_id, later_id in sorted(pairs):
        if earlier_id not in following and later_id not in continued:
            following[earlier_id] = later_id
            continued.add(later_id)
    starts = set(range(len(fragments))) - continued
    return [_chain(fragments, following, start) for start in sorted(starts)]


def _chain(fragments: Sequence[Track], following: dict[int, int], start: int) -> tuple[Sighting, ...]:
    chain: tuple[Sighting, ...] = ()
    at: int | None = start
    while at is not None:
        chain += fragments[at].sightings
        at = following.get(at)
    return chain


def _distance(earlier: Track, later: Track) -> float | None:
    """Body heights between where a person should be and where one is found; none if it is somebody else."""
    expected, found = earlier.box_at(later.first), later.sightings[0].box
    heights = sorted((expected[3] - expected[1], found[3] - found[1]))
    if heights[0] <= 0 or heights[1] / heights[0] > SAME_HEIGHT:
        return None
    (x0, y0), (x1, y1) = _centre(expected), _centre(found)
    distance = ((x0 - x1) ** 2 + (y0 - y1) ** 2) ** 0.5 / heights[1]
    seconds = (later.first - earlier.last) / earlier.frame_rate
    return distance if distance <= NEAR + DRIFT * seconds else None


def _partial(sightings: Sequence[Sighting], frame_rate: float) -> frozenset[int]:
    """Frames whose mask is far smaller than those within a second; never all of them."""
    found = set()
    for i, sighting in enumerate(sightings):
        near = sightings[max(0, i - round(frame_rate)) : i + round(frame_rate) + 1]
        areas = [s.area for s in near if abs(s.frame - sighting.frame) <= frame_rate]
        if sighting.area < PARTIAL * statistics.median(areas):
            found.add(sighting.frame)
    return frozenset(found)


def _around(sightings: Sequence[Sighting], frame: int) -> Sequence[Sighting]:
    """The last sighting before and the first at or after a frame, as far as there are."""
    at = bisect_left(sightings, frame, key=_frame)
    return sightings[max(at - 1, 0) : at + 1]


def _mixed(a: Box, b: Box, share: float) -> Box:
    x0, y0, x1, y1 = (p + (q - p) * share for p, q in zip(a, b, strict=True))
    return x0, y0, x1, y1


def _frame(sighting: Sighting) -> int:
    return sighting.frame


def _centre(box: Box) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
