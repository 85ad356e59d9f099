"""Make the tables and plots of docs/findings.md from the committed records.

    python tools/findings.py

Records: results/packaged (preset full) and results/studies/<study>. Text between the markers
`<!-- NAME:begin -->` and `<!-- NAME:end -->` is replaced; the rest of the page is prose without numbers.
"""

import json
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from findings_plots import Point, plot_context, plot_losses, plot_progress, plot_tradeoff, plot_training
from pages import with_blocks
from privacy_study import models_table as privacy_models
from privacy_study import records as privacy_records
from scipy.stats import kendalltau

from anonbench.records import Metric, read_record
from anonbench.reporting.labels import OUTCOMES as FATES
from anonbench.reporting.published import published_tables

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "findings.md"
PRESET = "full"

DISTANCE = "fid.value.mobilenet_v2"
RECONSTRUCTED_DISTANCE = "fid.value_reconstructed.mobilenet_v2"
RANDOM = "lpips.random.mobilenet_v2"
RECONSTRUCTED = "lpips.reconstructed.mobilenet_v2"
DIVERSITY = "lpips.diversity.mobilenet_v2"
MAP = "reid.same_latent.map.osnet_synthetic"
FRESH = "reid.fresh_latent.map.osnet_synthetic"
ASSIGNED = "reid.permuted_latent.assigned_map.osnet_synthetic"
OTHER_BACKGROUND = "background_swap.surface_same.template"
TWO_LATENTS = "background_swap.surface_latent.template"
SURFACE = "pose_swap.surface_same.template"

NAIVE = ("blackout", "noise", "gaussian_blur", "pixelate")
ABLATIONS = {
    "ablation_baseline": "StyleGAN Baseline",
    "ablation_base": "Base",
    "ablation_more_maps": "+ more FM resolutions",
    "ablation_co_modulation": "+ co-modulation",
    "ablation_discriminator": "+ impr disc conditioning",
    "ablation_larger": "+ larger model",
}
"""Cards of models/ablations, and the row of thesis Table 5.3 that each stands for."""

Metrics = dict[str, Metric]


@cache
def metrics_of(model: str, study: str = "packaged") -> Metrics:
    """Every metric of a model's committed records."""
    folder = ROOT / "results" / study
    found: Metrics = {}
    for path in sorted(folder.glob(f"{model}.*.{PRESET}.json")):
        found |= read_record(path).metrics
    if not found:
        raise FileNotFoundError(f"no records of {model} in {folder}")
    return found


def where(model: str, study: str) -> str:
    """Ablation rows stand in for the default value of each study."""
    return "packaged" if model in ABLATIONS else f"studies/{study}"


def log_lines(model: str, study: str = "packaged") -> list[dict[str, Any]]:
    """Everything that a training log holds."""
    folder = ROOT / "results" / ("training" if study == "packaged" else study)
    return [json.loads(line) for line in (folder / f"{model}.jsonl").read_text().splitlines()]


def training_log(model: str, study: str = "packaged") -> list[dict[str, float]]:
    """The lines of a training log that hold losses."""
    return [line for line in log_lines(model, study) if "protocols" not in line]


def progress(model: str) -> dict[int, dict[str, float]]:
    """What protocols measured during training, by the number of images seen."""
    return {line["images"]: line["protocols"] for line in log_lines(model) if "protocols" in line}


def training_record(model: str, study: str = "packaged") -> dict[str, float]:
    """What the log of a training run says at its end: means of its last five lines."""
    lines = training_log(model, study)[-5:]
    return {key: float(np.mean([line[key] for line in lines])) for key in lines[-1]}


def cell(metric: Metric | None) -> str:
    """Value with interval, as precise as the interval is."""
    if metric is None:
        return "-"
    digits = decimals(metric)
    text = f"{metric.value:.{digits}f}"
    if metric.interval is not None:
        text += f" [{metric.interval[0]:.{digits}f}, {metric.interval[1]:.{digits}f}]"
    return text


def decimals(metric: Metric) -> int:
    """One for percentages and large distances, more for small ones."""
    if metric.unit == "percent" or abs(metric.value) >= 10:
        return 1
    return 2 if abs(metric.value) >= 1 else 4


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    header = list(header)
    lines = [header, ["---"] * len(header), *[list(row) for row in rows]]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def measured_table(models: dict[str, str], columns: dict[str, str], study: str = "packaged") -> str:
    """Rows of models (card name -> label), columns of metrics (title -> key)."""
    rows = (
        [label, *(cell(metrics_of(name, study).get(key)) for key in columns.values())]
        for name, label in models.items()
    )
    return table(["model", *columns], rows)


