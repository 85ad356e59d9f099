"""Tracks from sightings: fragments of one person are joined, and each track knows where the person was."""

import statistics
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from anonbench.pipeline.track import Part, Sighting, Track, TrackSettings, centre
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
            parts[-host_id] = tuple(
                sorted(parts[-host_id] + parts.pop(track.id), key=lambda sighting: sighting.frame)
            )
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
    (x0, y0), (x1, y1) = centre(expected), centre(found)
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


def _overlap(a: Box, b: Box) -> float:
    """Intersection over union."""
    across = min(a[2], b[2]) - max(a[0], b[0])
    down = min(a[3], b[3]) - max(a[1], b[1])
    if across <= 0 or down <= 0:
        return 0.0
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return across * down / (areas - across * down)
