"""`anonbench validate`: the smoke study from the command line, and what is refused."""

from pathlib import Path

import pytest

from anonbench.reporting.validity_record import INCONSISTENCY, read_validity
from tests.cli.conftest import Cli


@pytest.mark.usefixtures("own_cache")
def test_the_smoke_study_writes_record_tables_and_plots(cli: Cli, tmp_path: Path) -> None:
    out = tmp_path / "study"
    result = cli("validate", "--preset", "smoke", "--out", out)
    assert result.code == 0, result.err
    record = read_validity(out / "validity.json")
    assert (record.model.name, record.preset) == ("final", "smoke")
    assert set(record.extractors) == {"osnet_synthetic", "mobilenet_v2", "perceptual_mobilenet_v2"}
    consistency = record.curves_of(INCONSISTENCY, "consistency")
    assert {c.key.partition(".")[0] for c in consistency} == {"reid", "pairs", "background_swap", "video"}
    assert all(
        curve.levels[0] == 0 and len(curve.largest.values) == len(curve.levels) for curve in record.curves
    )
    mean_ap = record.curve("reid.same_latent.map.osnet_synthetic")
    assert mean_ap.largest.values[0] > mean_ap.largest.values[-1]
    assert "# Validity of the measures on final" in (out / "validity.md").read_text()
    for plot in ("consistency", "resolution", "quality"):
        assert (out / f"validity_{plot}.png").stat().st_size > 10_000
    assert "re-ID mAP" in result.out


@pytest.mark.usefixtures("own_cache")
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--model", "nobody"), "nobody"),
        (("--extractor", "vgg19"), "no extractor 'vgg19'"),
        (("--preset", "paper"), "'paper' is not one of"),
        (("--data", "folder=x"), "No such option"),
    ],
)
def test_what_cannot_be_studied_is_said_in_one_line(cli: Cli, arguments: tuple[str, ...], says: str) -> None:
    result = cli("validate", *arguments)
    assert result.code == 2
    assert says in result.error
