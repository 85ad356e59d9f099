"""Tracks: who is who over a whole clip, and where people are in frames in which no detector saw them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction

from anonbench.crops import Outcome
from anonbench.detection.detectors import NamedDetector
from anonbench.detection.people import Person, PersonDetections
from anonbench.pipeline.clips import FOLDER_RATE, Frame
from anonbench.pipeline.detection_store import DetectionStore
from anonbench.pipeline.filling import completed, moved
from anonbench.pipeline.frame_detection import detect_packed
from anonbench.pipeline.joining import build_tracks
from anonbench.pipeline.track import Sighting, Track, TrackSettings
from anonbench.pipeline.tracking import track_boxes

DEFAULTS = TrackSettings()


class ClipTracks:
    """Everybody in a clip. tracks: in the order in which people appear. frame_rate: frames per second, on average."""

    def __init__(self, store: DetectionStore, tracks: tuple[Track, ...], frame_rate: float) -> None:
        self.tracks = tracks
        self.frame_rate = frame_rate
        self._store = store
        self._present: dict[int, list[Track]] = defaultdict(list)
        for track in tracks:
            for frame in range(track.first, track.last + 1):
                self._present[frame].append(track)

    def __len__(self) -> int:
        """Number of frames."""
        return len(self._store)

    def frame(self, index: int) -> tuple[PersonDetections, tuple[int, ...]]:
        """Everybody in a frame, found or filled in, and the id of each one's track."""
        found = self._store[index]
        present = [(track.id, self._person(track, index)) for track in self._present[index]]
        people = [(id_, person) for id_, person in present if person is not None]
        return found.with_people([person for _, person in people]), tuple(id_ for id_, _ in people)

    def _person(self, track: Track, frame: int) -> Person | None:
        """Who is seen, completed where a mask or surface is missing; else the nearest sound sighting, moved."""
        seen = track.seen_at(frame)
        person = self._store[frame].people[seen.person] if seen else None
        anchor = track.nearest_sound(frame)
        if anchor is None or (seen and track.is_sound(seen)):
            return person
        partial = frame in track.partial
        place = seen.box if seen and not partial else track.box_at(frame)
        lent = self._store[anchor.frame].people[anchor.person]
        borrowed = moved(lent, anchor.box, place, self._store[frame].size)
        return completed(person, borrowed, grow=partial) if person and borrowed else person or borrowed


def track_clip(
    frames: Iterable[Frame], detector: NamedDetector, settings: TrackSettings = DEFAULTS
) -> ClipTracks:
    """Find everybody in a clip and follow them. Each frame is read once and not kept.

    Every detection belongs to a track, if need be to one of a single frame.
    """
    store, times = DetectionStore(), list[Fraction]()
    for packed in detect_packed(_timed(frames, times), detector, settings.every, settings.workers):
        store.append(packed)
    frame_rate = _mean_rate(times)
    sightings = [_sightings(store, index) for index in range(0, len(store), settings.every)]
    ids = track_boxes(
        [[s.box for s in seen] for seen in sightings], frame_rate / settings.every, settings.patience
    )
    tracks = build_tracks(
        [pair for seen, own in zip(sightings, ids, strict=True) for pair in zip(seen, own, strict=True)],
        len(store),
        frame_rate,
        settings,
    )
    return ClipTracks(store, tracks, frame_rate)


def _timed(frames: Iterable[Frame], times: list[Fraction]) -> Iterator[Frame]:
    """The frames; their times are noted."""
    for frame in frames:
        times.append(frame.time)
        yield frame


def _mean_rate(times: Sequence[Fraction]) -> float:
    """Frames per second over the whole clip; durations in seconds become numbers of frames by it."""
    seconds = times[-1] - times[0] if times else 0
    return float((len(times) - 1) / seconds) if seconds else float(FOLDER_RATE)


def _sightings(store: DetectionStore, frame: int) -> list[Sighting]:
    return [
        Sighting(frame, i, person.box, int(person.mask.sum()), person.outcome == Outcome.SURFACE)
        for i, person in enumerate(store[frame].people)
    ]
