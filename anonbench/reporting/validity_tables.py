"""What a validity study found, as rows of text: for the terminal, for Markdown and for docs/validity.md."""

from collections.abc import Iterable, Sequence

from anonbench.reporting.validity_record import (
    INCONSISTENCY,
    Curve,
    Design,
    FivePoints,
    Resolved,
    ValidityRecord,
)

Row = list[str]
SHOWN_IMAGES = (100, 1000, 10_000)
QUALITY_IMAGES = (100, 1000)
FAULT_TITLES = {
    "blur_inside": "blur of the person",
    "blur_whole": "blur of the crop",
    "noise_inside": "noise on the person",
    "noise_whole": "noise on the crop",
    "jpeg": "JPEG",
    "mask_growth": "grown mask",
}


def consistency_table(
    record: ValidityRecord, design: Design, reference: float = 0.0
) -> tuple[Row, list[Row]]:
    """Header and a row per measure: its curve, its order, its noise, and the smallest difference of p."""
    header = ["measure", "extractor", "p = 0", "p = 0.2", "p = 1", "tau", "range / noise", *_image_titles()]
    rows = [
        [
            curve.title, extractor(curve), *(at_level(curve, level) for level in (0.0, 0.2, 1.0)),
            f"{curve.tau:.2f}", f"{curve.dynamic_range:.0f}",
            *(resolved(curve.resolution(design, reference, images)) for images in SHOWN_IMAGES),
        ]
        for curve in record.curves_of(INCONSISTENCY, "consistency")
    ]  # fmt: skip
    return header, rows


def control_table(record: ValidityRecord) -> tuple[Row, list[Row]]:
    """What must not move with p: values at both ends, with the noise of one benchmark."""
    header = ["measure", "extractor", "p = 0", "p = 1", "change / noise", "images"]
    rows = [
        [
            curve.title, extractor(curve), at_level(curve, 0.0), at_level(curve, 1.0),
            f"{curve.dynamic_range:.1f}", f"{curve.largest.images:.0f}",
        ]
        for curve in record.curves_of(INCONSISTENCY, "control")
    ]  # fmt: skip
    return header, rows


def quality_table(record: ValidityRecord, design: Design = "coupled") -> tuple[Row, list[Row]]:
    """A row per measure, a column per damage: the smallest that 100 and 1,000 images show, and tau."""
    faults = list(dict.fromkeys(c.fault for c in record.curves if c.role == "quality"))
    header = ["measure", "extractor", *(FAULT_TITLES.get(fault, fault) for fault in faults)]
    rows = []
    for first in record.curves_of(faults[0], "quality") if faults else []:
        curves = [record.curve(first.key, fault) for fault in faults]
        rows.append([first.title, extractor(first), *(_damage(curve, design) for curve in curves)])
    return header, rows


def five_points_table(tests: Iterable[FivePoints]) -> tuple[Row, list[Row]]:
    """A row per comparison of two systems whose p differs by 0.05."""
    header = [
        "measure",
        "p",
        "people",
        "same draws",
        "difference",
        "sign-flip p",
        "resolved",
        "of repetitions",
    ]
    rows = [
        [
            test.title, f"{test.shares[0]:g} → {test.shares[1]:g}", str(test.people),
            "yes" if test.design == "coupled" else "no",
            f"{digits(test.difference)} [{digits(test.interval[0])}, {digits(test.interval[1])}]",
            f"{test.p_value:.4f}", "yes" if test.resolved else "no", f"{100 * test.found:.0f} %",
        ]
        for test in tests
    ]  # fmt: skip
    return header, rows


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; columns of numbers are aligned by the reader's browser as they come."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def resolved(found: Resolved | None) -> str:
    """A smallest difference: <= where it is smaller than was planted, a dash for none, * where extrapolated."""
    if found is None:
        return ""
    mark = "*" if found.extrapolated else ""
    if found.smallest is None:
        return f"-{mark}"
    return f"{'≤ ' if found.at_most else ''}{found.smallest:.2g}{mark}"


def at_level(curve: Curve, level: float) -> str:
    """The mean at a level in the largest benchmarks, with the deviation of one of them."""
    if level not in curve.levels:
        return ""
    place = curve.levels.index(level)
    return f"{digits(curve.largest.values[place])} ± {digits(curve.largest.deviations[place])}"


def extractor(curve: Curve) -> str:
    """The last part of the key."""
    return curve.key.rpartition(".")[2]


def digits(value: float) -> str:
    """As many digits as a table needs: 61.3, 0.613, 0.0613."""
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if abs(value) >= 1 else f"{value:.3f}"


def _damage(curve: Curve, design: Design) -> str:
    few, many = (resolved(curve.resolution(design, 0.0, images)) for images in QUALITY_IMAGES)
    return f"{few}; {many} ({curve.tau:+.2f})"


def _image_titles() -> list[str]:
    return [f"n = {images:,}" for images in SHOWN_IMAGES]
