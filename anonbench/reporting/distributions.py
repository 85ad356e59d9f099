"""Plots of how a value is distributed over crops (thesis Figure A.6)."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from numpy.typing import ArrayLike

from anonbench.errors import UsageError
from anonbench.reporting.files import replacing
from anonbench.reporting.plots import PALETTE, PAPER_WIDTH, new_figure, paper_style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ENDINGS = (".pdf", ".png")


def cumulative(groups: Mapping[str, ArrayLike], label: str) -> "Figure":
    """The share of crops with at most this value, a curve per group. label: what the values are."""
    import seaborn as sns

    with paper_style():
        figure = new_figure(PAPER_WIDTH * 0.6, 2.8)
        axes = figure.subplots()
        for (name, values), colour in zip(groups.items(), PALETTE, strict=False):
            sns.ecdfplot(x=values, ax=axes, color=colour, label=name, linewidth=1.2)
        axes.set_xlabel(label)
        axes.set_ylabel("share of crops with at most as many")
        axes.set_xlim(left=0)
        axes.legend(frameon=False, loc="lower right")
        return figure


def write_cumulative(groups: Mapping[str, ArrayLike], label: str, path: Path) -> Path:
    """Write `cumulative` as PNG or PDF, by the ending of `path` (`require_plot_ending`)."""
    figure = cumulative(groups, label)
    undated = {"CreationDate": None} if path.suffix.lower() == ".pdf" else None
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=200, metadata=undated)
    return path


def require_plot_ending(path: Path) -> None:
    """Raises UsageError unless the file's name ends in one of ENDINGS."""
    if path.suffix.lower() not in ENDINGS:
        raise UsageError(f"{path}: plots are written as .png or .pdf; change the ending")