def printed_table(name: str) -> str:
    """A table of the thesis as printed."""
    (published,) = published_tables([name])
    rows = ([model, *cells] for model, cells in published.rows)
    return table([published.dataset, *published.columns], rows)


IMAGE_COLUMNS = {
    "Fréchet distance ↓": DISTANCE,
    "perceptual distance": RANDOM,
    "reconstructed ↓": RECONSTRUCTED,
    "diversity ↑": DIVERSITY,
}


def table_5_1() -> str:
    """Baseline and final."""
    ours = measured_table({"baseline": "baseline", "final": "final"}, IMAGE_COLUMNS)
    return f"{ours}\n\nAs printed in the thesis:\n\n{printed_table('thesis_table_5_1')}"


def table_5_2() -> str:
    """Re-identification, with its controls."""
    columns = {
        "mAP, one z each ↑": MAP,
        "rank-1 ↑": MAP.replace(".map.", ".rank1."),
        "mAP, z of a random person, assigned ↑": ASSIGNED,
        "mAP, fresh z": FRESH,
        "same z, other background ↓": OTHER_BACKGROUND,
        "same crop, two z ↑": TWO_LATENTS,
    }
    models = {name: name for name in ("baseline", "final", "original")}
    ours = measured_table(models, columns)
    chance = metrics_of("final")[MAP].chance
    return (
        f"{ours}\n\nChance is {chance:.1f} mAP. As printed in the thesis:\n\n"
        f"{printed_table('thesis_table_5_2')}"
    )


def table_5_3() -> str:
    """The ablations."""
    columns = IMAGE_COLUMNS | {"re-ID mAP ↑": MAP, "same z, other background ↓": OTHER_BACKGROUND,
                               "same crop, two z ↑": TWO_LATENTS}  # fmt: skip
    ours = measured_table(ABLATIONS, columns)
    return f"{ours}\n\nAs printed in the thesis:\n\n{printed_table('thesis_table_5_3')}"


def naive_table() -> str:
    """The generators beside the naive anonymizers."""
    columns = {
        "Fréchet distance ↓": DISTANCE,
        "KID ↓": "fid.kid.mobilenet_v2",
        "coverage ↑": "fid.coverage.mobilenet_v2",
    }
    models = {name: name for name in ("baseline", "final", *NAIVE)}
    best = min(metrics_of(name)[DISTANCE].value for name in NAIVE)
    factors = ", ".join(
        f"{name} by a factor of {best / metrics_of(name)[DISTANCE].value:.1f}"
        for name in ("baseline", "final")
    )
    return f"{measured_table(models, columns)}\n\nThe nearest naive anonymizer is beaten: {factors}."


def progress_table() -> str:
    """Consistency and realism of both models while they were trained."""
    found = {name: progress(name) for name in ("baseline", "final")}
    columns = {"re-ID mAP ↑": MAP, "Fréchet distance ↓": DISTANCE}
    header = ["images", *(f"{name}, {title}" for title in columns for name in found)]
    rows = (
        [f"{images:,}", *(f"{found[name][images][key]:.1f}" for key in columns.values() for name in found)]
        for images in sorted(set.intersection(*map(set, found.values())))
    )
    return table(header, rows)


def lambda_table(study: str, parameter: str, values: dict[str, float]) -> str:
    """One weight swept, the others fixed: what training ended at, and what the model does."""
    rows = []
    for name, value in sorted(values.items(), key=lambda item: item[1]):
        folder = where(name, study)
        metrics, ended = metrics_of(name, folder), training_record(name, folder)
        rows.append([
            f"{value:g}", f"{ended['kl_nats']:.1f}", f"{ended['mu_squared']:.2f}", f"{ended['sigma_squared']:.2f}",
            *(cell(metrics.get(key)) for key in (MAP, DISTANCE, RECONSTRUCTED_DISTANCE, RECONSTRUCTED, DIVERSITY)),
        ])  # fmt: skip
    header = [parameter, "KL (nats)", "mu²", "sigma²", "re-ID mAP ↑", "Fréchet, z drawn ↓",
              "Fréchet, z from the mapper ↓", "reconstructed ↓", "diversity ↑"]  # fmt: skip
    return table(header, rows)


