"""How often `anonbench check` cries wolf, and what it finds: real models, reseeded and made worse on purpose.

    python tools/check_study.py baseline 3 20
    python tools/check_study.py final 3 20
    python tools/check_study.py baseline 9 6

A model is measured with disjoint sets of so many latent seeds: one as baseline, and so many reseedings. A mere
reseeding must pass. A drop is planted by giving some images the features of an anonymization with a latent of
their own, so many that mAP with one latent per identity falls by so many points; it must be found in the baseline's
own seeds, and in each of the others. Writes results/check/MODEL.reid.PRESET.SEEDS.json, and the table of docs/check.md.
"""

import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pages import with_blocks

from anonbench.protocols.crops import detected
from anonbench.protocols.generation import Generation
from anonbench.protocols.reid import GeneratedFeatures, score
from anonbench.protocols.reid_labels import Integers, Labels
from anonbench.protocols.reid_rankings import Features, Scores, search
from anonbench.protocols.runner import Request, resolve, run
from anonbench.records import Record, write_json
from anonbench.reporting.files import write_text
from anonbench.reporting.regression import ALPHA, check

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "results" / "check"
PAGE = ROOT / "docs" / "check.md"
PRESET = "demo"
DROPS = (1.0, 2.0, 3.0, 5.0)
RESAMPLES = 500
PROBE = "reid.same_latent.map"


@dataclass(frozen=True)
class Planted:
    """Features with one latent per identity, but for a share of the images: `FeatureSets` of that setting alone."""

    features: GeneratedFeatures
    share: float

    @property
    def seeds(self) -> range:
        """Latent seeds."""
        return self.features.seeds

    def original(self) -> Features | None:
        """Not planted."""
        return None

    def same_latent(self, seed: int) -> Features:
        """With the features of fresh latents in some places: more of them as the share grows."""
        same, fresh = self.features.same_latent(seed), self.features.fresh_latent(seed)
        chosen = np.random.default_rng(seed).random(len(same)) < self.share
        return np.where(chosen[:, None], same if fresh is None else fresh, same)

    def fresh_latent(self, seed: int) -> Features | None:
        """Not planted."""
        return None

    def permuted_latent(self, seed: int) -> tuple[Features, Integers] | None:
        """Not planted."""
        return None


class Study:
    """One model on re-identification: its records under any seeds, whole or with a planted drop."""

    def __init__(self, model: str, seeds: int, folder: Path) -> None:
        self.folder = folder
        self.plan = resolve(Request("reid", model, preset=PRESET, seeds=seeds))
        self.record, _ = run(self.plan)
        crops = detected(self.plan.dataset)
        self.generation = Generation(self.plan.model, crops)
        self.labels = Labels.of(crops.samples, crops.outcome)
        (self.extractor,) = self.plan.extractors
        self.probe = f"{PROBE}.{self.extractor.name}"

    def features(self, repeat: int) -> GeneratedFeatures:
        """Those of one set of seeds; no two sets share one."""
        count = self.plan.preset.seeds
        return GeneratedFeatures(self.generation, self.extractor, range(repeat * count, (repeat + 1) * count))

    def scores(self, features: GeneratedFeatures | Planted) -> Scores:
        """As the protocol gives them."""
        return score(features, self.labels, self.extractor.name, RESAMPLES)

    def share_for(self, drop: float, repeat: int) -> float:
        """The share of images that makes the probe fall by so many points in one set of seeds."""
        features = self.features(repeat)
        goal = self._probe(Planted(features, 0.0)) - drop
        low, high = 0.0, 1.0
        for _ in range(9):
            middle = (low + high) / 2
            if self._probe(Planted(features, middle)) > goal:
                low = middle
            else:
                high = middle
        return high

    def _probe(self, features: Planted) -> float:
        """The probe alone, without the intervals that take most of the time."""
        images = [features.same_latent(seed) for seed in features.seeds]
        return float(np.mean([np.nanmean(search(i, i, self.labels).average_precision) for i in images]))

    def source(self, name: str, parts: Sequence[Scores]) -> tuple[Record, Path]:
        """A record with the metrics of several scores; of equal metrics the last counts."""
        joined = Scores.joined(parts)
        rows = {str(part["metric"].iloc[0]): part for part in joined.samples}
        pd.concat(rows.values()).to_parquet(self.folder / f"{name}.parquet")
        changed = {"metrics": joined.metrics, "samples": f"{name}.parquet"}
        return self.record.model_copy(update=changed), self.folder


