"""Tables and plots of a validity study, from a record made up for it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anonbench.records import Environment, ModelRun
from anonbench.reporting.validity_plots import write_validity_plots
from anonbench.reporting.validity_record import (
    INCONSISTENCY,
    Curve,
    FivePoints,
    Resolved,
    Size,
    ValidityRecord,
    read_validity,
)
from anonbench.reporting.validity_report import TOO_SMALL, write_study
from anonbench.reporting.validity_tables import (
    at_level,
    consistency_table,
    control_table,
    five_points_table,
    quality_table,
    resolved,
)

SHARES = (0.0, 0.1, 0.2, 0.5, 1.0)


def entry(smallest: float | None, images: int = 1000, **changes: Any) -> Resolved:
    fields: dict[str, Any] = {"at_most": False, "extrapolated": False, "design": "paired", "reference": 0.0}
    return Resolved(smallest=smallest, images=images, people=images / 7, **(fields | changes))


def curve(
    key: str = "reid.same_latent.map.osnet", role: Any = "consistency", fault: str = INCONSISTENCY
) -> Curve:
    values = tuple(50 * (1 - share) ** 2 + 1 for share in SHARES)
    size = Size(
        people=10, images=70, benchmarks=8, monte_carlo_error=0.2, values=values, deviations=(2.0,) * 5
    )
    designs = ("unpaired", "paired", "coupled")
    sizes = ((100, 0.2), (1000, 0.05), (10_000, 0.02))
    return Curve(
        key=key, title="re-ID mAP", role=role, unit="percent", direction="higher", data="synthetic/reid",
        fault=fault, axis="p", levels=SHARES, sizes=(size,), tau=0.93, tau_interval=(0.8, 1.0), steps=0.9,
        dynamic_range=25.0, noise_exponent=-0.5,
        resolved=tuple(entry(s, n, design=d, extrapolated=n > 70) for d in designs for n, s in sizes),
    )  # fmt: skip


def record(*curves: Curve, preset: str = "full") -> ValidityRecord:
    test = FivePoints(
        key="pairs.reid_same.osnet", title="re-ID distance", design="coupled", shares=(0.0, 0.05), people=200,
        difference=0.04, interval=(0.03, 0.05), p_value=0.0001, found=1.0, repetitions=80,
    )  # fmt: skip
    environment = Environment(anonbench="0", python="3", platform="Linux", device="cpu", packages={})
    return ValidityRecord(
        model=ModelRun(name="final", kind="generator", card_digest="0"), preset=preset, data=(), extractors={},
        curves=curves, five_points=(test,), environment=environment, seconds={}, command="", created="",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (None, ""),
        (entry(0.0512), "0.051"),
        (entry(0.01, at_most=True), "≤ 0.01"),
        (entry(0.02, extrapolated=True), "0.02*"),
        (entry(None), "-"),
        (entry(None, extrapolated=True), "-*"),
    ],
)
def test_a_resolution_says_what_it_is(found: Resolved | None, text: str) -> None:
    assert resolved(found) == text


def test_a_row_holds_value_noise_order_and_resolutions() -> None:
    header, (row,) = consistency_table(record(curve()), "paired")
    assert len(header) == len(row)
    assert row[1:4] == ["osnet", "51.0 ± 2.00", "33.0 ± 2.00"]
    assert row[-3:] == ["0.2*", "0.05*", "0.02*"]
    assert at_level(curve(), 0.3) == ""


def test_controls_and_comparisons_have_tables_of_their_own() -> None:
    study = record(curve(role="control"))
    assert consistency_table(study, "paired")[1] == []
    assert len(control_table(study)[1]) == 1
    (test,) = five_points_table(study.five_points)[1]
    assert test[-4:] == ["0.040 [0.030, 0.050]", "0.0001", "yes", "100 %"]


def test_quality_has_a_column_for_each_damage() -> None:
    study = record(*(curve("fid.value.net", "quality", fault) for fault in ("jpeg", "mask_growth")))
    header, rows = quality_table(study)
    assert header[2:] == ["JPEG", "grown mask"]
    assert rows == [["re-ID mAP", "net", "0.2*; 0.05* (+0.93)", "0.2*; 0.05* (+0.93)"]]


def test_a_study_is_written_whole_and_read_back_equal(tmp_path: Path) -> None:
    keys = ("reid.same_latent.map.o", "pairs.reid_ratio.o", "pairs.surface_ratio.t", "video.same_latent.consistency.o",
            "background_swap.perceptual_ratio.m", "background_swap.surface_ratio.t")  # fmt: skip
    study = record(*(curve(key) for key in keys), curve("fid.kid.m", "control"), preset="smoke")
    written = write_study(study, tmp_path)
    assert {path.name for path in written} >= {"validity.json", "validity.md", "validity_resolution.pdf"}
    assert read_validity(tmp_path / "validity.json") == study
    assert TOO_SMALL in (tmp_path / "validity.md").read_text()


def test_a_model_without_latents_has_plots_of_quality_alone(tmp_path: Path) -> None:
    (plot,) = write_validity_plots(record(curve("fid.value.net", "quality", "jpeg")), tmp_path, "v_")
    assert plot.name == "v_quality.png"
    assert plot.stat().st_size > 5000


def test_the_resolution_of_one_design_is_found_among_all() -> None:
    found = curve().resolution("coupled", 0.0, 1000)
    assert found is not None
    assert np.isclose(found.smallest or 0, 0.05)
    assert curve().resolution("coupled", 0.5, 1000) is None
    with pytest.raises(KeyError, match="no curve of fid"):
        record(curve()).curve("fid.value.net")