KL = {"kl_0001": 0.001, "ablation_discriminator": 0.01, "kl_01": 0.1}
FM = {"fm_1": 1.0, "ablation_discriminator": 5.0, "fm_20": 20.0}
CONTEXT = {
    "baseline": {"context_0_baseline": 0.0, "context_0_35_baseline": 0.35, "ablation_baseline": 0.7},
    "final": {"context_0_final": 0.0, "context_0_35_final": 0.35, "ablation_discriminator": 0.7},
}


def context_table() -> str:
    """Consistency against the strength with which context tells about appearance in the training data."""
    columns = {
        "re-ID mAP ↑": MAP,
        "same z, other background ↓": OTHER_BACKGROUND,
        "same crop, two z ↑": TWO_LATENTS,
        "Fréchet distance ↓": DISTANCE,
    }
    rows = (
        [
            architecture,
            f"{strength:g}",
            *(cell(metrics_of(model, where(model, "context"))[key]) for key in columns.values()),
        ]
        for architecture, models in CONTEXT.items()
        for model, strength in models.items()
    )
    return table(["architecture", "correlation", *columns], rows)


def tau_text() -> str:
    """Whether LPIPS reconstructed predicts consistency (thesis 5.1 and 6.2)."""
    rows = []
    groups = {
        "ablations with a mapper": [(name, "packaged") for name in list(ABLATIONS)[1:]],
        "and those of the two sweeps below": [(name, "packaged") for name in list(ABLATIONS)[1:]]
        + [(name, "studies/lambda_kl") for name in KL if name not in ABLATIONS]
        + [(name, "studies/lambda_fm") for name in FM if name not in ABLATIONS],
    }
    for label, models in groups.items():
        found = [metrics_of(*model) for model in models]
        result = kendalltau([-m[RECONSTRUCTED].value for m in found], [m[MAP].value for m in found])
        rows.append([label, str(len(found)), f"{result.statistic:.2f}", f"{result.pvalue:.2f}"])
    return table(["models", "n", "Kendall tau", "p"], rows)


OUTCOMES = "studies/outcomes"
OUTCOME_MODELS = {name: name for name in ("baseline", "final")}


def reid(name: str) -> str:
    """The key of a re-ID metric."""
    return f"reid.{name}.osnet_synthetic"


def losses_table() -> str:
    """Whose fault a lost mAP is, under the thesis' detection outcomes."""
    columns = {
        "untouched": reid("original.map"),
        "perfect detection": reid("perfect_detection.map"),
        "ideal generator": reid("ideal_generator.map"),
        "both as they are": reid("same_latent.map"),
        "points lost to the generator": reid("loss.generator"),
        "to the detector": reid("loss.detector"),
        "of these to blurred crops": reid("loss.blurred"),
        "to untouched crops": reid("loss.untouched"),
    }
    return measured_table(OUTCOME_MODELS, columns, OUTCOMES)


def pairs_table() -> str:
    """mAP of the final model for every pair of outcomes, with its ceiling and chance."""
    metrics = metrics_of("final", OUTCOMES)

    def pair(query: str, gallery: str) -> str:
        metric = metrics[reid(f"same_latent.map_{query}_to_{gallery}")]
        return f"{cell(metric)} of {metric.ceiling:.1f}, chance {metric.chance:.1f}"

    rows = ([fate, *(pair(outcome, other) for other in FATES)] for outcome, fate in FATES.items())
    return table(["query", *(f"{fate} gallery" for fate in FATES.values())], rows)


def leakage_table() -> str:
    """What missed detections give away."""
    columns = {
        "perfect detection": reid("perfect_detection.linkage_map"),
        "thesis' outcomes": reid("linkage.map"),
        "points added": reid("linkage.added"),
        "synthesized crops": reid("linkage.map_surface"),
        "blurred crops": reid("linkage.map_mask_only"),
        "untouched crops": reid("linkage.map_none"),
    }
    models = OUTCOME_MODELS | {"gaussian_blur": "gaussian_blur"}
    return measured_table(models, columns, OUTCOMES)


