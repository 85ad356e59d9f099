"""docs/validity.md says what the committed records of the study say."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def test_the_tables_of_the_page_are_those_of_the_records(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    sys.modules.pop("validity_page", None)
    from validity_page import PAGE, page_with_results

    text = PAGE.read_text()
    assert "<!-- consistency:begin -->\n| measure |" in text
    assert page_with_results(text) == text


def test_five_points_are_resolved_with_200_people() -> None:
    from anonbench.reporting.validity_record import read_validity

    record = read_validity(ROOT / "results" / "studies" / "validity" / "final" / "validity.json")
    resolved = [test for test in record.five_points if test.resolved]
    assert {test.people for test in record.five_points} == {200}
    assert {test.shares for test in resolved} == {(0.0, 0.05), (0.2, 0.25)}
