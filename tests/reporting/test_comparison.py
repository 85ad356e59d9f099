import pytest

from anonbench.errors import UsageError
from anonbench.records import ModelRun, ProtocolRun
from anonbench.reporting.comparison import compare
from tests.reporting.fabricated import data_run, fid, metric, record, reid, small_set

KEY = "reid.same_latent.map.fake_osnet"


def test_data_and_presets_never_share_a_comparison() -> None:
    records = [
        record("final", reid(1.0), data="here"),
        record("final", reid(2.0), data="there"),
        record("final", reid(3.0), data="here", preset="smoke"),
    ]
    found = [(c.data, c.preset, c.rows[0].metrics["final"].value) for c in compare(records)]
    assert found == [("here", "demo", 1.0), ("there", "demo", 2.0), ("here", "smoke", 3.0)]


def test_splits_of_one_dataset_share_a_comparison() -> None:
    records = [record("final", reid(1.0), data="here/reid"), record("final", fid(2.0), data="here/val")]
    assert [c.data for c in compare(records)] == ["here"]


def test_imposed_outcomes_separate() -> None:
    names = ("here/reid", "here/reid, outcomes thesis", "here/reid, outcomes 60/30/10")
    found = [c.data for c in compare([record("final", reid(1.0), data=name) for name in names])]
    assert found == ["here", "here, outcomes thesis", "here, outcomes 60/30/10"]


def test_a_row_holds_one_key() -> None:
    other = {"reid.same_latent.map.other_osnet": metric(9.0)}
    (comparison,) = compare([record("baseline", reid(1.0)), record("final", other)])
    assert [str(row.key) for row in comparison.rows] == [KEY, "reid.same_latent.map.other_osnet"]
    assert [list(row.metrics) for row in comparison.rows] == [["baseline"], ["final"]]


def test_values_on_other_bytes_or_under_another_protocol_version_stand_in_rows_of_their_own() -> None:
    newer = ProtocolRun(name="reid", version=2, preset="demo", card_digest="card-reid")
    (comparison,) = compare(
        [
            record("a", reid(1.0)),
            record("b", reid(2.0), data=data_run(digest="other bytes")),
            record("c", reid(3.0)).model_copy(update={"protocol": newer}),
            record("d", reid(4.0)),
        ]
    )
    assert sorted(list(row.metrics) for row in comparison.rows) == [["a", "d"], ["b"], ["c"]]
    assert all(row.variant in row.label and row.variant for row in comparison.rows)


def test_untouched_images_come_first_and_are_never_ranked() -> None:
    (comparison,) = compare(small_set())
    assert comparison.models == ("original", "baseline", "final")
    for row in comparison.rows:
        assert "original" in row.metrics
        assert "original" not in row.marks


def test_one_name_for_two_checkpoints_makes_two_columns() -> None:
    retrained = ModelRun(name="final", kind="generator", card_digest="card-final", checkpoint_sha256="f" * 64)
    records = [record("final", reid(1.0)), record("final", reid(2.0)).model_copy(update={"model": retrained})]
    (comparison,) = compare(records)
    assert len(comparison.models) == 2
    assert all(name.startswith("final (") for name in comparison.models)


def test_measuring_the_same_thing_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="2 records measure final with protocol reid"):
        compare([record("final", reid(1.0)), record("final", reid(2.0))])


def test_values_of_two_extractors_of_one_name_stand_in_rows_of_their_own() -> None:
    retrained = record("b", reid(2.0)).model_copy(update={"extractors": {"fake_osnet": "other weights"}})
    (comparison,) = compare([record("a", reid(1.0)), retrained])
    assert [list(row.metrics) for row in comparison.rows] == [["a"], ["b"]]
    assert all("extractor" in row.label for row in comparison.rows)


def test_shared_values_that_differ_between_models_print_as_a_range() -> None:
    (comparison,) = compare(
        [
            record("a", {KEY: metric(1.0, n=100, chance=2.0)}),
            record("b", {KEY: metric(2.0, n=90, chance=2.0)}),
        ]
    )
    assert comparison.rows[0].common("n") == "90 to 100"
    assert comparison.rows[0].common("chance") == "2.0"
    assert comparison.rows[0].common("floor") == ""
