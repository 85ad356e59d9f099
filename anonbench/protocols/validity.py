"""The validity study: do the measures see what they are for, and how small a difference do they resolve?

The thesis leaves open how consistency is to be evaluated (RQ4, 6.2, 7.2.2). Here faults of known strength are
planted, and every measure is judged by what it says about them. See docs/validity.md.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

from anonbench.anonymizers.base import Anonymizer, CheckedAnonymizer
from anonbench.anonymizers.registry import load_anonymizer
from anonbench.errors import UsageError
from anonbench.features.base import Extractor, Kind, PerceptualExtractor
from anonbench.features.extractors import EXTRACTORS, load_extractor, load_perceptual
from anonbench.protocols.crops import detected
from anonbench.protocols.environment import data_run, environment, model_run
from anonbench.protocols.generation import Generation
from anonbench.protocols.validity_consistency import Distributions, Pairs, Retrieval, Tracks
from anonbench.protocols.validity_curves import curves_of, five_points
from anonbench.protocols.validity_pairs import (
    across_backgrounds,
    across_cameras,
    along_tracks,
)
from anonbench.protocols.validity_planting import Sweep, planted_pairs
from anonbench.protocols.validity_quality import FAULTS, Quality
from anonbench.records import DataRun
from anonbench.reporting.validity_record import INCONSISTENCY, Curve, FivePoints, ValidityRecord

EXTRACTOR_OF: dict[Kind, str] = {
    "reid": "osnet_synthetic", "distribution": "mobilenet_v2", "perceptual": "perceptual_mobilenet_v2",
}  # fmt: skip
CONTROL_LEVELS = (0.0, 0.2, 0.5, 1.0)
SIZE = (72, 40)
"""(H, W) of the crops, at which the packaged generators work."""
Made = TypeVar("Made")


@dataclass(frozen=True)
class Preset:
    """How large a study is.

    people: of `reid`, 7 images each. controls: people of them for the distribution distances. swaps: people of
    `background_swap`, 24 images each. clips: of `walks`, 16 frames each. crops: of `val`. faults: kinds of damage.
    benchmarks: how many of each size are simulated at least. five_points: people of that comparison.
    """

    people: int
    controls: int
    swaps: int
    clips: int
    crops: int
    benchmarks: int
    five_points: int
    faults: tuple[str, ...] = tuple(fault.name for fault in FAULTS)


PRESETS = {
    "smoke": Preset(
        people=8, controls=4, swaps=2, clips=2, crops=16, benchmarks=4, five_points=8, faults=("blur_inside",)
    ),
    "demo": Preset(people=60, controls=30, swaps=8, clips=12, crops=100, benchmarks=20, five_points=60),
    "full": Preset(people=400, controls=60, swaps=24, clips=40, crops=240, benchmarks=80, five_points=200),
}


@dataclass
class Study:
    """A model, a preset and the extractors; `run` makes the record.

    Raises UsageError for an unknown model, preset or extractor before anything is computed.
    """

    model: Anonymizer
    preset_name: str
    reid: Extractor
    distribution: Extractor
    perceptual: PerceptualExtractor
    command: str = ""
    data: dict[str, DataRun] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, model: str, preset: str, extractors: tuple[str, ...] = (), command: str = "") -> "Study":
        """From the names that a user gives; extractors replace the packaged one of their kind."""
        if preset not in PRESETS:
            raise UsageError(f"validate has no preset '{preset}'; there are: {', '.join(PRESETS)}")
        chosen = _chosen(extractors)
        return cls(
            load_anonymizer(model), preset, load_extractor(chosen["reid"]), load_extractor(chosen["distribution"]),
            load_perceptual(chosen["perceptual"]), command,
        )  # fmt: skip

    @property
    def preset(self) -> Preset:
        """The sizes."""
        return PRESETS[self.preset_name]

    def run(self) -> ValidityRecord:
        """Every sweep that the model allows: a model without latents has nothing to plant inconsistency with."""
        curves, tests = self._consistency() if self.model.card.latent_dim is not None else ([], [])
        curves += self._quality()
        used = (self.reid, self.distribution, self.perceptual)
        return ValidityRecord(
            model=model_run(self.model.card),
            preset=self.preset_name,
            data=tuple(self.data.values()),
            extractors={extractor.name: extractor.digest for extractor in used},
            curves=tuple(curves),
            five_points=tuple(tests),
            environment=environment("cpu"),
            seconds={stage: round(value, 1) for stage, value in self.seconds.items()},
            command=self.command,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    def _consistency(self) -> tuple[list[Curve], list[FivePoints]]:
        reid, pairs = self._images("reid", self.preset.people)
        retrieval = self._timed("re-ID", Retrieval, reid, pairs, self.reid)
        natural = self._timed("pairs", across_cameras, reid, pairs, self.reid)
        people = min(self.preset.five_points, self.preset.people)
        tests = [
            test
            for sweep in (retrieval, natural)
            for test in self._timed("five points", five_points, sweep, people, self.preset.benchmarks)
        ]
        sweeps = (retrieval, natural, *self._more_planted())
        return [curve for sweep in sweeps for curve in self._curves(sweep, INCONSISTENCY)], tests

    def _more_planted(self) -> Iterator[Sweep]:
        swaps, pairs = self._images("background_swap", self.preset.swaps)
        yield self._timed("swaps", across_backgrounds, swaps, pairs, self.perceptual)
        walks, pairs = self._images("walks", self.preset.clips)
        yield self._timed("tracks", Tracks, walks, pairs, self.reid)
        yield self._timed("warping", along_tracks, walks, pairs)
        some, pairs = self._images("reid", self.preset.controls)
        yield self._timed("controls", Distributions, some, pairs, self.distribution, CONTROL_LEVELS)

    def _images(self, split: str, count: int) -> tuple[Generation, Pairs]:
        generation = self._generation(split, count)
        return generation, self._timed("images", planted_pairs, generation)

    def _quality(self) -> list[Curve]:
        generation = self._generation("val", self.preset.crops)
        curves: list[Curve] = []
        for fault in (fault for fault in FAULTS if fault.name in self.preset.faults):
            sweep = self._timed("quality", Quality, generation, fault, self.distribution, self.perceptual)
            curves += self._curves(sweep, fault.name)
        return curves

    def _curves(self, sweep: Sweep, fault: str) -> list[Curve]:
        return self._timed("benchmarks", curves_of, sweep, fault, self.preset.benchmarks)

    def _generation(self, split: str, count: int) -> Generation:
        from anonbench.datasets.synthetic.dataset import SyntheticDataset

        crops = detected(SyntheticDataset(split, size=SIZE, count=count))
        if isinstance(self.model, CheckedAnonymizer):
            self.model.check(crops.samples["key"].tolist())
        self.data[f"{split}/{count}"] = data_run(crops.dataset)
        return Generation(self.model, crops)

    def _timed(self, stage: str, make: Callable[..., Made], *arguments: object) -> Made:
        started = time.perf_counter()
        made = make(*arguments)
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - started
        return made


def _chosen(extractors: tuple[str, ...]) -> dict[Kind, str]:
    """One extractor of each kind."""
    chosen = dict(EXTRACTOR_OF)
    for name in extractors:
        if name not in EXTRACTORS:
            raise UsageError(f"no extractor '{name}'; there are: {', '.join(EXTRACTORS)}")
        kind = EXTRACTORS[name].kind
        if chosen[kind] != EXTRACTOR_OF[kind]:
            raise UsageError(f"validate takes one {kind} extractor, got {chosen[kind]} and {name}")
        chosen[kind] = name
    return chosen
