"""Where the frames of a new clip go: chunk by chunk beside the result, which is put together at the end.

A chunk is written once and does not depend on the others. So a run that was killed goes on where it was,
and encodes the same frames as one that was not.
"""

import heapq
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import av
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from PIL import Image

from anonbench.cache import write_atomic
from anonbench.datasets.images import EXTENSIONS
from anonbench.errors import CacheError, DataError, UsageError
from anonbench.pipeline.clips import VIDEO_SUFFIXES, ClipFormat, Frame, opened, start_of

CRF = 18
"""Constant rate factor of H.264 and VP9: on most material no difference to the source can be seen."""

ENCODER_THREADS = 1
"""One, so that as little as possible decides the bytes. They are nearly always the same for the same frames."""

JPEG_QUALITY = 95

AnyPacket: TypeAlias = "Packet[Any]"

_BITEXACT = {"fflags": "+bitexact"}
"""No date, no version and no random number in the file."""

_MP4_KIND = (".m4v", ".mov", ".mp4")


class ClipSink(Protocol):
    """Writes the frames of one clip."""

    def write_chunk(self, path: Path, frames: Iterable[Frame]) -> None:
        """Write some consecutive frames to `path`: all of them, or nothing. Raises DataError on a full disk."""
        ...

    def join(self, chunks: Sequence[Path], out: Path) -> None:
        """Make the clip `out` of all its chunks, in order."""
        ...


class VideoSink:
    """H.264 in AVI, MKV, MOV or MP4, VP9 in WebM, 4:2:0; 4:4:4 where H.264 could not hold an odd size.

    Frames keep their times. Nothing else of a source is taken over than its size, pixel aspect and way to
    store colours, and its sound if `sound` names the file to take it from, which is not encoded again.
    """

    def __init__(self, known: ClipFormat, suffix: str, crf: int = CRF, sound: Path | None = None) -> None:
        """Raises UsageError where files of this `suffix` cannot be written."""
        if suffix.lower() not in VIDEO_SUFFIXES:
            raise UsageError(f"cannot write video as '{suffix}'; name it {', '.join(VIDEO_SUFFIXES)}")
        self._known = known
        self._codec = "libvpx-vp9" if suffix.lower() == ".webm" else "libx264"
        self._options = {"crf": str(crf)} | ({"b": "0"} if self._codec == "libvpx-vp9" else {})
        odd = any(side % 2 for side in known.size)
        self._pixels = "yuv444p" if odd and self._codec == "libx264" else "yuv420p"
        self._time_base = 1 / known.frame_rate if suffix.lower() == ".avi" else known.time_base
        self._sound = sound

    def write_chunk(self, path: Path, frames: Iterable[Frame]) -> None:
        """A segment in NUT, which keeps times exactly, with a key frame at its start."""

        def write(temporary: Path) -> None:
            with av.open(temporary, "w", format="nut", options=_BITEXACT) as container:
                stream = self._stream(container)
                for frame in self._pictures(frames):
                    container.mux(stream.encode(frame))
                container.mux(stream.encode())

        with _disk_errors(path):
            write_atomic(path, write)

    def join(self, chunks: Sequence[Path], out: Path) -> None:
        """All segments in one file, as they were encoded."""

        def write(temporary: Path) -> None:
            options = {"movflags": "+faststart"} if out.suffix.lower() in _MP4_KIND else {}
            with ExitStack() as stack:
                container = stack.enter_context(av.open(temporary, "w", options=options | _BITEXACT))
                parts = [self._segment_packets(container, chunks)]
                if self._sound:
                    parts += stack.enter_context(_sound_packets(container, self._sound))
                for packet in heapq.merge(*parts, key=_decoded_at):
                    container.mux(packet)

        with _disk_errors(out):
            write_atomic(out, write)

    def _stream(self, container: OutputContainer) -> VideoStream:
        """No frame refers to a later one: segments can be put one after the other as they are."""
        known = self._known
        stream = container.add_stream(self._codec, rate=known.frame_rate, options=self._options)
        assert isinstance(stream, VideoStream)
        stream.height, stream.width = known.size
        stream.pix_fmt = self._pixels
        codec = stream.codec_context
        codec.time_base = self._time_base
        codec.max_b_frames = 0
        codec.thread_count = ENCODER_THREADS
        codec.sample_aspect_ratio = known.aspect
        codec.colorspace, codec.color_range = known.colours.matrix, known.colours.range
        codec.color_primaries, codec.color_trc = known.colours.primaries, known.colours.transfer
        return stream

    def _segment_packets(self, container: OutputContainer, chunks: Sequence[Path]) -> Iterator[AnyPacket]:
        """The packets of all segments; the stream that they go to is there before the first is asked for."""
        with av.open(chunks[0]) as first:
            stream: Stream = container.add_stream_from_template(
                first.streams.video[0], framerate=self._known.frame_rate, time_base=self._time_base
            )

        def packets() -> Iterator[AnyPacket]:
            for chunk in chunks:
                with av.open(chunk) as segment:
                    yield from _packets(segment.demux(video=0), stream)

        return packets()

    def _pictures(self, frames: Iterable[Frame]) -> Iterator[VideoFrame]:
        last = None
        for frame in frames:
            pixels = frame.image.permute(1, 2, 0).contiguous().numpy()
            picture = VideoFrame.from_ndarray(pixels, format="rgb24").reformat(
                format=self._pixels,
                dst_colorspace=self._known.colours.matrix,
                dst_color_range=self._known.colours.range,
            )
            picture.pts, picture.time_base = round(frame.time / self._time_base), self._time_base
            if last is not None and picture.pts <= last:
                raise DataError("AVI has one frame rate, and this clip's varies; write .mp4 or .mkv")
            last = picture.pts
            yield picture


