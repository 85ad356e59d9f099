"""Plots of a comparison, at the width of a paper: headline measures, and consistency against realism.

Drawn on figures without a window or global state. Seaborn and matplotlib load when a plot is drawn.
"""

import math
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anonbench.reporting.comparison import Comparison, Row
from anonbench.reporting.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#8c6bb1", "#7f5f00")
"""Okabe and Ito's colours, which colour-blind readers can tell apart, less yellow and black, plus two."""

REFERENCE_COLOUR = "#8a8a8a"
"""The untouched images, everywhere."""

PAPER_WIDTH = 7.0
"""Inches: the text width of a two-column paper."""

_INK, _QUIET = "#1a1a1a", "#6a6a6a"
_AXIS = {"higher": "{}, higher is better →", "lower": "← lower is better, {}", "none": "{}"}


def model_colours(comparisons: Iterable[Comparison]) -> dict[str, str]:
    """One colour per model for everything in a report; after eight models colours repeat."""
    references: set[str] = set()
    models: dict[str, None] = {}
    for comparison in comparisons:
        references |= comparison.references
        models |= dict.fromkeys(comparison.models)
    ranked = [model for model in models if model not in references]
    colours = {model: PALETTE[i % len(PALETTE)] for i, model in enumerate(ranked)}
    return colours | dict.fromkeys(references, REFERENCE_COLOUR)


def write_plots(comparison: Comparison, colours: Mapping[str, str], folder: Path, stem: str) -> list[Path]:
    """Every plot that the comparison has measures for, each as PNG and PDF: `<folder>/<stem>.<plot>.png`."""
    written = []
    for name, figure in _figures(comparison, colours):
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # laid out once, not again for each file
        for ending in ("png", "pdf"):
            written.append(folder / f"{stem}.{name}.{ending}")
            with replacing(written[-1]) as temporary:
                undated = {"CreationDate": None} if ending == "pdf" else None
                figure.savefig(temporary, dpi=200, metadata=undated)
    return written


def metric_bars(comparison: Comparison, colours: Mapping[str, str]) -> "Figure":
    """A panel per headline measure: bars with 95 % intervals, a dot per latent seed, chance and ceiling."""
    rows, models = comparison.headlines, comparison.models
    columns = min(3, len(rows))
    lines = math.ceil(len(rows) / columns)
    with paper_style():
        figure = new_figure(PAPER_WIDTH, lines * (1.05 + 0.17 * len(models)))
        panels = figure.subplots(lines, columns, squeeze=False)
        for place, (axes, row) in enumerate(zip(panels.flat, rows, strict=False)):
            _bar_panel(axes, row, models, colours)
            if place % columns:
                axes.set_yticklabels([])
        for axes in list(panels.flat)[len(rows) :]:
            axes.set_axis_off()
        return figure


def consistency_realism(consistency: Row, realism: Row, colours: Mapping[str, str]) -> "Figure":
    """Consistency (up) against realism (right), each model named at its point, with 95 % intervals."""
    with paper_style():
        figure = new_figure(PAPER_WIDTH * 0.6, 3.2)
        axes = figure.subplots()
        shared = [model for model in consistency.metrics if model in realism.metrics]
        widest = max(realism.metrics[m].value + _reach(realism, m)[1] for m in shared) or 1.0
        for model in shared:
            near_edge = realism.metrics[model].value < 0.3 * widest
            _point(axes, realism, consistency, model, colours[model], "right" if near_edge else "left")
        for name, level, dashes in _levels(consistency):
            axes.axhline(level, color=_QUIET, linewidth=0.8, linestyle=dashes, zorder=0)
            where = axes.get_yaxis_transform()
            axes.annotate(name, (0.01, level), (0, 2), where, "offset points", color=_QUIET)
        axes.margins(y=0.12)
        axes.set_ylim(bottom=0)
        axes.set_xlim(1.1 * widest, -0.05 * widest)
        axes.set_title("Consistency against realism", loc="left", fontweight="bold")
        axes.set_xlabel(f"Fréchet distance, {realism.key.extractor} ({realism.unit}; more realistic →)")
        axes.set_ylabel(f"mAP with one latent per identity,\n{consistency.key.extractor} (percent; better →)")
        return figure