def verdict(high: Metric, low: Metric) -> str:
    """Whether one value is above another, by their 95 % intervals."""
    if high.interval is None or low.interval is None:
        raise ValueError("a claim is decided by intervals, and a metric has none")
    if high.interval[0] > low.interval[1]:
        return "holds"
    return "the opposite" if high.interval[1] < low.interval[0] else "not decided: intervals overlap"


CLAIMS = (
    # (what the thesis says, the metric, the model that must be higher, the model that must be lower)
    ("final keeps identity better (Table 5.2)", MAP, "final", "baseline"),
    ("final is nearer to the original (Table 5.1)", RANDOM, "baseline", "final"),
    ("final is less realistic (Table 5.1)", DISTANCE, "final", "baseline"),
    ("final is less diverse (Table 5.1)", DIVERSITY, "baseline", "final"),
    ("reconstruction improves from Base to the larger model (Table 5.3)", RECONSTRUCTED,
     "ablation_base", "ablation_larger"),
    ("realism improves from Base to the larger model (Table 5.3)", DISTANCE, "ablation_base", "ablation_larger"),
    ("diversity falls from the StyleGAN baseline to the larger model (Table 5.3)", DIVERSITY,
     "ablation_baseline", "ablation_larger"),
    ("improved discriminator conditioning worsens realism (Table 5.3)", DISTANCE,
     "ablation_discriminator", "ablation_co_modulation"),
    ("improved discriminator conditioning: the person changes less with the background (6.2)", OTHER_BACKGROUND,
     "ablation_co_modulation", "ablation_discriminator"),
)  # fmt: skip


def verdicts() -> str:
    """The thesis' findings, one line each."""
    rows = (
        [claim, cell(metrics_of(high)[key]), cell(metrics_of(low)[key]),
         verdict(metrics_of(high)[key], metrics_of(low)[key])]
        for claim, key, high, low in CLAIMS
    )  # fmt: skip
    header = ["the thesis says", "should be higher", "should be lower", "on synthetic people"]
    return table(header, rows)


BLOCKS: dict[str, Callable[[], str]] = {
    "verdicts": verdicts,
    "table-5-1": table_5_1,
    "table-5-2": table_5_2,
    "table-5-3": table_5_3,
    "naive": naive_table,
    "progress": progress_table,
    "lambda-kl": lambda: lambda_table("lambda_kl", "lambda_kl", KL),
    "lambda-fm": lambda: lambda_table("lambda_fm", "lambda_fm", FM),
    "context": context_table,
    "tau": tau_text,
    "losses": losses_table,
    "outcome-pairs": pairs_table,
    "leakage": leakage_table,
    "privacy": lambda: privacy_models(privacy_records()),
}


def page_with_results(text: str) -> str:
    """The page with every block made anew."""
    return with_blocks(text, {name: block() for name, block in BLOCKS.items()})


def tradeoff(study: str, values: dict[str, float]) -> list[Point]:
    """The points of a sweep, in the order of the weight."""
    found = [(value, metrics_of(name, where(name, study))) for name, value in values.items()]
    return [(value, m[DISTANCE], m[RECONSTRUCTED_DISTANCE], m[MAP]) for value, m in found]


def draw_plots() -> None:
    """The pictures of the page."""
    images = ROOT / "docs" / "images"
    curves = {study: tradeoff(study, values) for study, values in (("lambda_kl", KL), ("lambda_fm", FM))}
    plot_tradeoff(curves, images / "findings_tradeoff.png")
    consistency = {
        architecture: [
            (strength, metrics_of(name, where(name, "context"))[MAP]) for name, strength in models.items()
        ]
        for architecture, models in CONTEXT.items()
    }
    plot_context(consistency, images / "findings_context.png")
    plot_losses(
        {name: metrics_of(name, OUTCOMES) for name in OUTCOME_MODELS}, images / "findings_outcomes.png"
    )
    values = {"re-ID mAP, one z per identity (%) ↑": MAP, "Fréchet distance (MobileNetV2) ↓": DISTANCE}
    measured = {name: progress(name) for name in ("baseline", "final")}
    plot_progress(measured, values, images / "findings_progress.png")
    plot_training(
        {name: training_log(name) for name in ("baseline", "final")}, images / "findings_training.png"
    )


if __name__ == "__main__":
    draw_plots()
    PAGE.write_text(page_with_results(PAGE.read_text()))
