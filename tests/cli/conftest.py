"""The command line in this process, and small data sets on disk."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anonbench.cli.main import run_cli


@dataclass(frozen=True)
class Result:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The error, which must be one line without a traceback."""
        lines = [line for line in self.err.splitlines() if line.startswith(("error:", "Error:"))]
        assert len(lines) == 1, self.err
        assert "Traceback" not in self.err
        return lines[0]


Cli = Callable[..., Result]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    def run(*arguments: object) -> Result:
        capsys.readouterr()
        code = run_cli([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return Result(code, out, err)

    return run


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    cache = tmp_path / "cache"
    monkeypatch.setenv("ANONBENCH_CACHE", str(cache))
    return cache


@pytest.fixture
def market(tmp_path: Path) -> Path:
    """Six people before three cameras, in Market-1501 layout with masks and keypoints."""
    root = tmp_path / "market"
    rng = np.random.default_rng(0)
    keypoints = {}
    for folder in ("query", "bounding_box_test", "masks"):
        (root / folder).mkdir(parents=True)
    for person in range(1, 7):
        for camera in range(1, 4):
            name = f"{person:04d}_c{camera}s1_{camera:06d}_00.jpg"
            folder = "query" if camera == 1 else "bounding_box_test"
            pixels = rng.integers(0, 256, (128, 64, 3), dtype=np.uint8)
            pixels[16:120, 16:48] = np.random.default_rng(person).integers(0, 256, 3)
            Image.fromarray(pixels).save(root / folder / name)
            mask = np.zeros((128, 64), np.uint8)
            mask[16:120, 16:48] = 255
            Image.fromarray(mask).save(root / "masks" / name.replace(".jpg", ".png"))
            keypoints[name] = standing_keypoints()
    (root / "keypoints.json").write_text(json.dumps(keypoints))
    return root


def standing_keypoints() -> list[list[float]]:
    """COCO keypoints of somebody who faces the camera in a crop of 128x64."""
    points = [
        (32, 24), (34, 22), (30, 22), (36, 24), (28, 24), (42, 38), (22, 38), (44, 54), (20, 54), (44, 68),
        (20, 68), (38, 68), (26, 68), (38, 92), (26, 92), (38, 114), (26, 114),
    ]  # fmt: skip
    return [[x, y, 1.0] for x, y in points]
