"""The report of a comparison: tables, plots, galleries and one HTML page that shows them.

Written again only when something it is made from has changed: records, gallery strips, or the code and
template of this package. Everything is written atomically, the page last.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from anonbench.errors import DataError
from anonbench.records import Record, read_record, write_json
from anonbench.reporting.caveats import caveats
from anonbench.reporting.comparison import SHARED, Comparison, by_protocol
from anonbench.reporting.difference_tables import COLUMNS, DIFFERENCES_LEGEND, difference_lines
from anonbench.reporting.figures import Figure, strip_path, write_figures
from anonbench.reporting.files import write_text
from anonbench.reporting.headlines import GLOSSARY
from anonbench.reporting.labels import file_stem, protocol_order, protocol_title
from anonbench.reporting.tables import LEGEND, write_markdown, write_tex
from anonbench.reporting.tidy import write_csv

Sources = Sequence[tuple[Record, Path]]
"""Records, each with the folder that its gallery strips and its own file `<slug>.json` lie in."""

PAGE = "report.html"

STATE = ".report.json"
"""What the report in a folder was made from, and the files it consists of."""

_PACKAGE = Path(__file__).parent


def write_report(
    records: Path | Sources, out: Path, comparisons: Sequence[Comparison] | None = None
) -> list[Path]:
    """Write the report of some records into `out`; returns its files, the page first.

    records: a folder of records, or records with the folders of their files, in the order of the columns.
    comparisons: those of the records (`significance.compare_with_tests`), if they are made already.

    Raises DataError for no records, per-sample values that are damaged, or a gallery strip that is missing or
    damaged; UsageError where two records measure the same thing.
    """
    sources = _read(records) if isinstance(records, Path) else list(records)
    if not sources:
        where = f"{records}: " if isinstance(records, Path) else ""
        raise DataError(
            f"{where}no records to report; write some with 'anonbench run' or 'anonbench compare'"
        )
    digest = _digest(sources)
    known = _up_to_date(out, digest)
    if known:
        return known
    files = _write(comparisons or _compare(sources), sources, out)
    _remove_stale(out, files)
    state = {"digest": digest, "files": [file.relative_to(out).as_posix() for file in files]}
    write_json(state, out / STATE)
    return files


def _read(folder: Path) -> Sources:
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder of records")
    return [(read_record(path), folder) for path in sorted(folder.glob("*.json")) if path.name[0] != "."]


def _compare(sources: Sources) -> Sequence[Comparison]:
    # Imported here: an unchanged report needs no SciPy.
    from anonbench.reporting.significance import compare_with_tests

    return compare_with_tests(sources)


def _write(comparisons: Sequence[Comparison], sources: Sources, out: Path) -> list[Path]:
    from anonbench.reporting.plots import model_colours, write_plots

    def folder_of(wanted: Record) -> Path:
        return next(folder for record, folder in sources if record is wanted)

    colours = model_colours(comparisons)
    tables = [
        write_markdown(comparisons, out / "table.md"),
        write_tex(comparisons, out / "table.tex"),
        write_csv(comparisons, out / "table.csv"),
    ]
    files, sections = list(tables), []
    for comparison, stem in zip(comparisons, _stems(comparisons), strict=True):
        plots = write_plots(comparison, colours, out / "plots", stem)
        figures = write_figures(comparison, folder_of, out / "galleries", stem)
        files += [*plots, *(figure.path for figure in figures)]
        runs = _runs(
            comparison, [_record_link(record, folder_of(record), out) for record in comparison.records]
        )
        sections.append(_section(comparison, runs, plots, figures, out))
    page = write_text(_render(sections, colours, [table.name for table in tables]), out / PAGE)
    return [page, *files]


def _section(
    comparison: Comparison, runs: Sequence[Any], plots: Sequence[Path], figures: Sequence[Figure], out: Path
) -> dict[str, Any]:
    """What the template shows of one comparison."""
    models = {model: record.model for model, record in comparison.by_column()}
    environments = {str(record.environment): record.environment for record in comparison.records}
    return {
        "comparison": comparison,
        "models": [(column, models[column]) for column in comparison.models],
        "environments": list(environments.values()),
        "commands": list(dict.fromkeys(record.command for record in comparison.records)),
        "groups": [(protocol_title(name), rows) for name, rows in by_protocol(comparison.rows)],
        "glossary": [
            (r.title, GLOSSARY[r.key.measure]) for r in comparison.headlines if r.key.measure in GLOSSARY
        ],
        "differences": difference_lines(comparison),
        "caveats": caveats(comparison),
        "plots": [
            (_link(path, out), _link(path.with_suffix(".pdf"), out))
            for path in plots
            if path.suffix == ".png"
        ],
        "figures": [(_link(figure.path, out), figure) for figure in figures],
        "runs": runs,
        "extractors": sorted({item for record in comparison.records for item in record.extractors.items()}),
    }


def _runs(comparison: Comparison, links: Sequence[str]) -> list[tuple[Record, list[tuple[str, Record, str]]]]:
    """What was sampled and detected, each with every (model, record, link) that was measured on it.

    The record that stands for a group is the one with the most seeds: models without latents need only one.
    """
    groups: dict[str, list[tuple[str, Record, str]]] = {}
    for (model, record), link in zip(comparison.by_column(), links, strict=True):
        sampled = f"{record.protocol} {record.data} {record.detection}"
        groups.setdefault(sampled, []).append((model, record, link))
    runs = [(max((run[1] for run in group), key=lambda r: len(r.seeds)), group) for group in groups.values()]
    return sorted(runs, key=lambda run: protocol_order(run[0].protocol.name))


def _render(sections: Sequence[dict[str, Any]], colours: dict[str, str], tables: Sequence[str]) -> str:
    import jinja2

    from anonbench.reporting.published import published_tables

    loader = jinja2.FileSystemLoader(_PACKAGE / "templates")
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("report.html").render(
        sections=sections,
        colours=colours,
        tables=tables,
        shared=SHARED,
        legend=LEGEND,
        difference_columns=COLUMNS,
        differences_legend=DIFFERENCES_LEGEND,
        published=published_tables(),
    )


def _stems(comparisons: Sequence[Comparison]) -> list[str]:
    """A file stem per comparison, told apart by a number where two would be equal."""
    stems = [file_stem(f"{comparison.data}-{comparison.preset}") for comparison in comparisons]
    return [f"{s}-{i + 1}" if stems.count(s) > 1 else s for i, s in enumerate(stems)]


def _record_link(record: Record, folder: Path, out: Path) -> str:
    """Link to the record's file; empty where there is none."""
    file = folder / f"{record.slug}.json"
    return _link(file, out) if file.exists() else ""


