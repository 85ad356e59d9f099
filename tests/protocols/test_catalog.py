"""The catalogue of metrics, held against the packaged records; against fresh ones in tests/cli/test_end_to_end.py."""

from pathlib import Path

import pytest

from anonbench.protocols.catalog import MetricEntry, find_entry, metric_table, metric_tables
from anonbench.protocols.registry import protocol_names
from anonbench.records import Metric, read_record
from anonbench.reporting.labels import MetricKey
from anonbench.resources import resource_dir

PACKAGED = sorted((resource_dir("results") / "packaged").glob("*.json"))


def require_described(metrics: dict[str, Metric]) -> None:
    """Every key has an entry of its unit, direction and extractor."""
    for key, metric in metrics.items():
        entry = find_entry(key)
        assert entry is not None, f"{key} has no entry in protocols/metrics"
        assert (metric.unit, metric.direction) == (entry.unit, entry.direction), key
        assert MetricKey.parse(key).extractor in entry.extractor_keys, key


def require_complete(protocol: str, metrics: dict[str, Metric]) -> None:
    """Every statistic that needs no occasion is there."""
    found = {MetricKey.parse(key).measure for key in metrics}
    entries = [entry for entry in metric_table(protocol).metrics if entry.when is None]
    assert {f"{protocol}.{measure}" for entry in entries for measure in entry.measures} <= found


def entry_of(key: str) -> MetricEntry:
    return MetricEntry(
        key=key, definition="d", source="s", unit="u", range="r", direction="none", needs="n", extractors=("x",)
    )  # fmt: skip


def test_braces_stand_for_every_alternative() -> None:
    assert entry_of("{a,b}.rank{1,5}").measures == ["a.rank1", "a.rank5", "b.rank1", "b.rank5"]
    assert entry_of("random{,_masked}").measures == ["random", "random_masked"]
    assert entry_of("value").measures == ["value"]


def test_a_kind_of_extractors_stands_for_the_last_parts_of_their_keys() -> None:
    assert find_entry("lpips.diversity.vgg16").extractor_keys == ["mobilenet_v2", "vgg16", "alex"]  # type: ignore[union-attr]
    assert find_entry("pose_swap.surface_same.template").extractor_keys == ["template", "vertices"]  # type: ignore[union-attr]


def test_a_key_is_found_whatever_its_extractor_and_unknown_ones_are_not() -> None:
    assert find_entry("reid.same_latent.rank5.my_network") == find_entry(
        "reid.original.rank1.osnet_synthetic"
    )
    assert find_entry("reid.same_latent.rank7.osnet_synthetic") is None
    assert find_entry("fid") is None


def test_every_protocol_has_a_table() -> None:
    assert [table.name for table in metric_tables()] == protocol_names()


@pytest.mark.parametrize("path", PACKAGED, ids=lambda path: path.stem)
def test_packaged_records_hold_only_what_the_catalogue_describes(path: Path) -> None:
    require_described(read_record(path).metrics)
