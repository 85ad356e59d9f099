import io
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from anonbench.errors import UsageError
from anonbench.records import Record
from anonbench.reporting.comparison import compare
from anonbench.reporting.headlines import HEADLINES
from anonbench.reporting.tables import (
    comparison_table,
    render_terminal,
    write_markdown,
    write_tex,
)
from anonbench.reporting.tidy import write_csv
from tests.reporting.fabricated import fid, metric, record, reid, small_set


def test_the_table_has_a_row_per_key_and_a_column_per_model() -> None:
    table = comparison_table(small_set())
    assert list(table.columns) == ["original", "baseline", "final", "n", "chance", "floor", "ceiling"]
    assert list(table.index.get_level_values("protocol")) == ["reid", "fid"]
    reid_row = table.loc["reid"].iloc[0]
    assert reid_row["final"] == "30.0 [29.5, 30.5] (best)"
    assert (reid_row["n"], reid_row["chance"], reid_row["ceiling"]) == ("123", "4.0", "80.0")


def test_directions_show_as_arrows() -> None:
    metrics = comparison_table(small_set()).index.get_level_values("metric")
    assert [name[-1] for name in metrics] == ["↑", "↓"]


def test_records_of_several_data_make_no_single_table() -> None:
    with pytest.raises(UsageError, match="here, preset demo; there, preset demo"):
        comparison_table([record("final", reid(1.0), data="here"), record("final", reid(1.0), data="there")])


def test_what_a_model_did_not_measure_stays_empty() -> None:
    table = comparison_table(
        [record("baseline", reid(1.0)), record("final", reid(9.0)), record("final", fid(2.0))]
    )
    assert table.loc["fid"].iloc[0]["baseline"] == ""


def test_headlines_come_in_the_order_of_the_questions() -> None:
    metrics = {f"{measure}.x": metric(1.0) for measure in reversed(HEADLINES)}
    records = [record("final", {key: m}, protocol=key.replace(".", "_")) for key, m in metrics.items()]
    assert [row.title for row in compare(records)[0].headlines] == list(HEADLINES.values())


def test_markdown_marks_the_best_and_escapes_names(tmp_path: Path) -> None:
    records = [record("a|b_c", reid(1.0)), record("final", reid(9.0))]
    text = write_markdown(compare(records), tmp_path / "t.md").read_text()
    assert r"a\|b\_c" in text
    assert "**9.0** [8.5, 9.5]" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.replace(r"\|", "").count("|") for line in rows}) == 1


def test_markdown_prints_ties_as_ties(tmp_path: Path) -> None:
    records = [record("a", reid(9.0)), record("b", reid(9.1))]
    text = write_markdown(compare(records), tmp_path / "t.md").read_text()
    assert "9.0 [8.5, 9.5] (tie)" in text
    assert "9.1 [8.6, 9.6] (tie)" in text
    assert "**" not in text


def test_tex_is_escaped_and_balanced(tmp_path: Path) -> None:
    records = [record("50%_{a}&$b^c~\\d", reid(1.0)), record("final", reid(9.0))]
    text = write_tex(compare(records), tmp_path / "t.tex").read_text()
    assert r"50\%\_\{a\}\&\$b\textasciicircum{}c\textasciitilde{}\textbackslash{}d" in text
    assert r"\textbf{9.0}" in text
    bare = text.replace(r"\{", "").replace(r"\}", "")
    assert bare.count("{") == bare.count("}")
    assert text.isascii()


def test_tex_rows_have_as_many_cells_as_the_table_has_columns(tmp_path: Path) -> None:
    text = write_tex(compare(small_set()), tmp_path / "t.tex").read_text()
    rows = [line for line in text.splitlines() if line.endswith(r"\\") and "multicolumn" not in line]
    assert {row.count("&") for row in rows} == {8}
    assert r"\begin{tabular}{llrrrrrrr}" in text


def test_csv_has_every_value_of_every_record(tmp_path: Path) -> None:
    records = small_set()
    table = pd.read_csv(write_csv(compare(records), tmp_path / "t.csv"))
    assert len(table) == sum(len(r.metrics) for r in records)
    final = table[(table["model"] == "final") & (table["key"] == "reid.same_latent.map.fake_osnet")].iloc[0]
    assert final["value"] == 30.0
    assert (final["interval_low"], final["interval_high"]) == (29.5, 30.5)
    assert [float(v) for v in final["value_per_seed"].split()] == [29.9, 30.0, 30.1]
    assert final["mark"] == "best"
    stored = {r.data.digest for r in records}
    assert set(table["data_digest"]) == stored


def test_csv_leaves_absent_fields_empty(tmp_path: Path) -> None:
    table = pd.read_csv(write_csv(compare([record("final", fid(2.0))]), tmp_path / "t.csv"))
    assert table["chance"].isna().all()
    assert table["floor"].tolist() == [1.5]


def printed(records: list[Record], width: int) -> str:
    out = io.StringIO()
    render_terminal(compare(records), Console(file=out, width=width))
    return out.getvalue()


@pytest.mark.parametrize("width", [60, 200])
def test_the_terminal_shows_values_intervals_and_names(width: int) -> None:
    text = printed(list(small_set()), width)
    for expected in ("30.0", "80.0", "fabricated, preset demo"):
        assert expected in text


def test_the_terminal_does_not_read_markup_in_names() -> None:
    assert "[red]evil[/red]" in printed([record("[red]evil[/red]", reid(1.0))], 200)


def test_without_headline_measures_the_terminal_shows_all() -> None:
    assert "own number" in printed([record("final", {"mine.own_number.x": metric(4.0)})], 200)


@pytest.mark.parametrize("width", range(70, 200, 13))
def test_no_value_is_cut_off_whatever_the_width_of_the_terminal(width: int) -> None:
    records = [record(f"model_number_{i}", reid(10.0 * i)) for i in range(1, 5)]
    text = printed(records, width)
    for i in range(1, 5):
        assert f"model_number_{i}" in text
        assert f"[{10 * i - 0.5:.1f}, {10 * i + 0.5:.1f}]" in text
    assert "…" not in text
    assert all(len(line) <= width for line in text.splitlines())
