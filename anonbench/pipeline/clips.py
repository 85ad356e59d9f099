"""Clips: video files and folders of frames, read one upright frame at a time."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import NoReturn, Protocol

import av
import torch
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from torch import Tensor

from anonbench.datasets.images import is_image, read_image
from anonbench.errors import DataError

VIDEO_SUFFIXES = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".webm")
"""File name endings that count as video, compared in lower case; each of them can be written, too."""

FOLDER_RATE = Fraction(25)
"""Frames per second of a folder of frames for which nobody said another rate."""


@dataclass(frozen=True)
class Frame:
    """One frame. image: uint8 (3, H, W), RGB, upright. time: seconds from the start of the clip.

    name: the frame's file in a folder of frames; its number, "000012", in a video.
    """

    image: Tensor
    time: Fraction
    name: str = ""


@dataclass(frozen=True)
class Colours:
    """How a video stores colours, as numbers of H.273: matrix, primaries, transfer; range 1 limited, 2 full."""

    matrix: int = 2
    primaries: int = 2
    transfer: int = 2
    range: int = 0


@dataclass(frozen=True)
class ClipFormat:
    """What a copy of a clip has in common with it.

    size: (H, W) upright. frame_rate: frames per second, the mean where it varies. time_base: seconds in which
    times are counted. aspect: width of a pixel over its height. length: frames that the file announces; none
    where it does not say.
    """

    size: tuple[int, int]
    frame_rate: Fraction
    time_base: Fraction
    length: int | None = None
    aspect: Fraction = Fraction(1)
    colours: Colours = Colours()


class Clip(Protocol):
    """A source of frames that can be read more than once."""

    @property
    def path(self) -> Path:
        """The video file or the folder."""
        ...

    @property
    def format(self) -> ClipFormat:
        """What is known before the first frame is read."""
        ...

    def frames(self) -> Iterator[Frame]:
        """All frames in order. Raises DataError, naming the frame, where the clip cannot be read on."""
        ...


def is_video(path: Path) -> bool:
    """Whether the file's name has the ending of a video."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def open_clip(path: Path, fps: Fraction = FOLDER_RATE) -> Clip:
    """The clip in a video file, or in a folder of frames that follow one another `fps` times a second.

    Raises DataError where there is none.
    """
    return FrameFolder(path, fps) if path.is_dir() else VideoFile(path)


