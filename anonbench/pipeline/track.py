"""One person over a clip: in which frames they were seen, and where they are in between."""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from anonbench.crops import Outcome
from anonbench.pipeline.tracking import Box

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
        (x0, y0), (x1, y1) = centre(recent[0].box), centre(recent[-1].box)
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


def _around(sightings: Sequence[Sighting], frame: int) -> Sequence[Sighting]:
    """The last sighting before and the first at or after a frame, as far as there are."""
    at = bisect_left(sightings, frame, key=_frame)
    return sightings[max(at - 1, 0) : at + 1]


def _mixed(a: Box, b: Box, share: float) -> Box:
    x0, y0, x1, y1 = (p + (q - p) * share for p, q in zip(a, b, strict=True))
    return x0, y0, x1, y1


def centre(box: Box) -> tuple[float, float]:
    """x and y of a box's middle."""
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _frame(sighting: Sighting) -> int:
    return sighting.frame
