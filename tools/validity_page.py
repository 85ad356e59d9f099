"""Make the tables and plots of docs/validity.md from the committed records of the validity study.

    python tools/validity_page.py

Records: results/studies/validity/<model>/validity.json, written by `anonbench validate --preset full`. Text between
the markers `<!-- NAME:begin -->` and `<!-- NAME:end -->` is replaced; the rest of the page is prose.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from pages import with_blocks

from anonbench.reporting.validity_plots import COMPARED, write_validity_plots
from anonbench.reporting.validity_record import (
    INCONSISTENCY,
    RECORD,
    Curve,
    Design,
    ValidityRecord,
    read_validity,
)
from anonbench.reporting.validity_tables import (
    at_level,
    consistency_table,
    control_table,
    digits,
    five_points_table,
    markdown,
    quality_table,
    resolved,
)

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "validity.md"
RECORDS = ROOT / "results" / "studies" / "validity"
MODELS = ("final", "baseline")
UNTOUCHED = "original"
DESIGNS: tuple[Design, ...] = ("unpaired", "paired", "coupled")
STEP = 0.05
LEAST_SIZES = 3
"""Sizes of benchmarks through which a slope is worth printing."""
IMAGES = 1000
"""Where one number of images must do."""


@cache
def record_of(model: str) -> ValidityRecord:
    """The committed study of a model."""
    return read_validity(RECORDS / model / RECORD)


def size_text() -> str:
    """What the study was made with."""
    record = record_of("final")
    data = "; ".join(f"`{run.name}`: {run.counts['identities']} people, {run.counts['samples']:,} images"
                     for run in record.data)  # fmt: skip
    extractors = ", ".join(f"`{name}`" for name in record.extractors)
    benchmarks = {size.benchmarks for curve in record.curves for size in curve.sizes}
    error = max(size.monte_carlo_error for curve in record.curves for size in curve.sizes)
    return (
        f"Data: {data}. Extractors: {extractors}. {min(benchmarks)} to {max(benchmarks)} benchmarks of each size,"
        f" in two halves: a standard deviation is known to {100 * error:.0f} % or better."
    )


def design_table() -> str:
    """The smallest difference from p = 0, and from p = 0.2, by how two systems are compared."""
    header = ["measure", *(f"{design}, from p = {start:g}" for start in (0.0, 0.2) for design in DESIGNS)]
    rows = [
        [
            name,
            *(
                resolved(curve.resolution(design, start, IMAGES))
                for start in (0.0, 0.2)
                for design in DESIGNS
            ),
        ]
        for key, name in COMPARED.items()
        for curve in record_of("final").curves_of(INCONSISTENCY)
        if curve.key.rpartition(".")[0] == key
    ]
    return markdown(header, rows)


def models_table() -> str:
    """The ends of the curves, and the resolution, of both models."""
    header = [
        "measure",
        *(f"{model}, {column}" for model in MODELS for column in ("p = 0", "p = 1", "resolves")),
    ]
    rows = []
    for key, name in COMPARED.items():
        cells = [name]
        for model in MODELS:
            (curve,) = [
                c for c in record_of(model).curves_of(INCONSISTENCY) if c.key.rpartition(".")[0] == key
            ]
            cells += [
                at_level(curve, 0.0),
                at_level(curve, 1.0),
                resolved(curve.resolution("paired", 0.0, IMAGES)),
            ]
        rows.append(cells)
    return markdown(header, rows)


def needed_table() -> str:
    """Images and people that a paired comparison needs to resolve five points, the fewest images of final first."""
    header = [
        "measure",
        *(f"{model}, {start:g} → {start + STEP:g}" for model in MODELS for start in (0.0, 0.2)),
    ]
    rows = []
    for curve in record_of("final").curves_of(INCONSISTENCY, "consistency"):
        curves = [record_of(model).curve(curve.key) for model in MODELS]
        found = [needed(c, start) for c in curves for start in (0.0, 0.2)]
        rows.append((found[1][0], [curve.title, *(text for _, text in found)]))
    return markdown(header, [row for _, row in sorted(rows, key=lambda row: row[0])])


def needed(curve: Curve, start: float) -> tuple[float, str]:
    """Images needed to resolve `STEP` above `start`, between the recorded sizes, and the table's words for it."""
    entries = [r for r in curve.resolved if r.design == "paired" and r.reference == start]
    sharp = [r.smallest is not None and r.smallest <= STEP for r in entries]
    per_person = entries[0].images / entries[0].people
    if not any(sharp):
        return float("inf"), f"> {entries[-1].images:,}"
    place = sharp.index(True)
    last = entries[place]
    if place == 0 or entries[place - 1].smallest is None:
        images = float(last.images)
    else:
        before = entries[place - 1]
        sizes, steps = np.log([before.images, last.images]), np.log([before.smallest, last.smallest])
        images = float(np.exp(np.interp(-np.log(STEP), -steps, sizes)))
    mark = "*" if last.extrapolated else ""
    return images, f"{two_digits(images):,} ({two_digits(images / per_person):,} people){mark}"


def two_digits(value: float) -> int:
    """Rounded to two digits: more would pretend."""
    return int(float(f"{value:.1e}"))


def noise_table() -> str:
    """Deviation of one benchmark at p = 0.2 against its size, and the slope of its logarithm."""
    header = ["measure", "noise at p = 0.2, by people", "slope"]
    rows = []
    for key, name in COMPARED.items():
        (curve,) = [c for c in record_of("final").curves_of(INCONSISTENCY) if c.key.rpartition(".")[0] == key]
        place = curve.levels.index(0.2)
        noise = ", ".join(f"{size.people}: {digits(size.deviations[place])}" for size in curve.sizes)
        logs = np.log([(size.people, size.deviations[place]) for size in curve.sizes])
        slope = f"{np.polyfit(*logs.T, 1)[0]:.2f}" if len(curve.sizes) >= LEAST_SIZES else "-"
        rows.append([name, noise, slope])
    return markdown(header, rows)


def tests_table() -> str:
    """The comparisons of systems that are 0.05 apart."""
    return markdown(*five_points_table(record_of("final").five_points))


BLOCKS: dict[str, Callable[[], str]] = {
    "size": size_text,
    "consistency": lambda: markdown(*consistency_table(record_of("final"), "paired")),
    "five-points": tests_table,
    "needed": needed_table,
    "designs": design_table,
    "noise": noise_table,
    "models": models_table,
    "controls": lambda: markdown(*control_table(record_of("final"))),
    "quality": lambda: markdown(*quality_table(record_of("final"))),
    "quality-original": lambda: markdown(*quality_table(record_of(UNTOUCHED))),
}


def page_with_results(text: str) -> str:
    """The page with every block made anew. Raises ValueError for a block that the page lacks."""
    return with_blocks(text, {name: block() for name, block in BLOCKS.items()})


if __name__ == "__main__":
    write_validity_plots(record_of("final"), ROOT / "docs" / "images", "validity_")
    PAGE.write_text(page_with_results(PAGE.read_text()))
