"""Shards on the command line: rendered, checked, measured on and filtered."""

from pathlib import Path

import pandas as pd
import pytest

from anonbench.datasets import shards as shards_module
from anonbench.datasets.base import CropDataset
from anonbench.datasets.synthetic.dataset import SyntheticDataset
from tests.cli.conftest import Cli
from tests.datasets.fdh_shards import fdh, members


@pytest.fixture
def shards(cli: Cli, tmp_path: Path) -> Path:
    """24 crops to validate with, 8 of them in the second shard."""
    root = tmp_path / "people"
    result = cli(
        "data", "render", "val", "--size", 72, 40, "--count", 24, "--shards", root, "--per-shard", 16
    )
    assert result.code == 0, result.err
    assert f"wrote 24 crops to 2 shards in {root / 'val'}" in result.err
    return root


def test_rendered_shards_pass_the_check(cli: Cli, shards: Path) -> None:
    result = cli("data", "check", f"fdh={shards}")
    assert result.code == 0, result.err
    assert result.out.splitlines() == [
        "fdh/val: 24 crops of 72x40",
        "  body template makehuman_13380, left-right counterparts known",
        "  note: shards of synthetic/val",
    ]


def test_protocols_run_on_shards(cli: Cli, shards: Path, own_cache: Path) -> None:
    result = cli(
        "run", "fid", "--data", f"fdh={shards}", "--model", "blackout", "--preset", "smoke", "--json"
    )
    assert result.code == 0, result.err
    assert '"fdh/val"' in result.out


def test_compare_leaves_out_what_needs_identities(
    cli: Cli, shards: Path, own_cache: Path, tmp_path: Path
) -> None:
    report = tmp_path / "report"
    result = cli("compare", "blackout", "--data", f"fdh={shards}", "--preset", "smoke", "--out", report)
    assert result.code == 0, result.err
    assert {path.name.split(".")[1] for path in (report / "records").glob("*.json")} == {"fid", "lpips"}


def test_the_correlation_that_was_asked_for_is_rendered(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[CropDataset] = []
    monkeypatch.setattr(SyntheticDataset, "prepare", lambda dataset: None)
    monkeypatch.setattr(shards_module, "write_shards", lambda dataset, *_: written.append(dataset))
    options = ("--size", 72, 40, "--count", 24, "--shards", tmp_path)
    for correlation in ((), ("--correlation", 0)):
        assert cli("data", "render", "val", *options, *correlation).code == 0
    assert [dataset.digest for dataset in written] == [
        SyntheticDataset("val", (72, 40), 24, correlation=correlation).digest for correlation in (None, 0.0)
    ]


def test_a_filter_writes_what_it_keeps(cli: Cli, shards: Path, tmp_path: Path) -> None:
    (shards / "val").rename(shards / "train")
    table = tmp_path / "kept.csv"
    result = cli(
        "data", "filter", "--by", "reconstruction", "--model", "final", "--data", f"fdh={shards}",
        "-o", table, "--drop", 0.25,
    )  # fmt: skip
    assert result.code == 0, result.err
    assert "  kept: 18, error up to 0." in result.out
    assert "  dropped: 6\n" in result.out
    rows = pd.read_csv(table)
    assert list(rows.columns) == ["key", "error", "kept"]
    assert rows["error"][rows["kept"]].max() <= rows["error"][~rows["kept"]].min()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("data", "render", "reid", "--count", 2, "--size", 72, 40, "--shards", "ROOT"), 2, "several times"),
        (("data", "render", "reid", "--correlation", 0.5), 2, "no context correlation"),
        (("data", "check", "fdh=ROOT"), 3, "FDH keeps them in train/ and val/"),
        (("data", "detect", "fdh=ROOT"), 2, "only image files need detections"),
        (("run", "reid", "--model", "blackout", "--data", "fdh=ROOT"), 2, "this needs identities"),
        (("run", "fid", "--model", "blackout", "--data", "fdh=ROOT/none"), 3, "is not a folder"),
        (
            (
                "data",
                "filter",
                "--by",
                "reconstruction",
                "--model",
                "baseline",
                "--data",
                "fdh=ROOT",
                "-o",
                "x",
            ),
            2,
            "no appearance mapper",
        ),
    ],
)
def test_what_cannot_be_done_is_one_line(
    cli: Cli, tmp_path: Path, arguments: tuple[object, ...], code: int, message: str
) -> None:
    filled = [str(a).replace("ROOT", str(tmp_path)) for a in arguments]
    result = cli(*filled)
    assert result.code == code
    assert message in result.error


def test_a_damaged_shard_of_fdh_is_named(cli: Cli, tmp_path: Path) -> None:
    root = fdh(tmp_path, {"0000001": members(), "0000002": members(image_png=b"broken")})
    result = cli("data", "check", f"fdh={root}")
    assert result.code == 3
    assert "train/out-000000.tar/0000002.image.png: not an image" in result.error


def test_fdh_is_listed(cli: Cli) -> None:
    assert "fdh=PATH" in cli("data", "list").out