class VideoFile:
    """The first video stream of a file. Frames are turned upright as the file says."""

    def __init__(self, path: Path) -> None:
        """Read the header. Raises DataError naming the file when it is no video."""
        self.path = path
        with opened(path) as container:
            self.format = _format_of(container, path)

    def frames(self) -> Iterator[Frame]:
        """All frames. Their times are the file's, and rise even where its do not.

        Raises DataError for a frame that is damaged and for a file that ends before its announced end: what
        could be decoded of a damaged frame may show anything.
        """
        with opened(self.path) as container:
            stream = container.streams.video[0]
            start = start_of(container)
            index, time = 0, Fraction(-1)
            for index, decoded in enumerate(self._decoded(container, stream)):
                time = max(_time(decoded, index, self.format) - start, time + self.format.time_base)
                yield Frame(_upright(decoded), time, f"{index:06d}")
            announced = _announced_seconds(container, stream)
            if announced and time + 3 / self.format.frame_rate < announced:
                self._break_off(index + 1, f"the file says that it lasts {float(announced):.2f} s")

    def _decoded(self, container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
        """Decoded frames up to the first that is damaged."""
        index = 0
        try:
            for packet in container.demux(stream):
                cut = packet.is_corrupt
                for frame in stream.decode(None if cut else packet):
                    if frame.is_corrupt:
                        self._break_off(index, "it is damaged")
                    yield frame
                    index += 1
                if cut:
                    self._break_off(index, "the file is cut off there")
        except av.FFmpegError as error:
            self._break_off(index, error.strerror or "cannot be decoded")

    def _break_off(self, index: int, reason: str) -> NoReturn:
        raise DataError(
            f"{self.path}: frame {index} cannot be read ({reason}); copy the video again, "
            "or take what comes before with --skip-bad"
        )


class FrameFolder:
    """The images of a folder as frames, in natural order of their names: 9.png before 10.png."""

    def __init__(self, path: Path, fps: Fraction = FOLDER_RATE) -> None:
        """List the files. Raises DataError when there is no image."""
        self.path = path
        self.files = tuple(sorted(filter(is_image, path.iterdir()), key=_natural))
        if not self.files:
            raise DataError(f"{path}: no images; give a folder of frames or a video file")
        _, height, width = read_image(self.files[0]).shape
        self.format = ClipFormat((height, width), fps, 1 / fps, len(self.files))

    def frames(self) -> Iterator[Frame]:
        """All frames. Raises DataError naming a file that cannot be read or has another size than the first."""
        for index, file in enumerate(self.files):
            image = read_image(file)
            size = (image.shape[1], image.shape[2])
            if size != self.format.size:
                raise DataError(
                    f"{file}: {size[0]}x{size[1]} pixels, but the first frame has {self.format.size[0]}x"
                    f"{self.format.size[1]} (height x width); frames of one clip have one size"
                )
            yield Frame(image, index / self.format.frame_rate, file.name)


def start_of(container: InputContainer) -> Fraction:
    """When the first of sound and pictures begins, in the file's own count of seconds."""
    return Fraction(container.start_time or 0, av.time_base)


def opened(path: Path) -> InputContainer:
    """A video file, to be closed. Raises DataError when there is none."""
    if not path.is_file():
        raise DataError(f"{path}: no such file; check the path")
    try:
        container = av.open(path)
    except av.FFmpegError as error:
        raise DataError(
            f"{path}: not a video that can be read ({error.strerror}); convert it or copy it again"
        ) from error
    if not container.streams.video:
        container.close()
        raise DataError(f"{path}: there are no pictures in this file; give a video")
    return container


def _format_of(container: InputContainer, path: Path) -> ClipFormat:
    """Reads one frame, since only decoding tells how the pictures are turned."""
    stream = container.streams.video[0]
    try:
        first = next(container.decode(stream), None)
    except av.FFmpegError as error:
        raise DataError(f"{path}: frame 0 cannot be read ({error.strerror}); copy the video again") from error
    if first is None:
        raise DataError(f"{path}: a video without frames; record or convert it again")
    _, height, width = _upright(first).shape
    aspect = stream.sample_aspect_ratio or Fraction(1)
    codec = stream.codec_context
    return ClipFormat(
        size=(height, width),
        frame_rate=stream.average_rate or stream.guessed_rate or FOLDER_RATE,
        time_base=stream.time_base or 1 / FOLDER_RATE,
        length=stream.frames or None,
        aspect=1 / aspect if first.rotation % 180 else aspect,
        colours=Colours(codec.colorspace, codec.color_primaries, codec.color_trc, codec.color_range),
    )


def _announced_seconds(container: InputContainer, stream: VideoStream) -> Fraction | None:
    """How long the pictures should last. Only asked of Matroska, whose readers end in silence where it is cut.

    Its header knows the longest stream alone; FFmpeg and others note each stream's duration beside it.
    """
    if "matroska" not in container.format.name or container.duration is None:
        return None
    noted = re.fullmatch(r"(\d+):(\d+):(\d+\.\d+).*", stream.metadata.get("DURATION", ""))
    if noted:
        hours, minutes, seconds = noted.groups()
        return Fraction(int(hours) * 3600 + int(minutes) * 60) + Fraction(seconds)
    return Fraction(container.duration, av.time_base) if len(container.streams) == 1 else None


def _time(frame: VideoFrame, index: int, known: ClipFormat) -> Fraction:
    """Seconds in the file's own count; raw streams have none, and their frames follow at an even rate."""
    if frame.pts is None or frame.time_base is None:
        return index / known.frame_rate
    return frame.pts * frame.time_base


def _upright(frame: VideoFrame) -> Tensor:
    """uint8 (3, H, W), RGB, turned by what the file says about the camera."""
    pixels = torch.from_numpy(frame.to_ndarray(format="rgb24")).permute(2, 0, 1)
    quarters = round(frame.rotation / 90)
    return torch.rot90(pixels, quarters, dims=(1, 2)).contiguous()


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sorts numbers in a name by value."""
    parts = re.split(r"(\d+)", path.name)
    return [(int(part), "") if part.isdecimal() else (0, part) for part in parts]
