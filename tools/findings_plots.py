"""The plots of docs/findings.md."""

from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import seaborn as sns

from anonbench.reporting.plots import PALETTE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from anonbench.records import Metric

Point = tuple[float, "Metric", "Metric", "Metric"]
"""(weight, distance with z drawn, distance with z from the mapper, mAP)"""


def plot_tradeoff(sweeps: dict[str, list[Point]], path: Path) -> None:
    """Consistency against distance over the weight of a loss, a panel per weight (thesis 6.5)."""
    with sns.axes_style("whitegrid"):
        figure, panels = plt.subplots(
            1, len(sweeps), figsize=(10, 4), layout="constrained", sharex=True, sharey=True
        )
    for axes, (weight, points) in zip(panels, sweeps.items(), strict=True):
        for column, label, colour in ((1, "z drawn", PALETTE[0]), (2, "z from the mapper", PALETTE[1])):
            _curve(axes, [(point[0], point[column], point[3]) for point in points], label, colour)
        axes.set(title=weight, xlabel="← Fréchet distance (MobileNetV2)")
    panels[0].set_ylabel("re-ID mAP, one z per identity (%) →")
    panels[0].legend(frameon=False)
    _save(figure, path)


def plot_context(curves: dict[str, list[tuple[float, "Metric"]]], path: Path) -> None:
    """Consistency against the strength of context in the training data, a line per architecture."""
    with sns.axes_style("whitegrid"):
        figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
    for (label, points), colour in zip(curves.items(), PALETTE, strict=False):
        strengths = [strength for strength, _ in points]
        axes.plot(strengths, [metric.value for _, metric in points], "o-", color=colour, label=label)
        intervals = [metric.interval for _, metric in points if metric.interval]
        axes.fill_between(strengths, *zip(*intervals, strict=True), color=colour, alpha=0.15, linewidth=0)
    axes.set(xlabel="context correlation of the training data", ylabel="re-ID mAP, one z per identity (%) →")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    _save(figure, path)


SHARES = {
    "same_latent.map": ("left", "#c8c8c8"),
    "loss.generator": ("lost to the generator", PALETTE[1]),
    "loss.blurred": ("lost to blurred crops", PALETTE[0]),
    "loss.untouched": ("lost to untouched crops", PALETTE[4]),
}
"""Parts of the mAP of the untouched images, with name and colour."""


def plot_losses(models: dict[str, dict[str, "Metric"]], path: Path) -> None:
    """Where the mAP of the untouched images went, a bar per model."""
    with sns.axes_style("whitegrid", {"axes.grid.axis": "x"}):
        figure, axes = plt.subplots(figsize=(8, 2.2), layout="constrained")
    for place, metrics in enumerate(models.values()):
        start = 0.0
        for part, (label, colour) in SHARES.items():
            metric = metrics[f"reid.{part}.osnet_synthetic"]
            axes.barh(place, metric.value, left=start, color=colour, label=None if place else label)
            dark = part in ("loss.generator", "loss.blurred")
            axes.text(
                start + metric.value / 2, place, f"{metric.value:.1f}", ha="center", va="center",
                fontsize=9, color="white" if dark else "black",
            )  # fmt: skip
            start += metric.value
    axes.set_yticks(range(len(models)), list(models))
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("re-ID mAP (%), from nothing to that of the untouched images")
    axes.legend(frameon=False, fontsize=9, ncols=len(SHARES), loc="lower center", bbox_to_anchor=(0.5, 1.0))
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


def plot_progress(models: dict[str, dict[int, dict[str, float]]], values: dict[str, str], path: Path) -> None:
    """Values of protocols over the images seen in training, a panel per value, a line per model.

    models: by name, then by images, metric keys and values. values: title of a panel and the key it shows.
    """
    with sns.axes_style("whitegrid"):
        figure, panels = plt.subplots(1, len(values), figsize=(9, 3.2), layout="constrained")
    for axes, (title, key) in zip(panels, values.items(), strict=True):
        for (label, found), colour in zip(models.items(), PALETTE, strict=False):
            thousands = [images / 1000 for images in found]
            axes.plot(
                thousands, [m[key] for m in found.values()], "o-", color=colour, label=label, markersize=4
            )
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("thousand images")
    panels[0].legend(frameon=False)
    _save(figure, path)


def _curve(axes: "Axes", points: list[tuple[float, "Metric", "Metric"]], label: str, colour: str) -> None:
    """Points (weight, distance, mAP), joined, with their intervals and weights."""
    axes.plot([d.value for _, d, _ in points], [m.value for *_, m in points], "o-", color=colour, label=label)
    for weight, distance, consistency in points:
        _error_bars(axes, distance, consistency, colour)
        axes.annotate(f"{weight:g}", (distance.value, consistency.value), xytext=(6, 6),
                      textcoords="offset points", color=colour, fontsize=9)  # fmt: skip


def _error_bars(axes: "Axes", distance: "Metric", consistency: "Metric", colour: str) -> None:
    if distance.interval and consistency.interval:
        axes.plot(distance.interval, [consistency.value] * 2, color=colour, alpha=0.4, linewidth=1)
        axes.plot([distance.value] * 2, consistency.interval, color=colour, alpha=0.4, linewidth=1)


def _save(figure: "plt.Figure", path: Path) -> None:
    figure.savefig(path, dpi=150)
    plt.close(figure)
