"""`anonbench anonymize` on clips: what it writes and says, and that a killed run is gone on with."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from anonbench.detection.files import write_detections
from anonbench.detection.people import PersonDetections
from anonbench.pipeline.clips import open_clip
from tests.cli.conftest import Cli
from tests.pipeline.clip_files import pictures, write_frames, write_video
from tests.pipeline.people import block

pytestmark = pytest.mark.usefixtures("own_cache")
SIZE = (96, 160)


def detections_of(clip: Path, folder: Path) -> str:
    """Somebody walks to the right through every frame; the name of a detector that knows it."""
    for index, frame in enumerate(open_clip(clip).frames()):
        people = (block(SIZE, 20, 10 + index % 120, 70, 30 + index % 120),)
        write_detections(folder / f"{frame.name}.json", PersonDetections(SIZE, people), frame.image)
    return f"file={folder}"


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_video(tmp_path / "clip.mp4", pictures(12, SIZE), sound=True)


@pytest.fixture
def detector(clip: Path, tmp_path: Path) -> str:
    return detections_of(clip, tmp_path / "people")


def test_a_video_is_anonymized_with_a_sheet_and_a_report(
    cli: Cli, clip: Path, detector: str, tmp_path: Path
) -> None:
    out, sheet, report = (tmp_path / name for name in ("out.mp4", "sheet.png", "report.json"))
    result = cli("anonymize", clip, "-o", out, "--model", "final", "--detector", detector, "--workers", 1,
                 "--sheet", sheet, "--report", report)  # fmt: skip
    assert result.code == 0, result.err
    assert result.out == ""
    assert "12 frames at 10 frames/s" in result.err
    before, after = open_clip(clip), open_clip(out)
    assert (after.format.size, after.format.frame_rate, len(list(after.frames()))) == (SIZE, 10, 12)
    assert before.format.length == 12
    counts = json.loads(report.read_text())
    assert (counts["frames"], counts["tracks"], counts["person_frames"]) == (12, 1, 12)
    assert counts["outcomes"] == {"surface": 12}
    assert sheet.is_file()


def test_a_folder_of_frames_is_a_clip_if_it_is_called_one(cli: Cli, tmp_path: Path) -> None:
    frames = write_frames(tmp_path / "frames", pictures(6, SIZE))
    detector = detections_of(frames, tmp_path / "people")
    common = ("anonymize", frames, "--model", "blackout", "--detector", detector, "--workers", 1)
    assert cli(*common, "-o", tmp_path / "out", "--frames").code == 0
    assert cli(*common, "-o", tmp_path / "out.mp4", "--frames", "--fps", 5).code == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [f"{i}.png" for i in range(6)]
    assert open_clip(tmp_path / "out.mp4").format.frame_rate == 5


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--fps", "5"], "--fps"),
        (["--latent-from", "IMAGE"], "--latent-from"),
        (["--keep-metadata"], "--keep-metadata"),
    ],
)
def test_options_that_would_do_nothing_are_refused(
    cli: Cli, clip: Path, detector: str, tmp_path: Path, options: list[str], reason: str
) -> None:
    image = write_frames(tmp_path / "one", pictures(1)) / "0.png"
    given = [str(image) if option == "IMAGE" else option for option in options]
    result = cli(
        "anonymize", clip, "-o", tmp_path / "out.mp4", "--model", "blackout", "--detector", detector, *given
    )
    assert result.code == 2
    assert reason in result.error


def test_bad_clips_and_outputs_are_one_line(cli: Cli, clip: Path, detector: str, tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("not a video\n" * 99)
    common = ("--model", "blackout", "--detector", detector, "--workers", 1)
    result = cli("anonymize", tmp_path / "text.mp4", "-o", tmp_path / "out.mp4", *common)
    assert (result.code, "not a video" in result.error) == (3, True)
    result = cli("anonymize", clip, "-o", clip, *common, "--overwrite")
    assert (result.code, "is the input" in result.error) == (2, True)
    result = cli("anonymize", clip, "-o", tmp_path / "out.gif", *common)
    assert (result.code, ".mp4" in result.error) == (2, True)
    (tmp_path / "out.mp4").touch()
    result = cli("anonymize", clip, "-o", tmp_path / "out.mp4", *common)
    assert (result.code, "--overwrite" in result.error) == (2, True)


def test_a_killed_run_goes_on_and_gives_the_same_frames(cli: Cli, tmp_path: Path) -> None:
    clip = write_video(tmp_path / "long.mp4", pictures(220, SIZE))
    detector = detections_of(clip, tmp_path / "people")
    arguments = ("anonymize", clip, "--model", "noise", "--detector", detector, "--workers", 1, "-o")
    killed, whole = tmp_path / "killed.mp4", tmp_path / "whole.mp4"
    program = "import sys; from anonbench.cli.main import run_cli; run_cli(sys.argv[1:])"
    command = [sys.executable, "-c", program, *map(str, (*arguments, killed))]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    first = tmp_path / "killed.mp4.part" / "00000000"
    while not first.exists():
        assert process.poll() is None
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not killed.exists()
    done = first.stat().st_mtime_ns
    assert cli(*arguments, whole).code == 0
    assert first.stat().st_mtime_ns == done
    assert cli(*arguments, killed).code == 0
    for one, other in zip(open_clip(killed).frames(), open_clip(whole).frames(), strict=True):
        assert (one.image.int() - other.image.int()).abs().float().mean() < 1
    assert not first.parent.exists()
