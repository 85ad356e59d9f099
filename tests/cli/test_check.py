"""`anonbench check`: what it measures again, what it prints, how it exits."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from anonbench.protocols.remeasure import option
from anonbench.records import Record, read_record, write_record
from anonbench.resources import resource_dir
from tests.cli.conftest import Cli

PACKAGED = resource_dir("results") / "packaged"


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The final model on two protocols at the smoke preset, run once for this module."""
    from anonbench.cli.main import run_cli

    out = tmp_path_factory.mktemp("baseline")
    assert run_cli(["run", "reid", "lpips", "--model", "final", "--preset", "smoke", "--out", str(out)]) == 0
    return out


MAP = "reid.same_latent.map.osnet_synthetic"


@pytest.fixture
def rewritten(baseline: Path, tmp_path: Path) -> Callable[..., Path]:
    """A folder with the re-identification record of the baseline, changed."""

    def write(change: Callable[[Record], Record]) -> Path:
        (path,) = baseline.glob("*.reid.*.json")
        record = read_record(path)
        write_record(change(record), tmp_path / "baseline" / f"{record.slug}.json")
        return tmp_path / "baseline"

    return write


@pytest.fixture
def better_before(baseline: Path, tmp_path: Path) -> Path:
    """The same record as if each query had been answered by 3 points better."""
    (path,) = baseline.glob("*.reid.*.json")
    record = read_record(path)
    rows = pd.read_parquet(baseline / str(record.samples))
    rows.loc[rows["metric"] == MAP, "value"] += 3
    metric = record.metrics[MAP]
    metrics = record.metrics | {MAP: metric.model_copy(update={"value": metric.value + 3})}
    write_record(record.model_copy(update={"metrics": metrics}), tmp_path / path.name)
    rows.to_parquet(tmp_path / str(record.samples))
    return tmp_path / path.name


@pytest.mark.parametrize("model", ["baseline", "final"])
def test_the_packaged_models_are_as_good_as_their_packaged_records(cli: Cli, model: str) -> None:
    result = cli("check", PACKAGED, "--preset", "smoke", "--model", model)
    assert result.code == 0, result.out + result.err
    assert "no regression: 0 fell, 0 missing" in result.out


def test_a_model_is_no_worse_than_itself_sample_by_sample(cli: Cli, baseline: Path) -> None:
    result = cli("check", baseline, "--json")
    found = json.loads(result.out)
    assert result.code == 0
    assert not found["failed"]
    assert {change["basis"] for change in found["changes"] if "basis" in change} == {"samples"}


def test_a_fall_of_three_points_is_named_and_exits_with_one(
    cli: Cli, baseline: Path, better_before: Path
) -> None:
    result = cli("check", better_before, baseline)
    assert result.code == 1
    first, last = result.out.splitlines()
    assert first.startswith(f"FELL    final.reid.synthetic-reid.smoke {MAP}: ")
    assert "(-3.0, 95 % interval [-3.0, -3.0], p < 0.001, paired over 8 groups)" in first
    assert last == "regression: 1 fell, 0 missing, 0 rose of 26 metrics"


def test_a_tolerance_forgives_it(cli: Cli, baseline: Path, better_before: Path) -> None:
    assert cli("check", better_before, baseline, "-t", "reid.same_latent.map=3.5").code == 0
    assert cli("check", better_before, baseline, "-t", "4", "-t", "reid.same_latent.map=2.5").code == 1


def test_verbose_shows_what_stayed(cli: Cli, baseline: Path) -> None:
    quiet, verbose = cli("check", baseline, baseline), cli("check", baseline, baseline, "-v")
    assert len(quiet.out.splitlines()) == 1
    assert len(verbose.out.splitlines()) > 20
    assert verbose.out.splitlines()[0].startswith("same    final.")


def test_records_measured_again_are_kept_on_request(cli: Cli, baseline: Path, tmp_path: Path) -> None:
    assert cli("check", baseline, "-p", "reid", "--out", tmp_path / "now").code == 0
    (path,) = (tmp_path / "now").glob("*.json")
    assert read_record(path).samples


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda r: r.model_copy(update={"data": r.data.model_copy(update={"digest": "f" * 64})}),
            "other data",
        ),
        (
            lambda r: r.model_copy(
                update={"model": r.model.model_copy(update={"name": "lost"}), "command": "anonbench"}
            ),
            "cannot be measured again: no model 'lost'",
        ),
        (
            lambda r: r.model_copy(update={"data": r.data.model_copy(update={"name": "market1501"})}),
            "give --data market1501=PATH",
        ),
        (
            lambda r: r.model_copy(update={"protocol": r.protocol.model_copy(update={"name": "lost"})}),
            "cannot be measured again",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_line(
    cli: Cli, rewritten: Callable[..., Path], change: Callable[[Record], Record], message: str
) -> None:
    result = cli("check", rewritten(change))
    assert result.code == 2
    assert message in result.error


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["missing"], 2, "missing"),
        (["empty"], 3, "no records"),
        (["empty/notes.json"], 2, "not valid JSON"),
        ([PACKAGED, "--model", "nobody"], 2, "no baseline record with model 'nobody'"),
        ([PACKAGED, "-t", "a lot"], 2, "give VALUE or METRIC=VALUE"),
    ],
)
def test_bad_input_is_named_in_one_line(
    cli: Cli,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[object],
    code: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    if "empty/notes.json" in arguments:
        (tmp_path / "empty" / "notes.json").write_text("no JSON")
    result = cli("check", *arguments)
    assert result.code == code
    assert message in result.error


@pytest.mark.parametrize(
    ("command", "found"),
    [
        ("anonbench run reid --model final --data market1501=/data/m", "market1501=/data/m"),
        ("anonbench run reid --data=folder=a --model final", "folder=a"),
        ("anonbench compare baseline final", None),
        ("anonbench run reid --data", None),
        ("anonbench run 'reid", None),
        ("", None),
    ],
)
def test_where_the_data_lay_is_read_from_the_command_of_a_record(command: str, found: str | None) -> None:
    assert option(command, "--data") == found
