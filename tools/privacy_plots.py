"""The plot of docs/privacy.md."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import seaborn as sns
from matplotlib.ticker import FixedLocator, NullLocator

from anonbench.reporting.plots import PALETTE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from anonbench.records import Metric

AXES = {"gaussian_blur": "sigma of the blur (px of 72)", "pixelate": "side of the blocks (px of 72)"}


@dataclass(frozen=True)
class Curve:
    """mAP over the strength of an anonymizer."""

    label: str
    sizes: Sequence[float]
    metrics: Sequence["Metric"]


@dataclass(frozen=True)
class Level:
    """A horizontal line: the trained attacker on something without strength. label: may be empty."""

    label: str
    metric: "Metric"


def plot_leakage(
    panels: Mapping[str, Mapping[str, Sequence[Curve]]], levels: Mapping[str, Sequence[Level]], path: Path
) -> None:
    """A row per family, a column per direction; bands are 95 % intervals over people."""
    families = list(next(iter(panels.values())))
    with sns.axes_style("whitegrid"):
        figure, grid = plt.subplots(
            len(families), len(panels), figsize=(11, 6.2), layout="constrained", sharey=True
        )
    for column, (direction, by_family) in enumerate(panels.items()):
        for row, family in enumerate(families):
            axes = grid[row, column]
            for curve, colour in zip(by_family[family], PALETTE, strict=False):
                _draw(axes, curve, colour)
            for level in levels[direction]:
                axes.axhline(level.metric.value, color="0.45", linewidth=1, linestyle=(0, (4, 3)))
                axes.annotate(
                    level.label,
                    (0.02, level.metric.value),
                    xycoords=("axes fraction", "data"),
                    xytext=(0, 3),
                    textcoords="offset points",
                    fontsize=8,
                    color="0.35",
                )
            axes.set(xscale="log", xlabel=AXES[family], ylim=(0, 100))
            axes.xaxis.set_major_locator(FixedLocator(list(by_family[family][0].sizes)))
            axes.xaxis.set_minor_locator(NullLocator())
            axes.set_xticklabels([f"{size:g}" for size in by_family[family][0].sizes])
        grid[0, column].set_title(direction, fontsize=11)
    for row in range(len(families)):
        grid[row, 0].set_ylabel("mAP (%), lower is more private")
    grid[0, -1].legend(frameon=False, loc="upper right", bbox_to_anchor=(1, 0.9))
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _draw(axes: "Axes", curve: Curve, colour: str) -> None:
    axes.plot(curve.sizes, [m.value for m in curve.metrics], "o-", color=colour, label=curve.label)
    intervals = [m.interval or (m.value, m.value) for m in curve.metrics]
    low, high = zip(*intervals, strict=True)
    axes.fill_between(curve.sizes, low, high, color=colour, alpha=0.15, linewidth=0)
