import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote

import pytest

from anonbench.errors import DataError
from anonbench.records import read_record, write_record
from anonbench.reporting import plots
from anonbench.reporting.comparison import Comparison
from anonbench.reporting.report import write_report
from tests.reporting.fabricated import data_run, fid, metric, record, reid, small_set


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Plots replaced by empty files; returns the stems that were asked for."""
    asked: list[str] = []

    def write(comparison: Comparison, colours: Mapping[str, str], folder: Path, stem: str) -> list[Path]:
        asked.append(stem)
        folder.mkdir(parents=True, exist_ok=True)
        files = [folder / f"{stem}.metrics.{ending}" for ending in ("png", "pdf")]
        for file in files:
            file.touch()
        return files

    monkeypatch.setattr(plots, "write_plots", write)
    return asked


def linked_files(page: Path) -> list[Path]:
    links = re.findall(r'(?:href|src)="([^"]+)"', page.read_text())
    return [(page.parent / unquote(link)).resolve() for link in links]


def test_a_report_has_tables_plots_galleries_and_a_page(records_folder: Path, tmp_path: Path) -> None:
    files = write_report(records_folder, tmp_path / "out")
    names = [file.relative_to(tmp_path / "out").as_posix() for file in files]
    assert names == [
        "report.html",
        "table.md",
        "table.tex",
        "table.csv",
        "plots/fabricated-demo.metrics.png",
        "plots/fabricated-demo.metrics.pdf",
        "plots/fabricated-demo.consistency_realism.png",
        "plots/fabricated-demo.consistency_realism.pdf",
        "galleries/fabricated-demo.reid.png",
    ]
    assert all(file.stat().st_size > 0 for file in files)


def test_every_link_of_the_page_leads_to_a_file(
    records_folder: Path, tmp_path: Path, undrawn: list[str]
) -> None:
    page = write_report(records_folder, tmp_path / "out & more")[0]
    linked = linked_files(page)
    assert linked
    assert all(file.is_file() for file in linked)
    assert {file.name for file in records_folder.glob("*.json")} <= {file.name for file in linked}


def test_the_page_shows_what_a_reader_needs(records_folder: Path, tmp_path: Path, undrawn: list[str]) -> None:
    text = write_report(records_folder, tmp_path)[0].read_text()
    for expected in (
        "Consistency: mAP, one latent per identity",
        "[29.5, 30.5]",
        "numbers are made up",  # a note of the data
        "90.0 %",  # share of synthesized crops
        "fake_osnet",
        "anonbench run fabricated --model final",
        "not with the networks behind published tables",
        "Published numbers, not comparable",
        "0.2352",  # thesis Table 5.1
        "Market-1501, anonymized with one latent per identity",  # thesis Table 5.2
    ):
        assert expected in text


def test_a_second_call_draws_nothing(records_folder: Path, tmp_path: Path, undrawn: list[str]) -> None:
    first = write_report(records_folder, tmp_path / "out")
    times = [file.stat().st_mtime_ns for file in first]
    assert write_report(records_folder, tmp_path / "out") == first
    assert len(undrawn) == 1
    assert [file.stat().st_mtime_ns for file in first] == times


def test_a_changed_record_is_reported_again(records_folder: Path, tmp_path: Path, undrawn: list[str]) -> None:
    write_report(records_folder, tmp_path / "out")
    file = records_folder / "final.reid.fabricated.demo.json"
    write_record(read_record(file).model_copy(update={"metrics": reid(44.4)}), file)
    page = write_report(records_folder, tmp_path / "out")[0]
    assert "44.4" in page.read_text()


def test_a_changed_strip_is_reported_again(records_folder: Path, tmp_path: Path, undrawn: list[str]) -> None:
    gallery = write_report(records_folder, tmp_path / "out")[-1]
    before = gallery.read_bytes()
    strip = records_folder / "final.reid.png"
    strip.write_bytes((records_folder / "baseline.reid.png").read_bytes())
    write_report(records_folder, tmp_path / "out")
    assert gallery.read_bytes() != before


def test_a_lost_file_is_written_again(records_folder: Path, tmp_path: Path, undrawn: list[str]) -> None:
    files = write_report(records_folder, tmp_path / "out")
    files[1].unlink()
    write_report(records_folder, tmp_path / "out")
    assert files[1].exists()


@pytest.mark.parametrize("state", ["", "{", "[]", '{"digest": 1}', '{"digest": "x", "files": 3}'])
def test_a_damaged_state_file_means_writing_again(
    records_folder: Path, tmp_path: Path, undrawn: list[str], state: str
) -> None:
    out = tmp_path / "out"
    write_report(records_folder, out)
    (out / ".report.json").write_text(state)
    write_report(records_folder, out)
    assert len(undrawn) == 2


def test_what_no_longer_belongs_is_removed_and_foreign_files_stay(
    records_folder: Path, tmp_path: Path, undrawn: list[str]
) -> None:
    out = tmp_path / "out"
    gallery = write_report(records_folder, out)[-1]
    (out / "galleries" / "mine.png").write_text("kept")
    for file in records_folder.glob("*.json"):
        write_record(read_record(file).model_copy(update={"galleries": {}}), file)
    write_report(records_folder, out)
    assert not gallery.exists()
    assert (out / "galleries" / "mine.png").read_text() == "kept"


def test_a_forged_state_file_removes_nothing_outside_the_report(
    records_folder: Path, tmp_path: Path, undrawn: list[str]
) -> None:
    out = tmp_path / "out"
    write_report(records_folder, out)
    victims = [tmp_path / "victim.txt", out / "records" / "kept.json"]
    for victim in victims:
        victim.parent.mkdir(exist_ok=True)
        victim.touch()
    names = ["../victim.txt", str(victims[0]), "records/kept.json", "plots/../../victim.txt"]
    (out / ".report.json").write_text(json.dumps({"digest": "", "files": names}))
    write_report(records_folder, out)
    assert all(victim.exists() for victim in victims)


def test_names_and_notes_are_escaped(tmp_path: Path, undrawn: list[str]) -> None:
    evil = "<script>alert('x')</script>"
    made = record(evil, reid(1.0), kind=evil, command=evil)
    made = made.model_copy(
        update={"data": data_run(evil).model_copy(update={"notes": (evil,), "counts": {evil: 1}})}
    )
    made = made.model_copy(update={"extractors": {evil: evil}})
    text = write_report([(made, tmp_path)], tmp_path / "out")[0].read_text()
    assert "&lt;script&gt;" in text
    assert "<script" not in text.lower()


def test_data_named_like_a_path_stays_in_the_folder(tmp_path: Path, undrawn: list[str]) -> None:
    made = record("final", reid(1.0), data="..\\..\\evil <name>")
    files = write_report([(made, tmp_path)], tmp_path / "out")
    assert all((tmp_path / "out") in file.resolve().parents for file in files)
    assert undrawn == ["evil-name-demo"]


def test_data_with_equal_stems_get_files_of_their_own(tmp_path: Path, undrawn: list[str]) -> None:
    sources = [(record("final", reid(1.0), data=name), tmp_path) for name in ("a b", "a-b")]
    write_report(sources, tmp_path / "out")
    assert undrawn == ["a-b-demo-1", "a-b-demo-2"]


def test_one_model_with_one_unknown_metric_makes_a_report(tmp_path: Path) -> None:
    made = record("solo", {"mine.own_number.x": metric(4.0, interval=None, seeds=(), direction="none")})
    text = write_report([(made, tmp_path)], tmp_path / "out")[0].read_text()
    assert "own number" in text
    assert "Headline" not in text


def test_synthetic_people_are_named_as_such(tmp_path: Path, undrawn: list[str]) -> None:
    for data, expected in (("synthetic", True), ("market1501", False)):
        text = write_report([(record("final", fid(1.0), data=data), tmp_path)], tmp_path / data)[
            0
        ].read_text()
        assert ("Measured on synthetic people" in text) is expected


def test_shares_stand_once_per_protocol(tmp_path: Path, undrawn: list[str]) -> None:
    sources = [(made, tmp_path) for made in small_set()]
    text = write_report(sources, tmp_path / "out")[0].read_text()
    assert text.count("90.0 %") == 2


def test_no_records_are_an_error_that_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no records to report; write some with 'anonbench run'"):
        write_report(tmp_path, tmp_path / "out")
    with pytest.raises(DataError, match="no such folder"):
        write_report(tmp_path / "absent", tmp_path / "out")


def test_a_missing_strip_is_an_error_that_names_it(records_folder: Path, tmp_path: Path) -> None:
    (records_folder / "final.reid.png").unlink()
    with pytest.raises(DataError, match=r"final\.reid\.png: cannot read it .*run the protocol again"):
        write_report(records_folder, tmp_path / "out")


def test_an_unchanged_report_loads_no_plotting_library(
    records_folder: Path, tmp_path: Path, undrawn: list[str]
) -> None:
    write_report(records_folder, tmp_path / "out")
    code = (
        "import sys; from pathlib import Path; from anonbench.reporting.report import write_report\n"
        f"write_report(Path({str(records_folder)!r}), Path({str(tmp_path / 'out')!r}))\n"
        "print([name for name in ('seaborn', 'matplotlib', 'jinja2', 'pandas', 'torch') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
