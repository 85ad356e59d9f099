"""What was done to a clip: numbers, and a sheet of pictures to look at."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anonbench.cards import ModelCard
from anonbench.crops import Outcome
from anonbench.detection.cropping import crop_people
from anonbench.pipeline.clips import Clip
from anonbench.pipeline.track import Track
from anonbench.pipeline.tracks import ClipTracks
from anonbench.reporting.galleries import GalleryRow, compose, save_png

CELL = (144, 80)
"""(H, W) of a crop on the sheet."""

PEOPLE, COLUMNS = 12, 8
"""Tracks on the sheet, and moments of each."""


@dataclass(frozen=True)
class VideoReport:
    """Counts of a run.

    frame_rate: frames per second. tracks: people who were told apart; lone: tracks of a single frame, mostly
    false alarms. person_frames: how often anybody was covered, filled: how often without a detection.
    outcomes: person-frames by outcome, as in `anonbench.crops.Outcome`. longest_gap: seconds that the longest
    row of filled frames inside a track lasts. warnings: what the user should know.
    """

    frames: int
    size: tuple[int, int]
    frame_rate: float
    tracks: int
    lone: int
    person_frames: int
    filled: int
    outcomes: Mapping[str, int]
    longest_gap: float
    warnings: tuple[str, ...]

    def content(self) -> dict[str, Any]:
        """As JSON takes it."""
        return asdict(self)


def report_of(
    clip: Clip, tracks: ClipTracks, card: ModelCard, truncation: float, problem: str | None
) -> VideoReport:
    """The report of a clip that was anonymized. problem: why not all of it could be read."""
    outcomes: Counter[str] = Counter()
    for track in tracks.tracks:
        outcomes[track.outcome.name.lower()] += len(track)
    seen = sum(len(track.sightings) for track in tracks.tracks)
    gap = max((track.longest_gap for track in tracks.tracks), default=0)
    return VideoReport(
        frames=len(tracks),
        size=clip.format.size,
        frame_rate=tracks.frame_rate,
        tracks=len(tracks.tracks),
        lone=sum(len(track.sightings) == 1 for track in tracks.tracks),
        person_frames=outcomes.total(),
        filled=outcomes.total() - seen,
        outcomes=dict(outcomes),
        longest_gap=gap / tracks.frame_rate,
        warnings=tuple(_warnings(tracks, card, truncation, problem)),
    )


def _warnings(tracks: ClipTracks, card: ModelCard, truncation: float, problem: str | None) -> Iterable[str]:
    if problem:
        yield f"the rest of the clip is missing: {problem}"
    if not tracks.tracks:
        yield "nobody was found, and nothing was changed"
    elif card.latent_dim is not None and truncation == 0:
        yield "at truncation 0 everybody looks alike; more than 0 tells people apart"
    if any(track.outcome == Outcome.NONE for track in tracks.tracks):
        yield "some people were detected without a mask, and left as they are"


def write_sheet(source: Clip, result: Clip, tracks: ClipTracks, path: Path) -> None:
    """A PNG of the people who are seen longest, as they were and as they are now, at even times.

    It shows original people: never give it away with the result. Nothing is written where nobody was found.
    """
    longest = sorted(tracks.tracks, key=lambda track: (-len(track), track.id))[:PEOPLE]
    moments = {track.id: _moments(track) for track in sorted(longest, key=lambda track: track.id)}
    before, after = (_crops(clip, tracks, moments) for clip in (source, result))
    rows = []
    for id_, frames in moments.items():
        seen = [frame for frame in frames if (id_, frame) in before]
        for label, crops in (("original", before), ("anonymized", after)):
            if seen:
                images = np.stack([crops[id_, frame] for frame in seen])
                rows.append(GalleryRow(label, images, f"track {id_}"))
    if rows:
        save_png(compose(rows, title="Who is seen longest, at even times"), path)


def _moments(track: Track) -> list[int]:
    """Frames spread evenly over a track."""
    span = track.last - track.first
    return sorted({track.first + round(span * i / (COLUMNS - 1)) for i in range(COLUMNS)})


def _crops(
    clip: Clip, tracks: ClipTracks, moments: Mapping[int, list[int]]
) -> dict[tuple[int, int], NDArray[np.uint8]]:
    """Crops (H, W, 3) by track and frame; none where the person has left the image."""
    crops: dict[tuple[int, int], NDArray[np.uint8]] = {}
    needed = {frame for frames in moments.values() for frame in frames}
    for index, frame in enumerate(islice(clip.frames(), max(needed, default=-1) + 1)):
        if index in needed:
            detections, ids = tracks.frame(index)
            images = crop_people(frame.image, detections, CELL)[0].image.permute(0, 2, 3, 1).numpy()
            found = zip(ids, images, strict=True)
            crops |= {(id_, index): image for id_, image in found if index in moments.get(id_, ())}
    return crops