def _figures(comparison: Comparison, colours: Mapping[str, str]) -> Iterator[tuple[str, "Figure"]]:
    headlines = comparison.headlines
    if headlines:
        yield "metrics", metric_bars(comparison, colours)
    consistencies = [row for row in headlines if row.key.measure == "reid.same_latent.map"]
    realisms = [row for row in headlines if row.key.measure == "fid.value"]
    pairs = [(c, r) for c in consistencies for r in realisms if c.metrics.keys() & r.metrics.keys()]
    for number, pair in enumerate(pairs, start=1):
        suffix = f"_{number}" if len(pairs) > 1 else ""
        yield f"consistency_realism{suffix}", consistency_realism(*pair, colours)


def _point(axes: "Axes", across: Row, up: Row, model: str, colour: str, align: str) -> None:
    x, y = across.metrics[model].value, up.metrics[model].value
    (left, right), (below, above) = _reach(across, model), _reach(up, model)
    axes.errorbar(x, y, [[below], [above]], [[left], [right]], "o", color=colour, elinewidth=1, capsize=2)
    offset = (6 if align == "left" else -6, 5)
    axes.annotate(model, (x, y), offset, textcoords="offset points", ha=align, color=colour)


def _bar_panel(axes: "Axes", row: Row, models: Sequence[str], colours: Mapping[str, str]) -> None:
    import seaborn as sns

    values = [row.metrics[model].value if model in row.metrics else 0.0 for model in models]
    bars = {"hue": list(models), "palette": dict(colours), "saturation": 1, "legend": False, "width": 0.7}
    sns.barplot(x=values, y=list(models), ax=axes, **bars)
    for place, model in enumerate(models):
        if model not in row.metrics:
            absent = axes.annotate("not measured", (0, place), (3, 0), "data", "offset points", va="center")
            absent.set(color=_QUIET, bbox={"color": "white", "pad": 0.5})
            continue
        metric = row.metrics[model]
        below, above = _reach(row, model)
        axes.errorbar(metric.value, place, xerr=[[below], [above]], color=_INK, elinewidth=0.8, capsize=1.5)
        axes.plot(metric.seeds, [place] * len(metric.seeds), "o", color="white", markersize=2, mec=_INK)
    for name, level, dashes in _levels(row):
        axes.axvline(level, color=_QUIET, linewidth=0.8, linestyle=dashes)
        where = axes.get_xaxis_transform()
        axes.annotate(name, (level, 1), (0, 1), where, "offset points", ha="center", color=_QUIET)
    question, _, measure = row.title.rpartition(": ")
    axes.set_title(question or measure, loc="left", fontweight="bold", pad=28)
    lines = textwrap.wrap(f"{measure} ({row.key.extractor})", 42)
    axes.annotate("\n".join(lines), (0, 1), (0, 26), "axes fraction", "offset points", va="top", fontsize=6.5)
    axes.set_xlabel(_AXIS[row.direction].format(row.unit))
    axes.set_ylabel("")


def _reach(row: Row, model: str) -> tuple[float, float]:
    """How far the interval reaches below and above the value; nothing where there is no interval."""
    metric = row.metrics[model]
    low, high = metric.interval or (metric.value, metric.value)
    return max(metric.value - low, 0), max(high - metric.value, 0)


def _levels(row: Row) -> list[tuple[str, float, str]]:
    """Name, value and line style of the levels that frame a measure."""
    metrics = row.metrics.values()
    chance = next((m.chance for m in metrics if m.chance is not None), None)
    ceiling = next((m.ceiling for m in metrics if m.ceiling is not None), None)
    floor = next((m.floor for m in metrics if m.floor is not None), None)
    levels = [("chance", chance, "--"), ("floor", floor, ":"), ("ceiling", ceiling, ":")]
    return [(name, value, dashes) for name, value, dashes in levels if value is not None]


def new_figure(width: float, height: float) -> "Figure":
    """An empty figure of so many inches, without a window."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


@contextmanager
def paper_style() -> Iterator[None]:
    """Small sans-serif type, thin lines, no frame; fonts embedded as text."""
    import matplotlib as mpl
    import seaborn as sns

    settings: dict[Any, Any] = {
        "font.size": 7,
        "axes.titlesize": 8,
        "axes.labelsize": 7,
        "xtick.labelsize": 7,
        "ytick.labelsize": 7,
        "axes.labelcolor": _INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "pdf.fonttype": 42,
    }
    with sns.axes_style("ticks"), mpl.rc_context(settings):
        yield
