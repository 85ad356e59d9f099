"""The docs: numbers come from records, links lead somewhere, commands exist."""

import re
import sys
from pathlib import Path

import pytest

from anonbench.cli.main import COMMANDS

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def use_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scripts of `tools/` as modules, freshly read."""
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    for name in ("publish_results", "findings", "findings_plots"):
        sys.modules.pop(name, None)


def test_the_results_in_the_readme_are_those_of_the_packaged_records(monkeypatch: pytest.MonkeyPatch) -> None:
    use_tools(monkeypatch)
    from publish_results import README_PRESET, packaged_records, readme_with_results

    text = (ROOT / "README.md").read_text()
    records = packaged_records(README_PRESET)
    assert {record.model.name for record in records} >= {"baseline", "final", "original"}
    assert readme_with_results(text, records) == text


def test_the_findings_are_those_of_the_records(monkeypatch: pytest.MonkeyPatch) -> None:
    use_tools(monkeypatch)
    from findings import PAGE, page_with_results

    text = PAGE.read_text()
    assert "<!-- table-5-3:begin -->\n| model |" in text
    assert page_with_results(text) == text


def test_records_of_a_study_are_of_the_cards_beside_them_or_packaged() -> None:
    from anonbench.cards import ModelCard, packaged_cards, read_card
    from anonbench.records import read_record

    packaged = packaged_cards("models", ModelCard)
    paths = sorted((ROOT / "results" / "studies").glob("*/*.*.*.*.json"))
    assert paths
    for path in paths:
        record = read_record(path)
        beside = path.with_name(f"{record.model.name}.yaml")
        card = read_card(beside, ModelCard) if beside.exists() else packaged[record.model.name]
        assert record.model.card_digest == card.digest, path


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
