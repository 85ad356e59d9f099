"""How well vertex counts tell planted misdetections: the ranking idea of thesis Table A.1, on synthetic people.

Half of the people are shown whole, half as close-ups of some of their body, as FDH shows both. Surfaces are exact,
or found by the surface head as in real photos.

python tools/filter_study.py    # writes results/filters/planted_detections.json, and what docs/data.md shows of it
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from pages import with_blocks
from planted_detections import PLANTS, whole_and_close, with_found_surfaces
from scipy.stats import mannwhitneyu
from torch import Tensor

from anonbench.crops import PersonCrops, resize
from anonbench.metrics.vertices import count_vertices
from anonbench.pipeline.statistics import CRITERIA
from anonbench.template import part_of_vertex

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROOT = Path(__file__).parent.parent
RECORD = ROOT / "results" / "filters" / "planted_detections.json"
FIGURE = ROOT / "docs" / "images" / "filter_roc.png"

COUNT, SIZE, SEED = 320, (288, 160), 0
PLANTED, LOWEST = 0.15, 0.1
"""Share of planted crops in a sample, and the lowest share of it, that is looked at."""
RESAMPLES = 2000
SMALLER = ((144, 80), (72, 40))
"""Sizes at which whole people are counted besides SIZE."""

PAGE = ROOT / "docs" / "data.md"
SOURCES = {"exact": "exact", "found": "from the surface head"}

Values = dict[str, NDArray[np.float64]]


def values_of(surface: Tensor) -> Values:
    """Both criteria for surfaces (B, H, W)."""
    counts = count_vertices(surface, part_of_vertex())
    return {"vertices": counts.vertices.double().numpy(), "vertices_per_part": counts.per_part.numpy()}


def auc(good: NDArray[np.float64], bad: NDArray[np.float64]) -> float:
    """Probability that a bad crop has a lower value than a good one, ties half."""
    return float(mannwhitneyu(good, bad).statistic) / (len(good) * len(bad))


def auc_with_interval(good: Values, bad: Values) -> dict[str, Any]:
    """The AUC of both criteria and their difference, with 95 % intervals: crops are drawn with both versions."""
    rng = np.random.default_rng(SEED)
    n = len(good[CRITERIA[0]])
    draws = [rng.integers(0, n, n) for _ in range(RESAMPLES)]
    resampled = {c: np.array([auc(good[c][rows], bad[c][rows]) for rows in draws]) for c in CRITERIA}
    result: dict[str, Any] = {
        c: {"auc": auc(good[c], bad[c]), "interval": _interval(resampled[c])} for c in CRITERIA
    }
    per_part, total = CRITERIA
    difference = resampled[per_part] - resampled[total]
    result["difference"] = {
        "value": result[per_part]["auc"] - result[total]["auc"],
        "interval": _interval(difference),
    }
    return result


def found_among_lowest(good: Values, bad: Mapping[str, Values]) -> dict[str, Any]:
    """Share of planted crops among the LOWEST, when a share PLANTED of all crops is, of every kind alike.

    Mean over draws of which crops are planted, and the range of 95 % of the draws.
    """
    rng = np.random.default_rng(SEED)
    n = len(good[CRITERIA[0]])
    wrong = {criterion: np.stack([values[criterion] for values in bad.values()]) for criterion in CRITERIA}
    shares: dict[str, list[float]] = {criterion: [] for criterion in CRITERIA}
    for _ in range(RESAMPLES):
        planted = rng.random(n) < PLANTED
        kind = rng.integers(0, len(bad), n)
        for criterion, found in shares.items():
            values = np.where(planted, wrong[criterion][kind, np.arange(n)], good[criterion])
            found.append(float(planted[np.argsort(values, kind="stable")[: round(LOWEST * n)]].mean()))
    per_part, total = (np.array(shares[criterion]) for criterion in CRITERIA)
    return {
        **{c: {"share": float(np.mean(v)), "interval": _interval(np.array(v))} for c, v in shares.items()},
        "difference": {"value": float((per_part - total).mean()), "interval": _interval(per_part - total)},
    }


def study(crops: PersonCrops) -> dict[str, Any]:
    """All results on some crops, as they are stored."""
    rng = torch.Generator().manual_seed(SEED)
    good = values_of(crops.surface)
    bad = {name: values_of(plant(crops, rng)) for name, plant in PLANTS.items()}
    return {
        "crops": len(crops),
        "size": crops.size,
        "seed": SEED,
        "good": {c: _quantiles(good[c]) for c in CRITERIA},
        "planted": {
            name: {
                "medians": {c: float(np.median(values[c])) for c in CRITERIA},
                **auc_with_interval(good, values),
            }
            for name, values in bad.items()
        },
        "lowest": {"planted": PLANTED, "share_looked_at": LOWEST, **found_among_lowest(good, bad)},
        "values": {
            name: {c: np.round(v, 2).tolist() for c, v in values.items()}
            for name, values in {"good": good, **bad}.items()
        },
    }


def _interval(values: NDArray[np.float64]) -> list[float]:
    return [float(v) for v in np.quantile(values, (0.025, 0.975))]


def _quantiles(values: NDArray[np.float64]) -> dict[str, float]:
    return {f"{q:g}": float(np.quantile(values, q)) for q in (0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 1)}


def plot_roc(sources: Mapping[str, Mapping[str, Mapping[str, list[float]]]], path: Path) -> None:
    """A row per source of surfaces, a panel per failure: planted crops dropped over good ones, by threshold."""
    from anonbench.reporting.files import replacing
    from anonbench.reporting.plots import PAPER_WIDTH, new_figure, paper_style

    with paper_style():
        figure = new_figure(PAPER_WIDTH, 1.9 * len(sources))
        panels = figure.subplots(len(sources), len(PLANTS), sharex=True, sharey=True, squeeze=False)
        for (source, values), row in zip(sources.items(), panels, strict=True):
            for axes, kind in zip(row, PLANTS, strict=True):
                _roc_panel(axes, values["good"], values[kind])
                axes.set_title(kind, loc="left")
            row[0].set_ylabel(f"surfaces {source}:\nplanted crops dropped")
        for axes in panels[-1]:
            axes.set_xlabel("good crops dropped")
        with replacing(path) as temporary:
            figure.savefig(temporary, dpi=160)


def _roc_panel(axes: "Axes", good: Mapping[str, list[float]], bad: Mapping[str, list[float]]) -> None:
    from anonbench.reporting.plots import PALETTE

    for criterion, colour in zip(CRITERIA, PALETTE, strict=False):
        kept, wrong = np.sort(good[criterion]), np.sort(bad[criterion])
        steps = np.unique(np.concatenate([kept, wrong]))
        lost = np.searchsorted(kept, steps, side="right") / len(kept)
        found = np.searchsorted(wrong, steps, side="right") / len(wrong)
        label = f"{criterion.replace('_', ' ')}: {auc(kept, wrong):.2f}"
        axes.plot([0, *lost], [0, *found], color=colour, label=label, linewidth=1.2)
    axes.legend(frameon=False, loc="lower right", title="AUC", fontsize=6, title_fontsize=6)


def medians(whole: PersonCrops) -> list[dict[str, Any]]:
    """Medians of both criteria for whole people, by where their surfaces come from and how large they are."""
    height, width = whole.size
    found = {f"exact, {height}x{width}": whole.surface}
    found |= {f"exact, {h}x{w}": resize(whole, (h, w)).surface for h, w in SMALLER}
    found[f"from the surface head, {height}x{width}"] = with_found_surfaces(whole).surface
    return [
        {"surfaces": name, **{c: float(np.nanmedian(v)) for c, v in values_of(surface).items()}}
        for name, surface in found.items()
    ]


def page_with_results(text: str, record: Mapping[str, Any]) -> str:
    """The page with both tables made anew."""
    return with_blocks(text, {"filter-medians": medians_table(record), "filter-roc": roc_table(record)})


def medians_table(record: Mapping[str, Any]) -> str:
    """What a surface of a whole person shows."""
    rows = [
        f"| {row['surfaces']} | {row['vertices']:.0f} | {row['vertices_per_part']:.0f} |"
        for row in record["medians"]
    ]
    return "\n".join(
        ["| surfaces of whole people | vertices | vertices per part |", "| --- | --- | --- |", *rows]
    )


def roc_table(record: Mapping[str, Any]) -> str:
    """The AUC of every kind of failure, and the share of planted crops among the lowest."""
    crops = "; ".join(f"{words}: {record[source]['crops']} crops" for source, words in SOURCES.items())
    head = "| planted | surfaces | `vertices` | `vertices_per_part` | difference |"
    lines = [f"Surfaces {crops}.", "", head, "| --- | --- | --- | --- | --- |"]
    for kind in PLANTS:
        for source, words in SOURCES.items():
            of_kind = record[source]["planted"][kind]
            cells = [_with_interval(of_kind[c]["auc"], of_kind[c]["interval"]) for c in reversed(CRITERIA)]
            cells.append(
                _with_interval(of_kind["difference"]["value"], of_kind["difference"]["interval"], sign="+")
            )
            lines.append(f"| {kind} | {words} | {' | '.join(cells)} |")
    for source, words in SOURCES.items():
        lowest = record[source]["lowest"]
        cells = [_with_interval(lowest[c]["share"], lowest[c]["interval"]) for c in reversed(CRITERIA)]
        cells.append(
            _with_interval(lowest["difference"]["value"], lowest["difference"]["interval"], sign="+")
        )
        lines.append(f"| all kinds: planted among the lowest tenth | {words} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _with_interval(value: float, interval: list[float], sign: str = "") -> str:
    low, high = interval
    return f"{value:{sign}.2f} [{low:{sign}.2f}, {high:{sign}.2f}]"


def main() -> None:
    """Run the study and write record, figure and tables."""
    from anonbench.datasets.synthetic.dataset import SyntheticDataset
    from anonbench.records import write_json

    dataset = SyntheticDataset("train", SIZE, COUNT)
    people = dataset.load(range(COUNT))
    crops = whole_and_close(people)
    result: dict[str, Any] = {
        "command": " ".join(["python", *sys.argv]),
        "data": {"name": dataset.name, "digest": dataset.digest, "crops": COUNT, "close_ups": COUNT // 2},
        "medians": medians(people.select(range(0, COUNT, 2))),
        "exact": study(crops),
        "found": study(with_found_surfaces(crops)),
    }
    write_json(result, RECORD)
    RECORD.chmod(0o644)
    plot_roc({SOURCES[source]: result[source]["values"] for source in SOURCES}, FIGURE)
    PAGE.write_text(page_with_results(PAGE.read_text(), result))


if __name__ == "__main__":
    main()
