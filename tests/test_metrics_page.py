"""docs/metrics.md: made from the catalogue and from measured deviations, and not older than they are."""

import json
import re
import sys
from pathlib import Path

import pytest

from anonbench.features import clip, dinov2, mobilenet
from anonbench.features.extractors import EXTRACTORS, load_extractor, load_perceptual
from anonbench.features.osnet import MARKET_INPUT, synthetic_input
from anonbench.features.preprocessing import Preprocessing
from anonbench.protocols.catalog import metric_tables
from anonbench.protocols.registry import protocol_names

ROOT = Path(__file__).parent.parent
DEVIATIONS = json.loads((ROOT / "results" / "parity" / "deviations.json").read_text())["tests"]


def test_the_page_is_that_of_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    sys.modules.pop("metrics_page", None)
    from metrics_page import PAGE, page

    assert PAGE.read_text() == page(), "run: python tools/metrics_page.py"


def test_every_table_row_has_as_many_cells_as_its_head() -> None:
    rows = [line for line in (ROOT / "docs" / "metrics.md").read_text().splitlines() if line.startswith("|")]
    widths = [len(re.findall(r"(?<!\\)\|", row)) for row in rows]
    heads = [i for i, row in enumerate(rows) if row.startswith("| ---")]
    assert len(heads) == len(protocol_names()) + 2
    for start, end in zip(heads, [*heads[1:], len(rows) + 1], strict=True):
        assert set(widths[start - 1 : end - 1]) == {widths[start]}


def test_parity_that_is_claimed_was_measured_within_its_bound() -> None:
    claimed = {name for table in metric_tables() for entry in table.metrics for name in entry.parity}
    claimed |= {name for entry in EXTRACTORS.values() for name in entry.parity}
    assert claimed == DEVIATIONS.keys()
    for name, test in DEVIATIONS.items():
        assert test["deviation"] <= test["bound"], name


def test_every_parity_test_is_recorded_and_every_record_has_its_test() -> None:
    code = "\n".join(path.read_text() for path in (ROOT / "tests" / "parity").glob("test_*.py"))
    assert set(re.findall(r"^def test_(\w+)", code, flags=re.MULTILINE)) == DEVIATIONS.keys()


INPUTS = {
    "clip_vit_b32": clip.INPUT,
    "dinov2_vit_l14": dinov2.INPUT,
    "mobilenet_v2": mobilenet.POOLED_INPUT,
    "osnet_synthetic": synthetic_input((96, 48)),
    "osnet_x1_0_market1501": MARKET_INPUT,
}


@pytest.mark.parametrize(("name", "used"), INPUTS.items(), ids=INPUTS.keys())
def test_the_variant_told_is_the_one_in_use(name: str, used: Preprocessing) -> None:
    assert used.size is not None
    variant = EXTRACTORS[name].variant
    assert f"squashed to {used.size[0]}x{used.size[1]}" in variant
    assert ("bicubic" in variant, "Pillow" in variant) == (
        "bicubic" in used.interpolation, "pillow" in used.interpolation,
    )  # fmt: skip
    assert ("rounded to bytes" in variant) == used.round_to_uint8
    assert ("without antialias" in variant) != used.antialias


@pytest.mark.parametrize("name", ["mobilenet_v2", "osnet_synthetic"])
def test_keys_end_as_the_registry_says(name: str) -> None:
    assert load_extractor(name).name == EXTRACTORS[name].key


def test_perceptual_keys_end_as_the_registry_says() -> None:
    name = "perceptual_mobilenet_v2"
    assert load_perceptual(name).key == EXTRACTORS[name].key
