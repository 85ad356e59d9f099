"""Videos and folders of frames, anonymized: one appearance per person and track, in a memory that does not grow."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from anonbench.anonymizers.base import Anonymizer
from anonbench.crops import PersonCrops
from anonbench.detection.cropping import CROP_SIZE
from anonbench.detection.detectors import NamedDetector
from anonbench.errors import DataError, UsageError
from anonbench.latents import latents_for
from anonbench.pipeline.areas import Margins
from anonbench.pipeline.clip_sinks import CRF, ClipSink, FolderSink, VideoSink
from anonbench.pipeline.clips import FOLDER_RATE, Clip, Frame, FrameFolder, is_video, open_clip
from anonbench.pipeline.compositing import Canvas, prepare
from anonbench.pipeline.track import TrackSettings
from anonbench.pipeline.tracks import ClipTracks, track_clip
from anonbench.pipeline.video_report import VideoReport, report_of, write_sheet
from anonbench.pipeline.work_folder import WorkFolder
from anonbench.progress import track_speed
from anonbench.weights import file_sha256

TOGETHER = 8
"""Frames whose people are anonymized as one batch."""


@dataclass(frozen=True)
class VideoSettings:
    """How a clip is anonymized.

    seed, truncation: of the latents; every track has one of its own. size: (H, W) of the crops.
    chunk: frames that are written at a time, and lost at most when a run is killed.
    crf: quality of the video, lower is better. fps: frames per second of a folder of frames.
    keep_audio: take over the sound, which may tell who somebody is. skip_bad: take what comes before a frame
        that cannot be read, instead of stopping.
    """

    seed: int = 0
    truncation: float = 1.0
    margins: Margins = field(default_factory=Margins)
    tracking: TrackSettings = field(default_factory=TrackSettings)
    size: tuple[int, int] = CROP_SIZE
    chunk: int = 100
    crf: int = CRF
    fps: Fraction = FOLDER_RATE
    keep_audio: bool = False
    skip_bad: bool = False


DEFAULTS = VideoSettings()


def anonymize_video(
    source: Path,
    out: Path,
    detector: NamedDetector,
    anonymizer: Anonymizer,
    settings: VideoSettings = DEFAULTS,
    sheet: Path | None = None,
) -> VideoReport:
    """Anonymize a video file or a folder of frames; `out` is a video if it is named as one, else a folder.

    Everybody is found and followed first, then anonymized. The work in progress lies in `OUT.part` beside
    `out`; a run that is repeated after it was killed goes on there and encodes the same frames.
    sheet: a PNG to write with the people who are seen longest, before and after.
    Raises DataError for a clip that cannot be read or a result that cannot be written, UsageError where
    `out` is the input, or cannot be made from it.
    """
    _check_paths(source, out)
    clip = open_clip(source, settings.fps)
    sink = _sink(clip, out, settings)
    work = WorkFolder(out, _described(clip, detector, anonymizer, settings))
    reader = _Reader(clip, settings.skip_bad)
    tracks = track_clip(reader.frames("finding people", clip.format.length), detector, settings.tracking)
    if not len(tracks):
        raise DataError(f"{source}: not one frame could be read; copy the clip again")
    painter = _Painter(anonymizer, tracks, settings)
    frames = enumerate(islice(reader.frames("anonymizing", len(tracks)), len(tracks)))
    chunks = work.chunks(len(tracks), settings.chunk)
    for path in chunks:
        chunk = islice(frames, settings.chunk)
        if path.exists():
            deque(chunk, maxlen=0)  # read past it
        else:
            sink.write_chunk(path, painter.paint(chunk))
    sink.join(chunks, out)
    work.remove()
    if sheet:
        write_sheet(clip, open_clip(out, settings.fps), tracks, sheet)
    return report_of(clip, tracks, anonymizer.card, settings.truncation, reader.problem)


class _Reader:
    """The frames of a clip, as often as they are asked for. problem: why the clip was not read to its end."""

    def __init__(self, clip: Clip, skip_bad: bool) -> None:
        self.problem: str | None = None
        self._clip = clip
        self._skip_bad = skip_bad

    def frames(self, doing: str, total: int | None) -> Iterator[Frame]:
        """All frames, with a progress bar; with `skip_bad`, those before the first that cannot be read."""
        return track_speed(self._frames(), doing, total, "frames")

    def _frames(self) -> Iterator[Frame]:
        try:
            yield from self._clip.frames()
        except DataError as error:
            if not self._skip_bad:
                raise
            self.problem = str(error)


class _Painter:
    """Frames with everybody anonymized. People of several frames make one batch, which is faster."""

    def __init__(self, anonymizer: Anonymizer, tracks: ClipTracks, settings: VideoSettings) -> None:
        self._anonymizer = anonymizer
        self._tracks = tracks
        self._settings = settings

    def paint(self, frames: Iterator[tuple[int, Frame]]) -> Iterator[Frame]:
        """The same frames, given with their numbers in the clip."""
        while group := list(islice(frames, TOGETHER)):
            prepared = [self._prepared(index, frame.image) for index, frame in group]
            images = iter(self._anonymized(prepared))
            for (_, frame), (canvas, _) in zip(group, prepared, strict=True):
                new = list(islice(images, len(canvas.people)))
                yield replace(frame, image=canvas.paste(torch.stack(new)) if new else canvas.base)

    def _prepared(self, index: int, image: Tensor) -> tuple[Canvas, tuple[str, ...]]:
        """A frame without people, and the latent token of each one who is put back."""
        detections, ids = self._tracks.frame(index)
        canvas = prepare(
            image, detections, self._anonymizer.card, self._settings.margins, self._settings.size
        )
        return canvas, tuple(f"track/{ids[person]}" for person in canvas.people)

    def _anonymized(self, prepared: list[tuple[Canvas, tuple[str, ...]]]) -> Iterable[Tensor]:
        """New crops, uint8 (3, h, w) each, of everybody in all the frames."""
        crops = [canvas.crops for canvas, _ in prepared if canvas.people]
        if not crops:
            return ()
        tokens = [token for _, own in prepared for token in own]
        dim = self._anonymizer.card.latent_dim
        latents = None if dim is None else latents_for(self._settings.seed, tokens, dim)
        return self._anonymizer.anonymize(PersonCrops.concatenate(crops), latents, self._settings.truncation)


def _check_paths(source: Path, out: Path) -> None:
    if out.resolve() == source.resolve():
        raise UsageError(f"{out}: is the input itself; choose another output")
    if out.resolve().is_relative_to(source.resolve()):
        raise UsageError(f"{out}: lies in the folder of frames; choose an output beside it")


def _sink(clip: Clip, out: Path, settings: VideoSettings) -> ClipSink:
    if not out.suffix:
        if settings.keep_audio:
            raise UsageError(
                f"{out}: a folder of frames has no sound; leave out --keep-audio or name a video"
            )
        return FolderSink()
    sound = clip.path if settings.keep_audio and is_video(clip.path) else None
    return VideoSink(clip.format, out.suffix, settings.crf, sound)


def _described(
    clip: Clip, detector: NamedDetector, anonymizer: Anonymizer, settings: VideoSettings
) -> dict[str, Any]:
    """All that decides the bytes of the result, besides the version of anonbench."""
    files = clip.files if isinstance(clip, FrameFolder) else (clip.path,)
    chosen = asdict(replace(settings, tracking=replace(settings.tracking, workers=1)))
    return {
        "source": [file_sha256(file) for file in files],
        "detector": detector.digest,
        "model": anonymizer.card.digest,
        **chosen,
        "fps": str(settings.fps),
    }
