"""Does leakage fall as anonymization gets stronger? Blur of growing radius, blocks of growing size, and the models.

    python tools/privacy_study.py            # runs what is missing, then writes tables and plot of docs/privacy.md
    python tools/privacy_study.py --page     # tables and plot only

Cards of the graded anonymizers and the records go to results/studies/privacy.
"""

import argparse
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

from pages import with_blocks
from privacy_plots import Curve, Level, plot_leakage

from anonbench.records import Metric, Record, read_record

ROOT = Path(__file__).parent.parent
STUDY = ROOT / "results" / "studies" / "privacy"
PAGE = ROOT / "docs" / "privacy.md"
PRESET = "demo"
HEIGHT = 72
"""Crop height of the preset in pixels: sizes below are pixels of it."""

SIGMAS = (0.5, 1, 2, 4, 8, 16)
SIDES = (2, 4, 8, 12, 24, 72)
FAMILIES: dict[str, tuple[str, dict[str, float]]] = {
    "gaussian_blur": ("sigma", {f"blur_{sigma:g}px".replace(".", "_"): sigma / HEIGHT for sigma in SIGMAS}),
    "pixelate": ("blocks", {f"blocks_{side}px": HEIGHT // side for side in SIDES}),
}
"""Kind -> the option that is graded, and card name -> its value."""
ENDS = ("original", "blackout")
MODELS = ("baseline", "final")
ATTACKER = "osnet"
"""Retrained for the models; heads alone tell enough about the naive anonymizers."""
COMMAND = "python tools/privacy_study.py"

DIRECTIONS = {
    "anonymized_query": "anonymized query, untouched gallery",
    "original_query": "untouched query, anonymized gallery",
    "anonymized": "anonymized query and gallery",
}
EXTRACTOR = "osnet_synthetic"


def write_cards() -> dict[str, str]:
    """A card for every strength. Returns what to give to --model, by name, in the order of the runs."""
    models = {name: name for name in (*ENDS, *MODELS)}
    for kind, (option, values) in FAMILIES.items():
        for name, value in values.items():
            path = STUDY / f"{name}.yaml"
            text = (
                f"name: {name}\nkind: {kind}\ndescription: Of the privacy study.\n"
                f"options:\n  {option}: {value:.6g}\n"
            )
            path.write_text(text)
            models[name] = str(path)
    return models


def run_missing() -> None:
    """Measure every model whose record is not there; what is stored in the cache is not computed again."""
    from anonbench.protocols.runner import Request, export, resolve, run

    STUDY.mkdir(parents=True, exist_ok=True)
    for name, model in write_cards().items():
        if not record_path(name).exists():
            attacker = ATTACKER if name in MODELS else ""
            record, folder = run(resolve(Request("privacy", model, preset=PRESET, attacker=attacker)))
            shown: dict[str, Any] = {"command": COMMAND, "samples": None, "galleries": {}}
            export(record.model_copy(update=shown), folder, STUDY)


def record_path(name: str) -> Path:
    """Where the record of a model lies."""
    return STUDY / f"{name}.privacy.synthetic-reid.{PRESET}.json"


def records() -> dict[str, Record]:
    """Every record of the study, by model."""
    found = [read_record(path) for path in sorted(STUDY.glob("*.json"))]
    return {record.model.name: record for record in found}


def cell(metric: Metric | None) -> str:
    """Value with interval."""
    if metric is None:
        return "-"
    low, high = metric.interval or (metric.value, metric.value)
    return f"{metric.value:.1f} [{low:.1f}, {high:.1f}]"


def table(header: list[str], rows: Iterable[list[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def graded_table(found: dict[str, Record]) -> str:
    """Strength downwards; the untrained network and the trained attacker in every direction."""
    names = ["original", *FAMILIES["gaussian_blur"][1], *FAMILIES["pixelate"][1], "blackout", *MODELS]
    keys = [
        f"privacy.{direction}.{statistic}.{EXTRACTOR}"
        for direction in DIRECTIONS
        for statistic in ("map", "trained_map")
    ]
    header = ["", *(f"{words}, {who}" for words in DIRECTIONS.values() for who in ("as it comes", "trained"))]
    return table(header, ([label(name), *(cell(found[name].metrics.get(k)) for k in keys)] for name in names))


def label(name: str) -> str:
    """What a reader calls an anonymizer."""
    for prefix, words in (("blur_", "blur, sigma"), ("blocks_", "blocks of")):
        if name.startswith(prefix):
            return f"{words} {name.removeprefix(prefix).removesuffix('px').replace('_', '.')} px"
    return name


def monotony_table(found: dict[str, Record]) -> str:
    """Per family, direction and attacker: whether the value falls at each step, and by how much it ever rises."""
    rows = []
    for kind, (_, values) in FAMILIES.items():
        for direction, words in DIRECTIONS.items():
            for statistic, who in (("map", "as it comes"), ("trained_map", "trained")):
                key = f"privacy.{direction}.{statistic}.{EXTRACTOR}"
                metrics = [found[n].metrics[key] for n in ("original", *values, "blackout")]
                rows.append([kind, words, who, *verdict(metrics)])
    return table(["family", "direction", "attacker", "falls at", "largest rise"], rows)


def verdict(metrics: list[Metric]) -> list[str]:
    """Of a sequence from weak to strong: the steps that fall, and the largest rise (0: monotone)."""
    steps = [b.value - a.value for a, b in pairwise(metrics)]
    return [f"{sum(step <= 0 for step in steps)} of {len(steps)}", f"{max(0.0, *steps):.1f}"]


def models_table(found: dict[str, Record]) -> str:
    """Baseline and final: chance, attackers, and what training them gains."""
    rows = []
    for name in MODELS:
        for direction, words in DIRECTIONS.items():
            metrics, base = found[name].metrics, f"privacy.{direction}"
            chance = metrics[f"{base}.map.{EXTRACTOR}"].chance
            ours = [f"{base}.{s}.{EXTRACTOR}" for s in ("map", "trained_map", "advantage", "over_chance")]
            again = [f"{base}.{s}.osnet_retrained" for s in ("trained_map", "advantage")]
            rows.append([name, words, f"{chance:.1f}", *(cell(metrics.get(key)) for key in ours + again)])
    header = ["model", "direction", "chance", "as it comes", "trained", "advantage", "above chance",
              "OSNet retrained", "its advantage"]  # fmt: skip
    return table(header, rows)


def mapper_table(found: dict[str, Record]) -> str:
    """What copying z from the mapper gives away, beside a z that was drawn."""
    metrics = found["final"].metrics
    compared = {
        ("z drawn", "anonymized image against originals"): ("anonymized_query", EXTRACTOR),
        ("z from the mapper", "anonymized image against originals"): ("mapper", EXTRACTOR),
        ("z from the mapper", "z against z"): ("mapper", "latent"),
    }
    rows = (
        [
            *words,
            *(cell(metrics[f"privacy.{setting}.{statistic}.{seen}"]) for statistic in ("map", "trained_map")),
        ]
        for words, (setting, seen) in compared.items()
    )
    return table(["", "what is compared", "as it comes", "trained"], rows)


def shape_table(found: dict[str, Record]) -> str:
    """What mask, keypoints and surface tell by themselves."""
    metrics = found["final"].metrics
    rows = ([name, *(cell(metrics[f"privacy.shape.{s}.{name}"]) for s in ("map", "rank1"))]
            for name in ("mask", "keypoints", "surface", "shape"))  # fmt: skip
    return table(["seen", "mAP", "rank-1"], rows)


def attribute_table(found: dict[str, Record]) -> str:
    """Balanced accuracy of every attribute."""
    shown = ["original", "blur_2px", "blur_8px", "blocks_8px", "blackout", *MODELS]
    keys = [k for k in found["original"].metrics if k.startswith("privacy.attributes.")]
    chance = {k: found["original"].metrics[k].chance or 0.0 for k in keys}
    rows = ([k.split(".")[2], f"{chance[k]:.1f}", *(cell(found[n].metrics[k]) for n in shown)] for k in keys)
    return table(["attribute", "chance", *(label(n) for n in shown)], rows)


BLOCKS: dict[str, Callable[[dict[str, Record]], str]] = {
    "models": models_table,
    "graded": graded_table,
    "monotony": monotony_table,
    "mapper": mapper_table,
    "shape": shape_table,
    "attributes": attribute_table,
}


def page_with_results(text: str, found: dict[str, Record]) -> str:
    """The page with every table made anew between its markers."""
    return with_blocks(text, {name: block(found) for name, block in BLOCKS.items()})


def draw(found: dict[str, Record]) -> None:
    """Leakage over strength, a panel per direction and family."""
    panels: dict[str, dict[str, list[Curve]]] = {}
    for direction, words in DIRECTIONS.items():
        panels[words] = {}
        for (kind, (_, values)), sizes in zip(FAMILIES.items(), (SIGMAS, SIDES), strict=True):
            panels[words][kind] = [
                Curve(who, sizes, [found[n].metrics[f"privacy.{direction}.{s}.{EXTRACTOR}"] for n in values])
                for s, who in (("map", "network as it comes"), ("trained_map", "trained attacker"))
            ]
    # Blackout and final are too near to each other for two labels.
    lines = {"original": "original", "blackout": "blackout, final", "final": ""}
    levels = {
        words: [
            Level(label, found[name].metrics[f"privacy.{direction}.trained_map.{EXTRACTOR}"])
            for name, label in lines.items()
        ]
        for direction, words in DIRECTIONS.items()
    }
    plot_leakage(panels, levels, ROOT / "docs" / "images" / "privacy_leakage.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description="Leakage over strength: runs, tables and plot of docs/privacy.md."
    )
    parser.add_argument("--page", action="store_true", help="only write tables and plot from the records")
    if not parser.parse_args().page:
        run_missing()
    measured = records()
    PAGE.write_text(page_with_results(PAGE.read_text(), measured))
    draw(measured)
