"""Speed in the docs is what the record says."""

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    sys.modules.pop("benchmarks_page", None)
    import benchmarks_page

    return benchmarks_page


def test_the_page_is_that_of_the_record(tool) -> None:
    text = tool.PAGE.read_text()
    assert tool.page_with_results(text) == text


def test_a_row_says_what_was_done_by_whom_and_how_much_faster(tool, tmp_path, monkeypatch) -> None:
    packages = dict.fromkeys(("lpips", "scipy", "torch", "torch-fidelity", "torchreid"), "1.0")
    result = {"peer": "lpips", "what": "LPIPS of pairs", "seconds": 2.0, "peer_seconds": 5.0, "rounds": 1}
    record = {
        "hardware": "abacus", "threads": 1, "environment": {"packages": packages}, "results": {"lpips": result},
    }  # fmt: skip
    monkeypatch.setattr(tool, "RECORD", tmp_path / "metric_speed.json")
    tool.RECORD.write_text(json.dumps(record))
    assert "| LPIPS of pairs | 2 s | lpips | 5 s | 2.5 |\n" in tool.table()
    assert "abacus, 1 thread(s), torch 1.0" in tool.table()
