"""Where the images of a data set that is built come from: a folder of photos, or a video."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from torch import Tensor

from anonbench.errors import DataError, UsageError
from anonbench.pipeline.clips import open_clip
from anonbench.pipeline.inputs import images_below, read_photo


class ImageSource(Protocol):
    """Images in a fixed order, each with a stable name; one is in memory at a time."""

    name: str
    """What a data set made of them is called: the last part of the path, not where it lies."""

    count: int | None
    """How many there are, where that is known without reading them."""

    successive: bool
    """Whether neighbours show nearly the same, as in a video: then they belong to one split."""

    unreadable: list[str]
    """Files that were left out, with reasons, as far as `images` has come."""

    def images(self) -> Iterator[tuple[str, Tensor]]:
        """Name and pixels, uint8 (3, H, W), of every image. Raises DataError for a broken one."""
        ...

    def read(self, name: str) -> Tensor:
        """The pixels of one image; fast where names are asked for in order."""
        ...


class PhotoFolder:
    """Every image below a folder, named by its path there.

    skip_bad: leave out files that cannot be read instead of raising.
    """

    successive = False

    def __init__(self, root: Path, skip_bad: bool = False) -> None:
        self.name = root.resolve().name
        self.unreadable: list[str] = []
        self._root = root
        self._names, _ = images_below(root)
        self._skip_bad = skip_bad
        self.count: int | None = len(self._names)

    def images(self) -> Iterator[tuple[str, Tensor]]:
        """In the order of names."""
        self.unreadable.clear()
        for name in self._names:
            try:
                yield name, self.read(name)
            except DataError as error:
                if not self._skip_bad:
                    raise DataError(f"{error}; or leave out such files with --skip-bad") from error
                self.unreadable.append(str(error))

    def read(self, name: str) -> Tensor:
        """Decode one file."""
        return read_photo(self._root / name).image


class VideoFrames:
    """The first frame of a video at or after 0, `every`, 2 * `every` seconds, named by its number.

    Frames are decoded in order; asking for one that has passed starts from the beginning.
    skip_bad: end with the last whole frame of a damaged video instead of raising.
    """

    successive = True

    def __init__(self, path: Path, every: float, skip_bad: bool = False) -> None:
        self.name = path.name
        self.count: int | None = None
        self.unreadable: list[str] = []
        self._clip = open_clip(path)
        self._every = every
        self._skip_bad = skip_bad
        self._running = self.images()
        self._current: tuple[str, Tensor] | None = None

    def images(self) -> Iterator[tuple[str, Tensor]]:
        """In the order of time."""
        self.unreadable.clear()
        due = 0
        try:
            for frame in self._clip.frames():
                if frame.time >= due * self._every:
                    due = int(frame.time / self._every) + 1
                    yield frame.name, frame.image
        except DataError as error:
            if not self._skip_bad:
                raise
            self.unreadable.append(str(error))

    def read(self, name: str) -> Tensor:
        """Decode up to this frame."""
        if self._current is None or int(name) < int(self._current[0]):
            self._running = self.images()
            self._current = next(self._running)
        while self._current[0] != name:
            self._current = next(self._running)
        return self._current[1]


def open_source(path: Path, every: float | None = None, skip_bad: bool = False) -> ImageSource:
    """A folder of photos, or a video of which a frame `every` so many seconds is taken (default 1).

    Raises UsageError for `every` with a folder, DataError for a path that is neither.
    """
    if not path.is_dir():
        return VideoFrames(path, every or 1.0, skip_bad)
    if every is not None:
        raise UsageError(f"{path}: --every is for videos; of a folder, every image is taken")
    return PhotoFolder(path, skip_bad)
