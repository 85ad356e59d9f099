"""The study of `anonbench check`: its records say what the docs say, and that the command does its work."""

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
STUDIES = sorted((ROOT / "results" / "check").glob("*.json"))


@pytest.fixture(autouse=True)
def tools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    sys.modules.pop("check_study", None)


def test_the_table_in_the_docs_is_that_of_the_records() -> None:
    from check_study import PAGE, page_with_results

    text = PAGE.read_text()
    assert page_with_results(text) == text


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_mere_reseedings_pass_and_three_points_are_found_with_the_same_seeds(path: Path) -> None:
    study = json.loads(path.read_text())
    assert not any(study["fell_in_reseedings"])
    (drop,) = (drop for drop in study["drops"] if drop["points"] == 3.0)
    assert drop["found_with_the_same_seeds"] == drop["cases"]


def test_twenty_reseedings_of_a_model_were_checked() -> None:
    assert max(json.loads(path.read_text())["reseedings"] for path in STUDIES) >= 20
