"""The two plots of docs/findings.md."""

from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import seaborn as sns

from anonbench.reporting.plots import PALETTE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from anonbench.records import Metric

Curve = list[tuple[float, "Metric", "Metric"]]
"""(parameter, distance, mAP) in the order of the parameter."""


def plot_tradeoff(curves: dict[str, Curve], path: Path) -> None:
    """Consistency against distance, one curve per swept weight (thesis 6.5)."""
    with sns.axes_style("whitegrid"):
        figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    for (label, curve), colour in zip(curves.items(), PALETTE, strict=False):
        _error_bars(axes, curve, colour)
        axes.plot(
            [d.value for _, d, _ in curve], [m.value for *_, m in curve], "o-", color=colour, label=label
        )
        for parameter, distance, consistency in curve:
            axes.annotate(f"{parameter:g}", (distance.value, consistency.value), xytext=(5, 5),
                          textcoords="offset points", color=colour, fontsize=9)  # fmt: skip
    axes.set(xlabel="← Fréchet distance (MobileNetV2), z drawn", ylabel="re-ID mAP, one z per identity (%) →")
    axes.legend(frameon=False)
    _save(figure, path)


def plot_context(curves: dict[str, list[tuple[float, "Metric"]]], path: Path) -> None:
    """mAP against the strength of context in the training data, one curve per architecture."""
    with sns.axes_style("whitegrid"):
        figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
    for (label, curve), colour in zip(curves.items(), PALETTE, strict=False):
        strengths, values = [s for s, _ in curve], [m.value for _, m in curve]
        axes.plot(strengths, values, "o-", color=colour, label=label)
        intervals = [m.interval for _, m in curve if m.interval]
        axes.fill_between(strengths, *zip(*intervals, strict=True), color=colour, alpha=0.15, linewidth=0)
    axes.set(xlabel="context correlation of the training data", ylabel="re-ID mAP, one z per identity (%) →")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    _save(figure, path)


LOSSES = {
    "feature_matching": "feature matching",
    "kl_nats": "KL divergence (nats)",
    "mu_squared": "mean mu²",
    "sigma_squared": "mean sigma²",
    "real_logit": "logit of real images",
    "fake_logit": "logit of generated images",
}
"""What a training log holds, and its name on a plot."""


def plot_training(logs: dict[str, list[dict[str, float]]], path: Path) -> None:
    """What happened in training, a panel per quantity, a line per model."""
    with sns.axes_style("whitegrid"):
        figure, panels = plt.subplots(2, 3, figsize=(9, 4.6), layout="constrained", sharex=True)
    for axes, (key, title) in zip(panels.flat, LOSSES.items(), strict=True):
        for (label, lines), colour in zip(logs.items(), PALETTE, strict=False):
            points = [(line["images"] / 1000, line[key]) for line in lines if key in line]
            if points:
                axes.plot(*zip(*points, strict=True), color=colour, label=label, linewidth=1)
        axes.set_title(title, fontsize=10)
    for axes in panels[1]:
        axes.set_xlabel("thousand images")
    panels[1, 1].legend(frameon=False, fontsize=8)
    _save(figure, path)


def _error_bars(axes: "Axes", curve: Curve, colour: str) -> None:
    for _, distance, consistency in curve:
        if distance.interval and consistency.interval:
            axes.plot(distance.interval, [consistency.value] * 2, color=colour, alpha=0.4, linewidth=1)
            axes.plot([distance.value] * 2, consistency.interval, color=colour, alpha=0.4, linewidth=1)


def _save(figure: "plt.Figure", path: Path) -> None:
    figure.savefig(path, dpi=150)
    plt.close(figure)