def study(model: str, seeds: int, reseedings: int, folder: Path) -> dict[str, Any]:
    """Which checks failed over which metrics."""
    subject = Study(model, seeds, folder)
    whole = [subject.scores(subject.features(repeat)) for repeat in range(reseedings + 1)]
    sources = [subject.source(f"reseeded_{i}", [scores]) for i, scores in enumerate(whole)]
    values = [w.metrics[subject.probe].value for w in whole]
    return {
        "model": model,
        "preset": PRESET,
        "alpha": ALPHA,
        "probe": subject.probe,
        "seeds_per_record": seeds,
        "reseedings": reseedings,
        "value_per_reseeding": values,
        "metrics_tested": sum(metric.direction != "none" for metric in whole[0].metrics.values()),
        "fell_in_reseedings": [_fallen(sources[0], now) for now in sources[1:]],
        "fell_in_reseedings_without_samples": [_fallen(_bare(sources[0]), _bare(now)) for now in sources[1:]],
        "drops": [_drop(subject, points, whole, sources) for points in DROPS],
        "commit": subject.record.environment.git_commit,
    }


def _drop(
    subject: Study, points: float, whole: Sequence[Scores], sources: Sequence[tuple[Record, Path]]
) -> dict[str, Any]:
    shares, found, lost = [], [], []
    for repeat, scores in enumerate(whole):
        shares.append(subject.share_for(points, repeat))
        planted = subject.scores(Planted(subject.features(repeat), shares[-1]))
        source = subject.source("planted", [scores, planted])
        lost.append(scores.metrics[subject.probe].value - planted.metrics[subject.probe].value)
        pairs = [(sources[repeat], source), (sources[0], source), (_bare(sources[0]), _bare(source))]
        found.append([subject.probe in _fallen(before, now) for before, now in pairs])
    print(f"{points} points: {np.mean(lost):.2f} lost, found {np.mean(found, axis=0)}", file=sys.stderr)
    same, reseeded, bare = zip(*found, strict=True)
    return {
        "points": points,
        "lost": float(np.mean(lost)),
        "share_of_images": float(np.mean(shares)),
        "cases": len(same),
        "found_with_the_same_seeds": sum(same),
        "reseeded_cases": len(reseeded) - 1,
        "found_with_other_seeds": sum(reseeded[1:]),
        "found_with_other_seeds_without_samples": sum(bare[1:]),
    }


def _fallen(baseline: tuple[Record, Path], current: tuple[Record, Path]) -> list[str]:
    return [change.key for change in check([baseline], [current]) if change.status == "worse"]


def _bare(source: tuple[Record, Path]) -> tuple[Record, Path]:
    record, folder = source
    return record.model_copy(update={"samples": None}), folder


def page_with_results(text: str) -> str:
    """The page with the table of everything in results/check between its markers."""
    studies = [json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))]
    return with_blocks(text, {"study": _table(studies)})


def _table(studies: Sequence[dict[str, Any]]) -> str:
    header = [
        "model",
        "seeds",
        "mere reseedings that fail",
        "planted drop",
        "found, same seeds",
        "found, other seeds",
    ]
    header.append("found, other seeds, no samples")
    lines = [header, [":--", *["--:"] * (len(header) - 1)]]
    for found in studies:
        failed = sum(map(bool, found["fell_in_reseedings"]))
        for number, drop in enumerate(found["drops"]):
            others = drop["reseeded_cases"]
            lines.append(
                [
                    found["model"] if number == 0 else "",
                    str(found["seeds_per_record"]) if number == 0 else "",
                    f"{failed} of {found['reseedings']}" if number == 0 else "",
                    f"{drop['lost']:.1f} points",
                    f"{drop['found_with_the_same_seeds']} of {drop['cases']}",
                    f"{drop['found_with_other_seeds']} of {others}",
                    f"{drop['found_with_other_seeds_without_samples']} of {others}",
                ]
            )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    name, seeds_each, repeats = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    with tempfile.TemporaryDirectory() as scratch:
        result = study(name, seeds_each, repeats, Path(scratch))
    write_json(result, RESULTS / f"{name}.reid.{PRESET}.{seeds_each}.json")
    write_text(page_with_results(PAGE.read_text()), PAGE)
