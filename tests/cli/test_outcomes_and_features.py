"""`run --outcomes` and `run --features` as a user types them."""

import json
from pathlib import Path

import numpy as np
import pytest

from anonbench.records import Record, read_record
from tests.cli.conftest import Cli


@pytest.fixture
def features(tmp_path: Path) -> Path:
    path = tmp_path / "net.npz"
    rng = np.random.default_rng(0)
    ids, cameras = np.repeat(np.arange(1, 9), 3), np.tile(np.arange(3), 8)
    np.savez(
        path,
        features=rng.normal(size=(9, 4))[ids] + 0.1 * rng.normal(size=(24, 4)),
        ids=ids,
        cameras=cameras,
        keys=np.array([f"{i}_{c}" for i, c in zip(ids, cameras, strict=True)]),
        roles=np.where(cameras == 0, "query", "gallery"),
    )
    return path


def test_imposed_outcomes_split_the_loss_and_name_their_data(
    cli: Cli, own_cache: Path, tmp_path: Path
) -> None:
    out = tmp_path / "records"
    result = cli("run", "reid", "--model", "baseline", "--preset", "smoke", "--seeds", 1,
                 "--outcomes", "thesis", "--out", out, "--json")  # fmt: skip
    assert result.code == 0, result.err
    record = Record.model_validate_json(result.out)
    assert record.data.name == "synthetic/reid, outcomes thesis"
    assert record.detection is not None
    assert record.detection.surface == pytest.approx(0.724, abs=0.03)
    loss = {part: record.metrics[f"reid.loss.{part}.osnet_synthetic"].value
            for part in ("total", "generator", "detector", "blurred", "untouched")}  # fmt: skip
    assert loss["generator"] + loss["detector"] == pytest.approx(loss["total"])
    assert loss["blurred"] + loss["untouched"] == pytest.approx(loss["detector"])
    (path,) = out.glob("*.json")
    assert path.name == "baseline.reid.synthetic-reid-outcomes-thesis.smoke.json"
    assert read_record(path).metrics == record.metrics


def test_a_features_file_needs_no_model(cli: Cli, own_cache: Path, features: Path, tmp_path: Path) -> None:
    table = cli("run", "reid", "--features", features)
    assert table.code == 0, table.err
    assert "untouched images" in table.out
    result = cli("run", "reid", "--features", features, "--name", "mine", "--json", "--out", tmp_path / "out")
    record = json.loads(result.out)
    assert record["metrics"]["reid.original.rank1.mine"]["value"] == 100
    assert "size" not in record["data"]
    assert "detection" not in record
    assert (tmp_path / "out" / "original.reid.features.demo.json").exists()


def test_records_of_features_make_a_report(cli: Cli, own_cache: Path, features: Path, tmp_path: Path) -> None:
    from anonbench.reporting.report import write_report

    cli("run", "reid", "--features", features, "--preset", "smoke", "--out", tmp_path)
    (path,) = tmp_path.glob("*.json")
    write_report([(read_record(path), tmp_path)], tmp_path / "report")
    page = (tmp_path / "report" / "report.html").read_text()
    assert "anonbench has not seen the images" in page


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (["fid", "--model", "original", "--outcomes", "thesis"], 2, "fid takes no imposed outcomes"),
        (["reid", "--model", "original", "--outcomes", "50/50"], 2, "60/30/10"),
        (["reid"], 2, "--model NAME"),
        (["reid", "--model", "original", "--name", "x"], 2, "--name"),
    ],
)
def test_what_cannot_be_run_is_refused_with_the_reason(
    cli: Cli, arguments: list[str], code: int, reason: str
) -> None:
    result = cli("run", *arguments)
    assert result.code == code
    assert reason in result.error


@pytest.mark.parametrize("option", ["--model=original", "--data=synthetic", "--seeds=2", "--outcomes=thesis"])
def test_options_of_a_model_are_refused_beside_a_features_file(cli: Cli, features: Path, option: str) -> None:
    result = cli("run", "reid", "--features", features, option)
    assert result.code == 2
    assert f"leave out {option.partition('=')[0]}" in result.error


def test_a_features_file_that_is_none_is_refused(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    path.write_text("no")
    result = cli("run", "reid", "--features", path)
    assert result.code == 3
    assert "numpy.savez" in result.error


def test_outcomes_are_imposed_on_photos_whose_detection_is_perfect(
    cli: Cli, own_cache: Path, market: Path
) -> None:
    command = ("run", "reid", "--model", "gaussian_blur", "--data", f"market1501={market}",
               "--preset", "smoke", "--outcomes", "50/30/20", "--json")  # fmt: skip
    result = cli(*command)
    assert result.code == 0, result.err
    record = Record.model_validate_json(result.out)
    assert record.detection is not None
    assert record.detection.surface == pytest.approx(0.5, abs=0.06)
    assert record.detection.none > 0
    assert "reid.linkage.added.osnet_synthetic" in record.metrics
    assert not any("loss" in key for key in record.metrics)
    (market / "keypoints.json").unlink()
    refused = cli(*command)
    assert refused.code == 3
    assert "have no surface already" in refused.error