class FolderSink:
    """Frames as image files under their own names; those without an ending become PNG."""

    def write_chunk(self, path: Path, frames: Iterable[Frame]) -> None:
        """A folder of images, under another name until it is complete."""
        temporary = path.with_name(f".{path.name}")
        shutil.rmtree(temporary, ignore_errors=True)
        with _disk_errors(path):
            temporary.mkdir(parents=True)
            for frame in frames:
                image = Image.fromarray(frame.image.permute(1, 2, 0).contiguous().numpy())
                name = frame.name if frame.name.lower().endswith(EXTENSIONS) else f"{frame.name}.png"
                image.save(temporary / name, quality=JPEG_QUALITY)
            temporary.rename(path)

    def join(self, chunks: Sequence[Path], out: Path) -> None:
        """All images in one folder."""
        with _disk_errors(out):
            out.mkdir(parents=True, exist_ok=True)
            for chunk in chunks:
                for file in sorted(chunk.iterdir()):
                    file.replace(out / file.name)


@contextmanager
def _sound_packets(container: OutputContainer, path: Path) -> Iterator[list[Iterator[AnyPacket]]]:
    """The packets of the first sound track; an empty list where there is none.

    Raises DataError where the new container cannot hold sound of this kind.
    """
    with opened(path) as source:
        if not source.streams.audio:
            yield []
            return
        sound = source.streams.audio[0]
        try:
            stream: Stream = container.add_stream_from_template(sound)
        except (ValueError, av.FFmpegError) as error:
            raise DataError(
                f"{path}: its sound ({sound.codec_context.name}) does not fit into this kind of file; "
                "write .mkv, or leave out --keep-audio"
            ) from error
        yield [_packets(source.demux(sound), stream, start_of(source))]


def _packets(
    source: Iterable[AnyPacket], stream: Stream, start: Fraction = Fraction(0)
) -> Iterator[AnyPacket]:
    """Packets for another file, in which they come `start` seconds earlier."""
    for packet in source:
        if packet.dts is None or packet.pts is None:
            continue  # the end of the stream
        ticks = round(start / packet.time_base)
        packet.dts, packet.pts = packet.dts - ticks, packet.pts - ticks
        packet.stream = stream
        yield packet


def _decoded_at(packet: AnyPacket) -> Fraction:
    return (packet.dts or 0) * packet.time_base


@contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    """What a full or locked disk says, as one line."""
    try:
        yield
    except (CacheError, av.FFmpegError, OSError) as error:
        cause = error.__cause__ if isinstance(error, CacheError) else error
        reason = getattr(cause, "strerror", None) or str(cause)
        raise DataError(
            f"cannot write {path} ({reason}); make room or choose another place, then repeat the command: "
            "it goes on where it was"
        ) from error
