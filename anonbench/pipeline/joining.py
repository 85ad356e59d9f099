"""Tracks from sightings: fragments of one person are joined, and each track knows where the person was."""

import math
import statistics
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from anonbench.crops import Outcome
from anonbench.pipeline.tracking import UNTRACKED, Box

NEAR = 0.25
"""A person found again lies at most so many body heights from where they were expected, and `DRIFT` more"""

DRIFT = 0.5
"""for every second in between: people walk about 0.8 body heights a second, and mostly straight on."""

STANDING = 5.0
"""Seconds for which somebody who does not walk may be lost and is found again in the same place: they stood
there, hidden. Whoever walks past the same place later is somebody else."""

STANDING_SIGHTINGS = 3
"""Detections, before or after, that it takes for that: two false alarms are no standing person."""

SLOW = 0.2
"""Body heights a second below which somebody does not walk."""

SAME_PLACE = 0.3
"""Intersection over union of a box with the place of a person who is missed there: it is that person's."""

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


Part = tuple[Sighting, ...]
"""Sightings of one person, by frame."""


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

    def speed(self, at_end: bool) -> float:
        """Body heights per second at either end of the track; 0 for a single sighting."""
        dx, dy = self._velocity(at_end)
        _, top, _, bottom = self._whole[-1 if at_end else 0].box
        return math.hypot(dx, dy) * self.frame_rate / max(bottom - top, 1.0)

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
    that one person may have left are joined: if no more than `patience` seconds lie between them, if somebody
    stood hidden in the same place, and if a detection fills the gap of a track.
    """
    parts = _fragments(sightings, frame_rate)
    walking = max(settings.patience * frame_rate, settings.every)
    parts = _joined(parts, frame_rate, walking, _walked)
    parts = _joined(parts, frame_rate, STANDING * frame_rate, _stood)
    parts = _absorbed([_track(i, part, frames, frame_rate, settings) for i, part in enumerate(parts)])
    return tuple(_track(i, part, frames, frame_rate, settings) for i, part in enumerate(parts))


def _track(id_: int, part: Part, frames: int, frame_rate: float, settings: TrackSettings) -> Track:
    seen = part[-1].frame - part[0].frame
    held = max(min(round(settings.hold * frame_rate), seen), settings.every - 1)
    return Track(
        id=id_,
        sightings=part,
        first=max(part[0].frame - held, 0),
        last=min(part[-1].frame + held, frames - 1),
        frame_rate=frame_rate,
        partial=_partial(part, frame_rate),
    )


def _fragments(sightings: Iterable[tuple[Sighting, int]], frame_rate: float) -> list[Part]:
    """What the tracker saw as one person."""
    by_id: dict[int, list[Sighting]] = defaultdict(list)
    single: list[Part] = []
    for sighting, id_ in sightings:
        if id_ == UNTRACKED:
            single.append((sighting,))
        else:
            by_id[id_].append(sighting)
    return _in_order([*map(tuple, by_id.values()), *single])


def _joined(
    parts: Sequence[Part],
    frame_rate: float,
    patience: float,
    distance: Callable[[Track, Track], float | None],
) -> list[Part]:
    """Fragments linked to the likeliest next one, closest pairs first.

    patience: frames that may lie between two. distance: of the earlier and the later; none if they differ.
    """
    fragments = [Track(i, part, part[0].frame, part[-1].frame, frame_rate) for i, part in enumerate(parts)]
    by_end = sorted(fragments, key=lambda fragment: fragment.last)
    ends = [fragment.last for fragment in by_end]
    pairs = []
    for later in fragments:
        recent = slice(bisect_left(ends, later.first - patience), bisect_left(ends, later.first))
        for earlier in by_end[recent]:
            found = distance(earlier, later)
            if found is not None:
                pairs.append((found, earlier.id, later.id))
    following: dict[int, int] = {}
    continued = set()
    for _, earlier_id, later_id in sorted(pairs):
        if earlier_id not in following and later_id not in continued:
            following[earlier_id] = later_id
            continued.add(later_id)
    return _in_order([_chain(parts, following, i) for i in range(len(parts)) if i not in continued])


def _chain(parts: Sequence[Part], following: dict[int, int], start: int) -> Part:
    chain, at = parts[start], start
    while at in following:
        at = following[at]
        chain += parts[at]
    return chain


def _absorbed(tracks: Sequence[Track]) -> list[Part]:
    """Tracks whose every box lies where another one misses its person become part of that one, shortest first."""
    present: dict[int, list[Track]] = defaultdict(list)
    for track in tracks:
        for frame in range(track.first, track.last + 1):
            present[frame].append(track)
    parts = {track.id: track.sightings for track in tracks}
    for track in sorted(tracks, key=lambda track: (len(track.sightings), track.id)):
        hosts = [
            host
            for host in present[track.sightings[0].frame]
            if host.id in parts and len(parts[host.id]) > len(track.sightings)
        ]
        fitting = [(_fit(host, parts[host.id], track), -host.id) for host in hosts]
        best, host_id = max(fitting, default=(0.0, 0))
        if best >= SAME_PLACE:
            parts[-host_id] = tuple(sorted(parts[-host_id] + parts.pop(track.id), key=_frame))
    return _in_order(parts.values())


def _fit(host: Track, part: Part, other: Track) -> float:
    """The least overlap of the boxes of `other` with where the host should be; 0 where the host is seen."""
    seen = {sighting.frame for sighting in part}
    return min(
        0.0
        if s.frame in seen or not host.first <= s.frame <= host.last
        else _overlap(host.box_at(s.frame), s.box)
        for s in other.sightings
    )


def _in_order(parts: Iterable[Part]) -> list[Part]:
    return sorted(parts, key=lambda part: (part[0].frame, part[0].box))


def _walked(earlier: Track, later: Track) -> float | None:
    """How far from where the earlier should be by then the later begins; none if it is somebody else."""
    seconds = (later.first - earlier.last) / earlier.frame_rate
    return _distance(earlier.box_at(later.first), later.sightings[0].box, NEAR + DRIFT * seconds)


def _stood(earlier: Track, later: Track) -> float | None:
    """The same for somebody who does not walk, of whom one of the two is no false alarm."""
    certain = max(len(earlier.sightings), len(later.sightings)) >= STANDING_SIGHTINGS
    if not certain or max(earlier.speed(at_end=True), later.speed(at_end=False)) > SLOW:
        return None
    return _distance(earlier.sightings[-1].box, later.sightings[0].box, NEAR)


def _distance(expected: Box, found: Box, limit: float) -> float | None:
    """Body heights between two places; none beyond `limit` or if the heights do not fit."""
    heights = sorted((expected[3] - expected[1], found[3] - found[1]))
    if heights[0] <= 0 or heights[1] / heights[0] > SAME_HEIGHT:
        return None
    (x0, y0), (x1, y1) = _centre(expected), _centre(found)
    distance = ((x0 - x1) ** 2 + (y0 - y1) ** 2) ** 0.5 / heights[1]
    return distance if distance <= limit else None


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


def _overlap(a: Box, b: Box) -> float:
    """Intersection over union."""
    across = min(a[2], b[2]) - max(a[0], b[0])
    down = min(a[3], b[3]) - max(a[1], b[1])
    if across <= 0 or down <= 0:
        return 0.0
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return across * down / (areas - across * down)


def _frame(sighting: Sighting) -> int:
    return sighting.frame


def _centre(box: Box) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
