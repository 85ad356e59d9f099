"""A validity study on disk and in the terminal: record, tables, plots."""

from pathlib import Path

from anonbench.reporting.files import write_text
from anonbench.reporting.validity_plots import write_validity_plots
from anonbench.reporting.validity_record import RECORD, ValidityRecord, write_validity
from anonbench.reporting.validity_tables import (
    Row,
    consistency_table,
    control_table,
    five_points_table,
    markdown,
    quality_table,
)

TABLES = "validity.md"
WIDTH = 140
"""Columns of text that the widest table needs; in narrower terminals lines run on rather than lose digits."""
FOOTNOTE = (
    "Smallest difference of p from 0 between two benchmarks on the same people, resolved with power 0.8 at alpha"
    " 0.05; * beyond the benchmarks that were simulated, noise taken as 1/sqrt(n); - not even the largest."
)

TOO_SMALL = "Preset smoke shows that the study runs: of so few people, noise and resolution are guesses."


def write_study(record: ValidityRecord, folder: Path) -> list[Path]:
    """The record, its tables as Markdown, and its plots as PNG and PDF."""
    write_validity(record, folder / RECORD)
    sections = [
        f"# Validity of the measures on {record.model.name}, synthetic people, preset {record.preset}"
    ]
    for title, (header, rows) in _tables(record).items():
        sections.append(f"## {title}\n\n{markdown(header, rows)}")
    tables = write_text("\n\n".join([*sections, *_notes(record), ""]), folder / TABLES)
    return [folder / RECORD, tables, *write_validity_plots(record, folder, "validity_", ("png", "pdf"))]


def print_study(record: ValidityRecord) -> None:
    """The tables on stdout."""
    from rich.console import Console
    from rich.table import Table

    console = Console(width=max(WIDTH, Console().width))
    for title, (header, rows) in _tables(record).items():
        table = Table(*header, title=title, title_justify="left", box=None, pad_edge=False)
        for row in rows:
            table.add_row(*row)
        console.print(table, "")
    for note in _notes(record):
        console.print(note)


def _notes(record: ValidityRecord) -> list[str]:
    return [FOOTNOTE, TOO_SMALL] if record.preset == "smoke" else [FOOTNOTE]


def _tables(record: ValidityRecord) -> dict[str, tuple[Row, list[Row]]]:
    """Title -> header and rows, of the tables that have rows."""
    tables = {
        "Consistency over planted inconsistency": consistency_table(record, "paired"),
        "Controls, which must not move": control_table(record),
        "Two systems 0.05 apart": five_points_table(record.five_points),
        "Quality: smallest damage that 100 and 1,000 images show (tau)": quality_table(record),
    }
    return {title: (header, rows) for title, (header, rows) in tables.items() if rows}
