"""The docs: numbers come from records, links lead somewhere, commands exist."""

import re
import sys
from pathlib import Path

import pytest

from anonbench.cli.main import COMMANDS

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_results_in_the_readme_are_those_of_the_packaged_records(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    sys.modules.pop("publish_results", None)
    from publish_results import README_PRESET, packaged_records, readme_with_results

    text = (ROOT / "README.md").read_text()
    records = packaged_records(README_PRESET)
    assert {record.model.name for record in records} >= {"baseline", "final", "original"}
    assert readme_with_results(text, records) == text


def test_packaged_records_are_of_the_packaged_checkpoints() -> None:
    from anonbench.cards import ModelCard, packaged_cards
    from anonbench.records import read_record

    cards = packaged_cards("models", ModelCard)
    records = [read_record(path) for path in sorted((ROOT / "results" / "packaged").glob("*.json"))]
    assert records
    for record in records:
        assert record.model.card_digest == cards[record.model.name].digest, record.slug


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text())
    missing = [link for link in links if not (page.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_in_the_docs_exist(page: Path) -> None:
    blocks = "\n".join(re.findall(r"^```.*?\n(.*?)^```", page.read_text(), flags=re.MULTILINE | re.DOTALL))
    used = set(re.findall(r"^anonbench ([a-z]+)", blocks, flags=re.MULTILINE))
    assert used <= set(COMMANDS)
