"""What counts as a regression: made-up records, reseeded and made worse."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from anonbench.errors import DataError, UsageError
from anonbench.records import ProtocolRun, Record, write_record
from anonbench.reporting.regression import Change, check, read_records, select, summary
from anonbench.reporting.regression_report import as_json, line, lines
from anonbench.reporting.tolerances import Tolerances
from tests.reporting.fabricated import data_run, fid, metric, record, reid
from tests.reporting.sidecars import rows

MAP = "reid.same_latent.map.fake_osnet"
LEAK = "reid.linkage.map.fake_osnet"
PEOPLE, QUERIES, SEEDS = 120, 2, 5
Source = tuple[Record, Path]


def reseeded(folder: Path, seed: int, *, drop: float = 0.0, leak: float = 0.0) -> Source:
    """A model of which some people are found more easily than others, and every latent differently well.

    Their spread is that of the packaged models: between the latents of one person, 11 points of AP.
    """
    folder.mkdir(parents=True, exist_ok=True)
    person = np.random.default_rng(12345).normal(60, 15, PEOPLE)
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(PEOPLE), QUERIES)
    tables, metrics = [], {}
    for key, level, fall, direction in ((MAP, person, -drop, "higher"), (LEAK, person / 10, leak, "lower")):
        per_seed = [
            (level + rng.normal(0, 10, PEOPLE))[groups] + rng.normal(0, 8, PEOPLE * QUERIES) + fall
            for _ in range(SEEDS)
        ]
        tables += [rows(key, values, groups).assign(seed=i) for i, values in enumerate(per_seed)]
        metrics[key] = summarized(per_seed, direction)
    made = record("model", metrics, data="fabricated/reid", samples=f"{seed}.parquet")
    pd.concat(tables).to_parquet(folder / f"{seed}.parquet")
    return made, folder


def summarized(per_seed: list[NDArray[np.float64]], direction: str) -> Any:
    mean = float(np.mean(per_seed))
    means = tuple(float(values.mean()) for values in per_seed)
    return metric(mean, direction=direction, seeds=means, interval=(mean - 3, mean + 3))


def statuses(changes: list[Change]) -> dict[str, str]:
    return {change.key: change.status for change in changes}


def test_twenty_reseedings_pass(tmp_path: Path) -> None:
    baseline = reseeded(tmp_path, 0)
    for seed in range(1, 21):
        changes = check([baseline], [reseeded(tmp_path, seed)])
        assert not any(change.failed for change in changes), [line(change) for change in changes]


def test_a_drop_of_three_points_fails_with_the_same_and_with_other_seeds(tmp_path: Path) -> None:
    baseline = reseeded(tmp_path, 0)
    for seed, folder in ((0, tmp_path / "same"), *((seed, tmp_path) for seed in range(1, 11))):
        found = statuses(check([baseline], [reseeded(folder, seed, drop=3.0)]))
        assert found == {MAP: "worse", LEAK: "same"}, seed


def test_the_intervals_alone_do_not_see_it(tmp_path: Path) -> None:
    """Why per-sample values are kept: the intervals count the choice of people as noise, which both share."""
    sources = [reseeded(tmp_path, 0), reseeded(tmp_path, 1, drop=3.0)]
    before, now = ((made.model_copy(update={"samples": None}), folder) for made, folder in sources)
    (change, _) = check([before], [now])
    assert (change.status, change.basis) == ("same", "intervals")
    assert change.interval[0] < -3.0 < change.interval[1]


def test_only_the_worse_direction_fails(tmp_path: Path) -> None:
    baseline = reseeded(tmp_path, 0)
    changes = check([baseline], [reseeded(tmp_path, 1, drop=-6.0, leak=6.0)])
    assert statuses(changes) == {MAP: "better", LEAK: "worse"}
    assert summary(changes) == {"worse": 1, "missing": 0, "better": 1, "same": 0}


def test_a_metric_or_record_that_is_gone_fails(tmp_path: Path) -> None:
    baseline = [
        (record("model", reid(5.0) | {LEAK: metric(3.0)}), tmp_path),
        (record("model", fid(2.0)), tmp_path),
    ]
    changes = check(baseline, [(record("model", reid(5.0)), tmp_path)])
    assert [(change.key, change.status) for change in changes] == [
        (MAP, "same"), (LEAK, "missing"), ("", "missing"),
    ]  # fmt: skip
    assert all(change.failed for change in changes[1:])


def test_a_metric_without_a_better_direction_is_looked_for_and_not_judged(tmp_path: Path) -> None:
    before, now = ((record("model", {MAP: metric(v, direction="none")}), tmp_path) for v in (1.0, 50.0))
    assert statuses(check([before], [now])) == {MAP: "same"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"data": data_run(digest="other")}, "on other data"),
        (
            {"protocol": ProtocolRun(name="reid", version=2, preset="demo", card_digest="card-reid")},
            "version",
        ),
        (
            {"protocol": ProtocolRun(name="reid", version=1, preset="demo", card_digest="new")},
            "protocol card",
        ),
        ({"extractors": {"fake_osnet": "retrained"}}, "other weights of fake_osnet"),
    ],
)
def test_what_was_measured_otherwise_is_refused(tmp_path: Path, change: dict, reason: str) -> None:
    before = record("model", reid(5.0))
    with pytest.raises(UsageError, match=reason):
        check([(before, tmp_path)], [(before.model_copy(update=change), tmp_path)])


def test_two_current_records_of_one_thing_are_refused(tmp_path: Path) -> None:
    made = (record("model", reid(5.0)), tmp_path)
    with pytest.raises(UsageError, match="keep one"):
        check([made], [made, made])


def test_rounding_on_another_processor_is_no_regression(tmp_path: Path) -> None:
    """A shift of every sample by a millionth is as certain as it is meaningless."""
    baseline, folder = reseeded(tmp_path, 0)
    rounded = pd.read_parquet(folder / str(baseline.samples))
    rounded["value"] *= 1 - 1e-6
    rounded.to_parquet(tmp_path / "rounded.parquet")
    metrics = {k: m.model_copy(update={"value": m.value * (1 - 1e-6)}) for k, m in baseline.metrics.items()}
    now = baseline.model_copy(update={"samples": "rounded.parquet", "metrics": metrics})
    changes = check([(baseline, folder)], [(now, folder)])
    assert set(statuses(changes).values()) == {"same"}
    assert changes[0].p < 1e-6


def test_seeds_and_intervals_must_both_say_so_where_there_are_no_samples(tmp_path: Path) -> None:
    def found(**more: Any) -> str:
        before = (record("model", {MAP: metric(50.0, **more)}), tmp_path)
        now = {"seeds": (44.9, 45.0, 45.1)} if more["seeds"] else {"seeds": ()}
        low_high = more["interval"] and tuple(bound - 5 for bound in more["interval"])
        after = (record("model", {MAP: metric(45.0, interval=low_high, **now)}), tmp_path)
        return check([before], [after])[0].status

    assert found(seeds=(49.9, 50.0, 50.1), interval=(49.5, 50.5)) == "worse"
    assert found(seeds=(49.9, 50.0, 50.1), interval=(40.0, 60.0)) == "same"
    assert found(seeds=(30.0, 50.0, 70.0), interval=(49.5, 50.5)) == "same"
    assert found(seeds=(49.9, 50.0, 50.1), interval=None) == "worse"
    assert found(seeds=(), interval=None) == "worse"  # no spread is known: a tenth is more than 2 %


@pytest.mark.parametrize(
    ("tolerances", "failed"),
    [
        (["0.5"], True), (["1.5"], False), (["1%"], True), (["3%"], False),
        (["3%", "reid.same_latent.map=0.5"], True), ([f"{MAP}=0.5", "3%"], True), (["0.5", "reid.*=3%"], False),
    ],
)  # fmt: skip
def test_a_given_tolerance_takes_the_place_of_the_test(
    tmp_path: Path, tolerances: list[str], failed: bool
) -> None:
    before, now = ((record("model", {MAP: metric(v, spread=5.0)}), tmp_path) for v in (50.0, 49.0))
    (change,) = check([before], [now], Tolerances.parse(tolerances))
    assert (change.failed, change.basis) == (failed, "tolerance")


@pytest.mark.parametrize("text", ["", "much", "x=", "-1", "reid.same_latent.map=nan", "inf", "5%%"])
def test_a_tolerance_that_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="give VALUE or METRIC=VALUE"):
        Tolerances.parse([text])


def test_a_tolerance_for_a_metric_that_is_not_there_is_refused(tmp_path: Path) -> None:
    made = (record("model", reid(5.0)), tmp_path)
    with pytest.raises(UsageError, match="'reid.same_latent.mpa=1' fits no metric"):
        check([made], [made], Tolerances.parse(["reid.same_latent.mpa=1"]))


def test_a_failure_says_what_fell_by_how_much_and_against_which_interval(tmp_path: Path) -> None:
    changes = check([reseeded(tmp_path, 0)], [reseeded(tmp_path, 1, drop=6.0)])
    first, last = lines(changes)
    assert first.startswith(f"FELL    model.reid.fabricated-reid.demo {MAP}: ")
    assert "95 % interval [-" in first
    assert "paired over 120 groups" in first
    assert last == "regression: 1 fell, 0 missing, 0 rose of 2 metrics"
    assert len(lines(changes, verbose=True)) == 3
    found = as_json(changes)
    assert found["failed"]
    assert found["counts"]["worse"] == 1
    assert found["changes"][0]["metric"] == MAP
    assert found["changes"][0]["difference"] == pytest.approx(changes[0].difference)


def test_records_are_read_from_a_file_or_a_folder_and_selected_by_name(tmp_path: Path) -> None:
    for made in (record("a", reid(5.0)), record("b", fid(2.0)), record("b", reid(5.0), preset="smoke")):
        write_record(made, tmp_path / f"{made.slug}.json")
    everything = read_records(tmp_path)
    assert len(everything) == 3
    assert len(read_records(tmp_path / "a.reid.fabricated.demo.json")) == 1
    (found,) = select(everything, models=["b"], presets=["smoke"])
    assert found[0].protocol.name == "reid"
    with pytest.raises(UsageError, match="no baseline record with protocol 'video'; there are: fid, reid"):
        select(everything, protocols=["video"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no records"):
        read_records(tmp_path / "empty")
