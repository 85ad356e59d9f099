"""Paired tests between models, on made-up per-sample values."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from anonbench.errors import DataError
from anonbench.records import Record, read_record, write_record
from anonbench.reporting.caveats import caveats
from anonbench.reporting.difference_tables import difference_lines
from anonbench.reporting.paired import Samples, pair
from anonbench.reporting.report import write_report
from anonbench.reporting.significance import compare_with_tests
from tests.reporting.fabricated import fid, metric, record
from tests.reporting.sidecars import PEOPLE, measured, rows

KEY = "reid.same_latent.map.fake_osnet"
OTHER = "reid.same_latent.rank1.fake_osnet"


def test_a_small_steady_difference_wins_although_the_intervals_overlap(tmp_path: Path) -> None:
    people = np.random.default_rng(0).normal(50, 20, PEOPLE)
    sources = [measured(tmp_path, "a", people), measured(tmp_path, "b", people + 2)]
    (comparison,) = compare_with_tests(sources)
    (row,) = comparison.rows
    (difference,) = row.differences
    assert (difference.model, difference.against, difference.groups) == ("a", "b", PEOPLE)
    assert difference.value == pytest.approx(-2)
    assert difference.interval == pytest.approx((-2, -2), abs=0.2)
    assert row.marks == {"a": "", "b": "best"}
    assert row.verdict(difference) == "b"


def test_a_difference_that_people_disagree_on_is_a_tie(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    a = rng.normal(50, 5, PEOPLE)
    b = a + rng.normal(1, 20, PEOPLE)
    (comparison,) = compare_with_tests([measured(tmp_path, "a", a), measured(tmp_path, "b", b)])
    (row,) = comparison.rows
    assert row.differences[0].adjusted > 0.05
    assert set(row.marks.values()) == {"tie"}
    assert row.verdict(row.differences[0]) == "tie"


def test_many_images_of_few_people_are_few_samples(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    a = rng.normal(50, 5, PEOPLE)
    b = a + np.repeat(rng.normal(3, 6, 3), PEOPLE // 3)  # three people, each alike in all of their images
    groups = np.repeat([1, 2, 3], PEOPLE // 3)
    sources = [measured(tmp_path, "a", a, groups=groups), measured(tmp_path, "b", b, groups=groups)]
    (comparison,) = compare_with_tests(sources)
    (difference,) = comparison.rows[0].differences
    assert difference.groups == 3
    assert any("headline table" in caveat and "(3)" in caveat for caveat in caveats(comparison))
    assert difference.p >= 2 / 2**3


def test_a_difference_as_clear_as_its_people_allow_is_said_to_need_more_of_them(tmp_path: Path) -> None:
    people = np.random.default_rng(9).normal(50, 5, 8)
    keys = (KEY, *(f"reid.{setting}.map.fake_osnet" for setting in ("linkage", "permuted_latent")))
    rng = np.random.default_rng(10)
    more = people + 30 + rng.normal(0, 1, 8)
    sources = [measured(tmp_path, "a", people, keys=keys), measured(tmp_path, "b", more, keys=keys)]
    (comparison,) = compare_with_tests(sources)
    assert {d.p for row in comparison.rows for d in row.differences} == {2 / 2**8}
    assert not any("more tests than" in caveat for caveat in caveats(comparison))  # 3 * 0.008 < 0.05

    keys = (*keys, *(f"reid.original_{i}.map.fake_osnet" for i in range(7)))
    keys = tuple(key.replace("map", "rank1") for key in keys)  # no headline measures: one family of ten
    sources = [measured(tmp_path, "a", people, keys=keys), measured(tmp_path, "b", more, keys=keys)]
    assert any("full table" in caveat and "(8)" in caveat for caveat in caveats(*compare_with_tests(sources)))


def test_headline_measures_and_the_others_are_corrected_apart(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    people = rng.normal(50, 20, PEOPLE)
    more = people + rng.normal(3, 7, PEOPLE)
    names = [OTHER.replace("rank1", f"rank{k}") for k in (1, 5, 10)]
    sources = [
        measured(tmp_path, model, values, keys=(KEY, *names))
        for model, values in (("a", people), ("b", more))
    ]
    rows_by_key = {str(row.key): row.differences[0] for row in compare_with_tests(sources)[0].rows}
    assert rows_by_key[KEY].adjusted == rows_by_key[KEY].p
    for name in names:
        assert rows_by_key[name].adjusted == pytest.approx(min(3 * rows_by_key[name].p, 1))


def test_of_more_than_two_models_each_is_compared_with_the_best(tmp_path: Path) -> None:
    people = np.random.default_rng(4).normal(50, 20, PEOPLE)
    sources = [measured(tmp_path, name, people + i) for i, name in enumerate("abc")]
    sources.append(measured(tmp_path, "original", people + 30, kind="original"))
    (row,) = compare_with_tests(sources)[0].rows
    assert [(d.model, d.against) for d in row.differences] == [("a", "c"), ("b", "c")]


def test_values_of_whole_sets_have_a_difference_but_no_test(tmp_path: Path) -> None:
    sources = [(record(name, fid(value)), tmp_path) for name, value in (("a", 20.0), ("b", 24.0))]
    (comparison,) = compare_with_tests(sources)
    (difference,) = comparison.rows[0].differences
    assert (difference.value, difference.p, difference.groups) == (-4.0, None, None)
    assert difference_lines(comparison)[0][4] == "–"
    assert comparison.rows[0].marks["a"] == "best"


def test_ratios_are_compared_as_ratios(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    below = rng.uniform(1, 3, PEOPLE)
    key = "pose_swap.surface_ratio.template"
    sources = [
        measured(tmp_path, name, factor * below, keys=(key,), over=below, direction="lower")
        for name, factor in (("a", 0.8), ("b", 0.5))
    ]
    (difference,) = compare_with_tests(sources)[0].rows[0].differences
    assert difference.interval == pytest.approx((0.3, 0.3))


def test_models_measured_on_other_samples_are_tested_on_those_they_share_and_the_report_says_so(
    tmp_path: Path,
) -> None:
    people = np.random.default_rng(6).normal(50, 20, PEOPLE)
    sources = [measured(tmp_path, "a", people), measured(tmp_path, "b", people[:-5] + 2)]
    (comparison,) = compare_with_tests(sources)
    assert comparison.rows[0].differences[0].groups == PEOPLE - 5
    assert comparison.rows[0].differences[0].unshared == 5
    assert any("not measured on the same samples" in caveat for caveat in caveats(comparison))


def test_records_without_their_values_are_compared_by_intervals_and_the_report_says_so(
    tmp_path: Path,
) -> None:
    people = np.random.default_rng(7).normal(50, 20, PEOPLE)
    a, b = measured(tmp_path, "a", people, spread=1.0), measured(tmp_path, "b", people + 2, spread=1.0)
    (tmp_path / str(b[0].samples)).unlink()
    (comparison,) = compare_with_tests([a, b])
    assert comparison.rows[0].differences[0].p is None
    assert set(comparison.rows[0].marks.values()) == {"tie"}
    assert any("no per-sample values" in caveat for caveat in caveats(comparison))


def test_seeds_are_averaged_before_they_are_compared(tmp_path: Path) -> None:
    table = pd.concat([rows(KEY, np.full(PEOPLE, 10.0)), rows(KEY, np.full(PEOPLE, 20.0)).assign(seed=1)])
    table.to_parquet(tmp_path / "a.parquet")
    found = Samples.of(record("a", {KEY: metric(15.0)}, samples="a.parquet"), tmp_path)
    assert len(found.by_metric[KEY]) == PEOPLE
    assert set(found.by_metric[KEY]["value"]) == {15.0}


def test_a_pair_needs_the_metric_on_both_sides(tmp_path: Path) -> None:
    first, folder = measured(tmp_path, "a", np.arange(PEOPLE, dtype=float))
    second, _ = measured(tmp_path, "b", np.arange(PEOPLE, dtype=float), keys=(OTHER,))
    a, b = Samples.of(first, folder), Samples.of(second, folder)
    assert pair(a, b, KEY) is None
    assert pair(None, b, OTHER) is None
    assert pair(b, b, OTHER).group_count == PEOPLE


@pytest.mark.parametrize("damage", ["text", "old columns", "elsewhere"])
def test_damaged_values_are_named(tmp_path: Path, damage: str) -> None:
    made, folder = measured(tmp_path, "a", np.arange(PEOPLE, dtype=float))
    path = folder / str(made.samples)
    if damage == "text":
        path.write_text("no table")
    elif damage == "old columns":
        pd.read_parquet(path).drop(columns=["group", "over"]).to_parquet(path)
    else:
        made = made.model_copy(update={"samples": "../a.parquet"})
    with pytest.raises(DataError, match=r"a\.(reid|parquet)|without group, over"):
        Samples.of(made, folder)


def test_the_report_has_a_section_of_differences(tmp_path: Path) -> None:
    people = np.random.default_rng(8).normal(50, 20, PEOPLE)
    sources: list[tuple[Record, Path]] = []
    for name, values in (("a", people), ("b", people + 2)):
        made, folder = measured(tmp_path / "records", name, values)
        write_record(made, folder / f"{made.slug}.json")
        sources.append((read_record(folder / f"{made.slug}.json"), folder))
    write_report(sources, tmp_path)
    for name in ("report.html", "table.md", "table.tex"):
        text = (tmp_path / name).read_text()
        assert "Differences" in text, name
        assert "a − b" in text.replace("$-$", "−"), name
    table = pd.read_csv(tmp_path / "table.csv").set_index("model")
    assert table.loc["a", "against"] == "b"
    assert table.loc["a", "difference"] == pytest.approx(-2)
    assert table.loc["a", "p_holm"] < 0.05
    assert table.loc["b", "mark"] == "best"
