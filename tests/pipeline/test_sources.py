"""Images come in a fixed order, under stable names, and broken ones are named."""

from pathlib import Path

import av
import numpy as np
import pytest
import torch

from anonbench.errors import DataError, UsageError
from anonbench.pipeline.sources import PhotoFolder, VideoFrames, open_source
from tests.pipeline.photos import photo_album


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Two seconds at 10 frames a second, each frame of its own grey."""
    path = tmp_path / "clip.mp4"
    with av.open(path, "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for shade in range(20):
            pixels = np.full((48, 64, 3), 10 * shade, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return path


def shades(source: VideoFrames) -> list[int]:
    return [round(float(image.float().mean()) / 10) for _, image in source.images()]


def test_photos_are_named_by_their_path(tmp_path: Path) -> None:
    photo_album(tmp_path, {"b/2.png": 1, "b/10.png": 1, "a.png": 0})
    source = open_source(tmp_path)
    found = dict(source.images())
    assert list(found) == ["a.png", "b/10.png", "b/2.png"]
    assert torch.equal(source.read("b/2.png"), found["b/2.png"])
    assert source.count == 3


def test_a_broken_photo_is_named_or_left_out(tmp_path: Path) -> None:
    photo_album(tmp_path, {"a.png": 0, "c.png": 0})
    (tmp_path / "b.jpg").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"b\.jpg: not an image .*--skip-bad"):
        list(open_source(tmp_path).images())
    source = PhotoFolder(tmp_path, skip_bad=True)
    for _ in range(2):
        assert [name for name, _ in source.images()] == ["a.png", "c.png"]
        assert len(source.unreadable) == 1
        assert "b.jpg: not an image" in source.unreadable[0]


@pytest.mark.parametrize(
    ("every", "frames"), [(0.5, [0, 5, 10, 15]), (1.0, [0, 10]), (0.01, list(range(20))), (60.0, [0])]
)
def test_a_video_gives_a_frame_so_often(video: Path, every: float, frames: list[int]) -> None:
    source = VideoFrames(video, every)
    assert [name for name, _ in source.images()] == [f"{i:06d}" for i in frames]
    assert shades(source) == frames


def test_frames_are_found_again_in_any_order(video: Path) -> None:
    source = VideoFrames(video, 0.5)
    images = dict(source.images())
    for name in ("000005", "000005", "000015", "000000", "000010"):
        assert torch.equal(source.read(name), images[name])


def test_a_damaged_video_ends_where_it_is_damaged(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = VideoFrames(video, 0.5, skip_bad=True)
    whole = source._clip.frames

    def damaged():  # type: ignore[no-untyped-def]
        for number, frame in enumerate(whole()):
            if number == 12:
                raise DataError("clip.mp4: frame 12 cannot be read")
            yield frame

    monkeypatch.setattr(source._clip, "frames", damaged)
    assert shades(source) == [0, 5, 10]
    assert source.unreadable == ["clip.mp4: frame 12 cannot be read"]
    source._skip_bad = False
    with pytest.raises(DataError, match="frame 12"):
        list(source.images())


def test_what_is_neither_folder_nor_video_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        open_source(tmp_path / "nothing")
    (tmp_path / "text.mp4").write_text("hello")
    with pytest.raises(DataError, match=r"text\.mp4: not a video"):
        open_source(tmp_path / "text.mp4")
    with pytest.raises(UsageError, match="--every is for videos"):
        open_source(tmp_path, every=1.0)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="0 images among 0 files"):
        open_source(tmp_path / "empty")
