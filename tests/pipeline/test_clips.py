"""Clips keep their frames, times, size and colours from file to file, and broken ones are named."""

import resource
from fractions import Fraction
from pathlib import Path

import av
import pytest
import torch

from anonbench.errors import DataError, UsageError
from anonbench.pipeline.clip_sinks import FolderSink, VideoSink
from anonbench.pipeline.clips import VIDEO_SUFFIXES, Clip, Frame, open_clip
from tests.pipeline.clip_files import SIZE, pictures, write_frames, write_video


def copied(clip: Clip, out: Path, chunk: int = 4, sound: Path | None = None) -> Clip:
    sink = VideoSink(clip.format, out.suffix, sound=sound) if out.suffix else FolderSink()
    frames = list(clip.frames())
    chunks = []
    for start in range(0, len(frames), chunk):
        chunks.append(out.with_name(f"{out.name}.part") / f"{start:08d}")
        sink.write_chunk(chunks[-1], frames[start : start + chunk])
    sink.join(chunks, out)
    return open_clip(out)


def difference(a: Frame, b: Frame) -> float:
    return float((a.image.int() - b.image.int()).abs().float().mean())


@pytest.mark.parametrize("suffix", VIDEO_SUFFIXES)
def test_every_kind_of_video_keeps_frames_times_rate_and_size(tmp_path: Path, suffix: str) -> None:
    source = open_clip(write_video(tmp_path / "clip.mp4", pictures(10)))
    result = copied(source, tmp_path / f"copy{suffix}")
    before, after = list(source.frames()), list(result.frames())
    assert len(after) == 10
    assert result.format.size == SIZE
    assert result.format.frame_rate == 10
    assert [b.time - after[0].time for b in after] == [a.time for a in before]
    assert max(map(difference, before, after)) < 3


@pytest.mark.parametrize("size", [(47, 64), (48, 63), (45, 61)])
def test_an_odd_size_is_kept(tmp_path: Path, size: tuple[int, int]) -> None:
    source = open_clip(write_frames(tmp_path / "frames", pictures(5, size)))
    for suffix in (".mp4", ".webm"):
        result = copied(source, tmp_path / f"copy{suffix}")
        assert result.format.size == size
        assert max(map(difference, source.frames(), result.frames())) < 4


@pytest.mark.parametrize("turned", [90, 180, -90])
def test_a_turned_video_comes_out_upright_and_not_turned(tmp_path: Path, turned: int) -> None:
    upright = pictures(3)
    lying = [torch.rot90(image, -turned // 90, dims=(1, 2)) for image in upright]
    source = open_clip(write_video(tmp_path / "phone.mp4", lying, turned=turned))
    result = copied(source, tmp_path / "copy.mp4")
    assert source.format.size == result.format.size == SIZE
    for image, frame in zip(upright, result.frames(), strict=True):
        assert float((frame.image.int() - image.int()).abs().float().mean()) < 3
    with av.open(tmp_path / "copy.mp4") as container:
        assert next(container.decode(video=0)).rotation == 0


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_varying_frame_rate_is_kept(tmp_path: Path, suffix: str) -> None:
    shown = [0, 33, 66, 200, 233, 1000, 1033, 1500]
    source = open_clip(write_video(tmp_path / "phone.mkv", pictures(8), rate=30, milliseconds=shown))
    result = copied(source, tmp_path / f"copy{suffix}", chunk=3)
    assert [float(frame.time) for frame in result.frames()] == pytest.approx([ms / 1000 for ms in shown])


def test_avi_says_that_it_has_one_frame_rate(tmp_path: Path) -> None:
    shown = [0, 5, 10, 200, 205, 1000]
    source = open_clip(write_video(tmp_path / "phone.mkv", pictures(6), rate=30, milliseconds=shown))
    with pytest.raises(DataError, match="one frame rate"):
        copied(source, tmp_path / "copy.avi", chunk=6)


def test_a_folder_of_frames_comes_back_pixel_by_pixel_under_its_names(tmp_path: Path) -> None:
    images = pictures(12)
    source = open_clip(write_frames(tmp_path / "frames", images), fps=Fraction(5))
    result = copied(source, tmp_path / "copy")
    frames = list(result.frames())
    assert [frame.name for frame in frames] == [f"{i}.png" for i in range(12)]  # 10.png after 9.png
    assert all(torch.equal(frame.image, image) for frame, image in zip(frames, images, strict=True))
    assert [frame.time for frame in source.frames()][:3] == [0, Fraction(1, 5), Fraction(2, 5)]


def test_colours_of_high_definition_stay_what_they_are(tmp_path: Path) -> None:
    """HD video has another matrix than SD video; a copy that ignores it shifts all greens and reds."""
    path = tmp_path / "hd.mp4"
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"crf": "1"})
        stream.height, stream.width, stream.pix_fmt = *SIZE, "yuv444p"
        codec = stream.codec_context
        codec.colorspace = codec.color_primaries = codec.color_trc = codec.color_range = 1
        for image in pictures(3):
            frame = av.VideoFrame.from_ndarray(image.permute(1, 2, 0).contiguous().numpy(), format="rgb24")
            container.mux(
                stream.encode(frame.reformat(format="yuv444p", dst_colorspace=1, dst_color_range=1))
            )
        container.mux(stream.encode())
    source = open_clip(path)
    result = copied(source, tmp_path / "copy.mp4")
    assert result.format.colours.matrix == source.format.colours.matrix == 1
    flat = (slice(None), slice(2, 12), slice(2, 16))
    for before, after in zip(source.frames(), result.frames(), strict=True):
        assert (before.image[flat].int() - after.image[flat].int()).abs().max() <= 3


