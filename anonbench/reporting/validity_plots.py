"""Plots of a validity study: curves over the planted fault, and the smallest difference against images."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from anonbench.reporting.files import replacing
from anonbench.reporting.plots import PALETTE, PAPER_WIDTH, REFERENCE_COLOUR, new_figure, paper_style
from anonbench.reporting.validity_record import INCONSISTENCY, Curve, Design, ValidityRecord
from anonbench.reporting.validity_tables import FAULT_TITLES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]
PANELS = {
    "re-ID, across cameras": ("reid.", "pairs.reid"),
    "surface, across cameras": ("pairs.surface",),
    "video": ("video.",),
    "perceptual, aligned": ("background_swap.perceptual",),
    "surface, aligned": ("background_swap.surface",),
}
"""Title of a panel -> beginnings of the keys in it."""

COMPARED = {
    "reid.same_latent.map": "re-ID mAP",
    "reid.same_latent.rank1": "re-ID rank-1",
    "pairs.reid_ratio": "re-ID distance ratio",
    "pairs.surface_ratio": "surface ratio, across cameras",
    "background_swap.perceptual_ratio": "perceptual ratio, aligned",
    "background_swap.surface_ratio": "surface ratio, aligned",
    "video.same_latent.consistency": "video likeness",
    "video.same_latent.warping_ratio": "video warping ratio",
}
"""Measures in the plot of resolutions, without their extractor."""

DESIGN_TITLES: dict[Design, str] = {
    "unpaired": "different people",
    "paired": "the same people",
    "coupled": "the same people and draws",
}
BAND = 1.96
"""Deviations: 95 % of benchmarks lie inside."""


def write_validity_plots(
    record: ValidityRecord, folder: Path, stem: str, endings: Sequence[str] = ("png",)
) -> list[Path]:
    """Every plot that the record has curves for: `<folder>/<stem>.<plot>.png`."""
    figures = {}
    if record.curves_of(INCONSISTENCY):
        figures["consistency"] = consistency_curves(record)
        figures["resolution"] = resolution_lines(record)
    if any(curve.role == "quality" for curve in record.curves):
        figures["quality"] = quality_curves(record)
    written = []
    for name, figure in figures.items():
        for ending in endings:
            written.append(folder / f"{stem}{name}.{ending}")
            with replacing(written[-1]) as temporary:
                undated = {"CreationDate": None} if ending == "pdf" else None
                figure.savefig(temporary, dpi=200, metadata=undated)
    return written


def consistency_curves(record: ValidityRecord) -> "Figure":
    """Every measure over p, from its value at p = 0 (0) to that at p = 1 (1); a panel per kind, one of controls."""
    with paper_style():
        figure = new_figure(PAPER_WIDTH, 4.6)
        *panels, last = figure.subplots(2, 3, sharex=True).flat
        for axes, (title, beginnings) in zip(panels, PANELS.items(), strict=True):
            chosen = record.curves_of(INCONSISTENCY, "consistency")
            _normalized(axes, [curve for curve in chosen if curve.key.startswith(beginnings)])
            axes.set_title(f"{title}\n", loc="left", fontweight="bold")
        _controls(last, record.curves_of(INCONSISTENCY, "control"))
        for axes in (panels[0], panels[3]):
            axes.set_ylabel("share of the way\nfrom p = 0 to p = 1")
        for axes in (panels[3], panels[4], last):
            axes.set_xlabel("p: images with a z of their own")
        handles = [*panels[0].get_lines()[:2], panels[0].collections[0]]
        words = [
            "1 − (1 − p)²: pairs without a common z",
            "mean over benchmarks",
            "95 % of single benchmarks",
        ]
        figure.legend(handles, words, loc="outside lower center", ncols=3, frameon=False, fontsize=6.5)
        return figure


def resolution_lines(record: ValidityRecord) -> "Figure":
    """Smallest difference of p from p = 0 against images, log-log: a panel per design, a line per measure."""
    designs: tuple[Design, ...] = ("unpaired", "paired", "coupled")
    with paper_style():
        figure = new_figure(PAPER_WIDTH, 3.1)
        panels = figure.subplots(1, len(designs), sharey=True)
        curves = [c for c in record.curves_of(INCONSISTENCY, "consistency") if _measure(c) in COMPARED]
        for axes, design in zip(panels, designs, strict=True):
            for curve, colour in zip(curves, PALETTE, strict=False):
                _resolution_line(axes, curve, design, colour)
            axes.axhline(0.05, color=REFERENCE_COLOUR, linewidth=0.8, linestyle=":")
            axes.set(xscale="log", yscale="log", xlabel="images", ylim=(0.009, 1.05))
            axes.set_yticks(
                [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1], ["0.01", "0.02", "0.05", "0.1", "0.2", "0.5", "1"]
            )
            axes.minorticks_off()
            axes.set_title(DESIGN_TITLES[design], loc="left", fontweight="bold")
        panels[0].set_ylabel("smallest difference of p resolved")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=6.5)
        return figure


def quality_curves(record: ValidityRecord) -> "Figure":
    """Each measure over each damage in units of the noise of one benchmark, upwards = worse."""
    faults = list(dict.fromkeys(c.fault for c in record.curves if c.role == "quality"))
    columns = min(3, len(faults))
    lines = -(-len(faults) // columns)
    with paper_style():
        figure = new_figure(PAPER_WIDTH, 2.1 * lines + 0.4)
        panels = figure.subplots(lines, columns, squeeze=False).flat
        for axes, fault in zip(panels, faults, strict=False):
            for curve, colour in zip(record.curves_of(fault), PALETTE, strict=False):
                _damage_line(axes, curve, colour)
            axes.axhline(0, color=REFERENCE_COLOUR, linewidth=0.8)
            axes.axhspan(-BAND, BAND, color=REFERENCE_COLOUR, alpha=0.15, linewidth=0)
            axes.set_yscale("symlog", linthresh=BAND)
            axes.set_yticks([-10, -2, 0, 2, 10, 100], ["-10", "-2", "0", "2", "10", "100"])
            axes.minorticks_off()
            axes.set_title(FAULT_TITLES.get(fault, fault), loc="left", fontweight="bold")
            axes.set_xlabel(record.curves_of(fault)[0].axis)
        for axes in list(panels)[len(faults) :]:
            axes.set_axis_off()
        for place in range(0, len(faults), columns):
            panels[place].set_ylabel("change / noise of one benchmark\nworse →")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
        return figure


def _normalized(axes: "Axes", curves: Sequence[Curve]) -> None:
    levels = np.linspace(0, 1, 101)
    axes.plot(levels, 1 - (1 - levels) ** 2, color=REFERENCE_COLOUR, linestyle="--", linewidth=1)
    for curve, colour in zip(curves, PALETTE, strict=False):
        values, noise = np.array(curve.largest.values), np.array(curve.largest.deviations)
        span = values[-1] - values[0]
        way, width = (values - values[0]) / span, BAND * noise / abs(span)
        axes.plot(curve.levels, way, color=colour, linewidth=1.2, label=_short(curve))
        axes.fill_between(curve.levels, way - width, way + width, color=colour, alpha=0.12, linewidth=0)
    size = next(iter(curves)).largest
    axes.annotate(
        f"{size.people} people, {size.images:,.0f} images", (0, 1), (0, 3), "axes fraction", "offset points"
    )
    axes.set_ylim(-0.35, 1.35)
    axes.legend(frameon=False, fontsize=6, loc="lower right")


def _controls(axes: "Axes", curves: Iterable[Curve]) -> None:
    for curve, colour in zip(curves, PALETTE, strict=False):
        values, noise = np.array(curve.largest.values), np.array(curve.largest.deviations)
        change, width = 100 * (values / values[0] - 1), 100 * BAND * noise / abs(values[0])
        axes.errorbar(
            curve.levels, change, width, color=colour, linewidth=1.2, elinewidth=0.5, label=curve.title
        )
    axes.axhline(0, color=REFERENCE_COLOUR, linewidth=0.8)
    axes.set_title("controls\n", loc="left", fontweight="bold")
    axes.set_ylabel("change from p = 0, percent")
    axes.legend(frameon=False, fontsize=6, loc="upper left")


def _resolution_line(axes: "Axes", curve: Curve, design: Design, colour: str) -> None:
    found = [r for r in curve.resolved if r.design == design and r.reference == 0]
    points = [(r.images, r.smallest, r.extrapolated) for r in found if r.smallest is not None]
    label = COMPARED[_measure(curve)]
    axes.plot([x for x, _, _ in points], [y for _, y, _ in points], "--", color=colour, linewidth=0.8)
    inside = [(x, y) for x, y, beyond in points if not beyond]
    axes.plot([x for x, _ in inside], [y for _, y in inside], "o-", color=colour, markersize=2.5, label=label)


def _damage_line(axes: "Axes", curve: Curve, colour: str) -> None:
    values, noise = np.array(curve.largest.values), np.array(curve.largest.deviations)
    worse = 1 if curve.direction == "lower" else -1
    unit = float(np.sqrt(np.mean(noise**2)))
    change = worse * (values - values[0]) / unit if unit > 0 else np.zeros(len(values))
    axes.plot(curve.levels, change, "o-", color=colour, linewidth=1.2, markersize=2.5, label=curve.title)


def _measure(curve: Curve) -> str:
    return curve.key.rpartition(".")[0]


def _short(curve: Curve) -> str:
    """The title without what the panel says."""
    words = curve.title.split(", ")[0]
    for said in ("re-ID ", "video ", "surface ", "perceptual "):
        words = words.removeprefix(said)
    return words
