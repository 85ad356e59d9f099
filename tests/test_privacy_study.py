"""What docs/privacy.md says is what its records say, and the study's verdicts are right."""

from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest

from anonbench.records import Metric

ROOT = Path(__file__).parent.parent


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    import privacy_study

    return privacy_study


def metric(value: float) -> Metric:
    return Metric(value=value, unit="percent", direction="lower", n=1)


def test_the_page_shows_the_records(study: ModuleType) -> None:
    text = study.PAGE.read_text()
    assert study.page_with_results(text, study.records()) == text


@pytest.mark.parametrize("family", ["gaussian_blur", "pixelate"])
@pytest.mark.parametrize("statistic", ["map", "trained_map"])
def test_an_anonymized_query_leaks_less_at_every_step_from_original_to_blackout(
    study: ModuleType, family: str, statistic: str
) -> None:
    found = study.records()
    graded = ["original", *study.FAMILIES[family][1], "blackout"]
    key = f"privacy.anonymized_query.{statistic}.{study.EXTRACTOR}"
    values = [found[name].metrics[key].value for name in graded]
    assert all(weaker >= stronger for weaker, stronger in pairwise(values))


def test_models_have_a_trained_and_a_retrained_attacker_with_intervals(study: ModuleType) -> None:
    found = study.records()
    for model in study.MODELS:
        for extractor in (study.EXTRACTOR, "osnet_retrained"):
            assert (
                found[model].metrics[f"privacy.anonymized_query.advantage.{extractor}"].interval is not None
            )


def test_rises_are_found(study: ModuleType) -> None:
    assert study.verdict([metric(v) for v in (9.0, 5.0, 5.0, 1.0)]) == ["3 of 3", "0.0"]
    assert study.verdict([metric(v) for v in (9.0, 5.0, 7.5, 1.0)]) == ["2 of 3", "2.5"]


def test_cards_of_the_study_are_committed_as_the_tool_writes_them(
    study: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed = {path.name: path.read_text() for path in study.STUDY.glob("*.yaml")}
    monkeypatch.setattr(study, "STUDY", tmp_path)
    study.write_cards()
    assert {path.name: path.read_text() for path in tmp_path.glob("*.yaml")} == committed