def _link(file: Path, out: Path) -> str:
    return quote(Path(os.path.relpath(file.resolve(), out.resolve())).as_posix())


def _digest(sources: Sources) -> str:
    """sha256 over everything that the report is made from."""
    digest = hashlib.sha256()
    code = sorted(path for path in _PACKAGE.rglob("*") if path.suffix in (".py", ".html"))
    strips = [strip_path(record, folder, name) for record, folder in sources for name in record.galleries]
    for record, folder in sources:
        digest.update(f"{record.model_dump_json()}\0{folder.resolve()}\0".encode())
        samples = folder / record.samples if record.samples else None
        if samples and samples.is_file():  # without it there are no tests, which is no error
            digest.update(hashlib.sha256(samples.read_bytes()).digest())
    for path in (*code, *strips):
        try:
            content = path.read_bytes()
        except OSError as error:
            raise DataError(f"{path}: cannot read it ({error.strerror}); run the protocol again") from error
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()


def _state(out: Path) -> dict[str, Any]:
    try:
        state = json.loads((out / STATE).read_text(encoding="utf-8"))
        return {"digest": str(state["digest"]), "files": [str(name) for name in state["files"]]}
    except (OSError, ValueError, KeyError, TypeError):
        return {"digest": "", "files": []}


def _up_to_date(out: Path, digest: str) -> list[Path]:
    """The files of the report in `out` if it was made from the same inputs and is whole; else none."""
    state = _state(out)
    files = [out / name for name in state["files"]]
    return files if state["digest"] == digest and all(file.exists() for file in files) else []


def _remove_stale(out: Path, files: Sequence[Path]) -> None:
    """Delete what the previous report wrote and this one did not; never anything else."""
    for name in _state(out)["files"]:
        file = out / name
        ours = file.parent in (out, out / "plots", out / "galleries") and ".." not in file.parts
        if ours and file not in files:
            file.unlink(missing_ok=True)