def test_sound_is_dropped_unless_asked_for_and_then_taken_over_as_it_is(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", pictures(10), sound=True)
    source = open_clip(path)
    copied(source, tmp_path / "silent.mp4")
    copied(source, tmp_path / "sounding.mp4", sound=path)
    with av.open(tmp_path / "silent.mp4") as silent, av.open(tmp_path / "sounding.mp4") as sounding:
        assert not silent.streams.audio
        with av.open(path) as container:
            before = [bytes(packet) for packet in container.demux(audio=0) if packet.size]
        assert [bytes(packet) for packet in sounding.demux(audio=0) if packet.size] == before


def test_metadata_are_dropped(tmp_path: Path) -> None:
    copied(open_clip(write_video(tmp_path / "clip.mp4", pictures(3))), tmp_path / "copy.mp4")
    assert b"Alice" in (tmp_path / "clip.mp4").read_bytes()
    assert b"Alice" not in (tmp_path / "copy.mp4").read_bytes()


def test_equal_frames_give_equal_bytes(tmp_path: Path) -> None:
    source = open_clip(write_video(tmp_path / "clip.mp4", pictures(6)))
    for suffix in (".mkv", ".mp4"):
        copied(source, tmp_path / f"a{suffix}")
        copied(source, tmp_path / f"b{suffix}")
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.avi", "mpeg4"), ("a.webm", "libvpx-vp9")],
)
def test_a_truncated_video_names_the_frame_where_it_breaks_off(tmp_path: Path, name: str, codec: str) -> None:
    noise = torch.Generator().manual_seed(0)
    images = [torch.randint(0, 256, (3, *SIZE), generator=noise, dtype=torch.uint8) for _ in range(20)]
    path = write_video(tmp_path / name, images, codec)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    frames = []
    with pytest.raises(DataError, match=rf"{name}: frame \d+ cannot be read .*--skip-bad") as error:
        frames.extend(open_clip(path).frames())
    assert f"frame {len(frames)} " in str(error.value) or not frames
    clip = open_clip(path).frames()
    read = [next(clip) for _ in range(5)]
    assert [frame.name for frame in read] == [f"{i:06d}" for i in range(5)]


def test_what_is_no_video_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("not a video\n" * 50)
    (tmp_path / "empty.mp4").touch()
    with (
        av.open(write_video(tmp_path / "clip.mp4", pictures(5), sound=True)) as clip,
        av.open(tmp_path / "sound.mkv", "w") as container,
    ):
        tone = container.add_stream_from_template(clip.streams.audio[0])
        for packet in clip.demux(audio=0):
            if packet.dts is not None:
                packet.stream = tone
                container.mux(packet)
    (tmp_path / "folder").mkdir()
    for name, reason in {
        "text.mp4": "not a video",
        "empty.mp4": "not a video",
        "sound.mkv": "no pictures",
        "absent.mp4": "no such file",
        "folder": "no images",
    }.items():
        with pytest.raises(DataError, match=f"{name}: .*{reason}"):
            open_clip(tmp_path / name)


def test_a_video_without_frames_is_refused(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mkv", pictures(1))
    with av.open(path) as source, av.open(tmp_path / "zero.mkv", "w") as container:
        container.add_stream_from_template(source.streams.video[0])
        container.start_encoding()
    with pytest.raises(DataError, match="zero.mkv: (not a video|a video without frames)"):
        open_clip(tmp_path / "zero.mkv")


def test_frames_of_two_sizes_are_no_clip(tmp_path: Path) -> None:
    write_frames(tmp_path / "frames", [*pictures(2), *pictures(1, (20, 30))])
    with pytest.raises(DataError, match=r"2\.png: 20x30 pixels"):
        list(open_clip(tmp_path / "frames").frames())


def test_a_file_that_cannot_be_written_as_video_is_named(tmp_path: Path) -> None:
    known = open_clip(write_frames(tmp_path / "frames", pictures(1))).format
    with pytest.raises(UsageError, match=r"'\.gif'.*\.mp4"):
        VideoSink(known, ".gif")


def test_a_full_disk_is_said_in_one_line(tmp_path: Path) -> None:
    """The system stops files from growing, as a full disk does."""
    noise = torch.randint(0, 256, (3, 200, 200), dtype=torch.uint8)
    source = open_clip(write_frames(tmp_path / "frames", [noise] * 3))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    for name in ("copy", "copy.mp4"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
        try:
            with pytest.raises(
                DataError, match=r"cannot write .*(too large|too big).* repeat the command"
            ) as error:
                copied(source, tmp_path / name)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert "\n" not in str(error.value)
        assert not (tmp_path / name).exists()
