"""Write docs/metrics.md from the metric catalogue and the measured deviations of the parity tests.

pytest -m parity --record
python tools/metrics_page.py
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from anonbench.features.extractors import EXTRACTORS
from anonbench.protocols.catalog import MetricEntry, MetricTable, metric_tables
from anonbench.protocols.registry import protocol_card
from anonbench.reporting.files import write_text
from anonbench.reporting.labels import ARROWS

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "metrics.md"
PROTOCOLS = ROOT / "docs" / "protocols.md"
DEVIATIONS = ROOT / "results" / "parity" / "deviations.json"

INTRODUCTION = """\
# Metrics

Every number that anonbench gives. `tools/metrics_page.py` writes this page from the entries in
[protocols/metrics](../protocols/metrics), which tests hold against the records; [protocols](protocols.md) explains
what the protocols do and how to read their numbers together.

A key is `<protocol>[.<setting>].<statistic>.<extractor>`: `reid.same_latent.map.osnet_synthetic`. The tables leave
out its first and its last part; braces hold alternatives. ↑ higher is better, ↓ lower is better; without an arrow
the number is there to be compared with. *Needs* is what makes a number worth reading: each record holds its n and
its 95 % interval, and that decides.

*Parity* is the largest deviation from the original package on the same weights and inputs, measured by the tests in
[tests/parity](../tests/parity) (`pytest -m parity`); `exact` means equal bits. A dash: there is no package to
compare with, only the definition and the tests of it.
"""

EXTRACTOR_INTRODUCTION = """\
## Extractors

The last part of a key. Two extractors never share a column. What happens to an image before the network, and to the
features after it, changes numbers as much as the network does; it is part of the extractor and of its digest, and
stands in every record (`variants`). Another choice is another extractor, under another name. *Squashed* means that
the aspect ratio is not kept.
"""


def page() -> str:
    """The whole page."""
    tables = [_protocol_section(table) for table in metric_tables()]
    return "\n".join([INTRODUCTION, *tables, _extractor_section(), _parity_section()])


def _protocol_section(table: MetricTable) -> str:
    card = protocol_card(table.name)
    about = f"{card.description} After {card.reference}. [More](protocols.md{_anchor(table.name)})."
    return f"## {table.name}\n\n{about}{_extractors_of(table)}\n\n{_metric_table(table)}"


def _anchor(protocol: str) -> str:
    """Of the heading that names the protocol, alone or with others, as GitHub makes it."""
    headings = [line[3:] for line in PROTOCOLS.read_text().splitlines() if line.startswith("## ")]
    named = [heading for heading in headings if protocol in heading.split(", ")]
    return f"#{named[0].replace(', ', '-')}" if named else ""


def _extractors_of(table: MetricTable) -> str:
    """One sentence where all statistics have the same extractors; else they are a column."""
    if len({entry.extractors for entry in table.metrics}) > 1:
        return ""
    return f" Extractors: {_extractor_cell(table.metrics[0])}."


def _metric_table(table: MetricTable) -> str:
    columns: list[tuple[str, Callable[[MetricEntry], str]]] = [
        ("statistic", _name_cell),
        ("definition", _definition_cell),
        ("unit; range", lambda entry: f"{entry.unit}; {entry.range}"),
        ("needs", lambda entry: entry.needs),
        ("source", lambda entry: entry.source),
        ("parity", lambda entry: _deviation_cell(entry.parity)),
    ]
    if not _extractors_of(table):
        columns.insert(-1, ("extractor", _extractor_cell))
    rows = [[cell(entry) for _, cell in columns] for entry in table.metrics]
    return _markdown([name for name, _ in columns], rows)


def _name_cell(entry: MetricEntry) -> str:
    breakable = entry.key.replace(",", ", ")
    return f"`{breakable}` {ARROWS[entry.direction]}".strip()


def _definition_cell(entry: MetricEntry) -> str:
    return f"{entry.definition}. Only where {entry.when}" if entry.when else entry.definition


def _extractor_cell(entry: MetricEntry) -> str:
    return ", ".join(f"`{key}`" for key in entry.extractor_keys)


def _extractor_section() -> str:
    rows = [
        [f"`{e.key}`", e.kind, e.description, e.variant, _deviation_cell(e.parity)]
        for e in EXTRACTORS.values()
    ]
    head = ["extractor", "kind", "network", "variant", "parity"]
    return f"{EXTRACTOR_INTRODUCTION}\n{_markdown(head, rows)}"


def _parity_section() -> str:
    found = _deviations()
    rows = [
        [f"`test_{name}`", t["against"], t["quantity"], _number(t["deviation"]), _number(t["bound"])]
        for name, t in sorted(found["tests"].items())
    ]
    packages = ", ".join(f"{name} {version}" for name, version in sorted(found["packages"].items()))
    return (
        f"## Parity tests\n\nMeasured with {packages}. Random weights in the official formats and random inputs.\n\n"
        f"{_markdown(['test', 'against', 'quantity', 'deviation', 'bound'], rows)}"
    )


def _deviation_cell(tests: Sequence[str]) -> str:
    found = _deviations()["tests"]
    return "<br>".join(f"{_number(found[n]['deviation'])} {n.replace('_', ' ')}" for n in tests) or "-"


def _number(value: float) -> str:
    return "exact" if value == 0 else f"{value:.0e}"


def _deviations() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(DEVIATIONS.read_text())
    return found


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    write_text(page(), PAGE)
