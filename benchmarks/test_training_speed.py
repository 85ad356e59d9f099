"""A training step of the 288x160 baseline against DeepPrivacy2's own trainer.

    pytest benchmarks/test_training_speed.py -s            # needs dp2, see docs/deep_privacy2.md
    pytest benchmarks/test_training_speed.py --record      # also writes results/benchmarks/training_speed.json

Same crops, batch, precision, losses and R1 interval, one thread each, steps in turn, medians. On a CPU the clock
is the thread's processor time, which equals wall time on an idle machine and does not count what others take on
a busy one; on a GPU it is wall time. Ours makes its batch within the step (flips, surface embedding),
theirs gets it ready. Our step sends one set of generated images through the discriminator for both updates,
theirs generates anew for each: that is a property of the trainers, and part of what is compared.
"""

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from anonbench.cache import write_atomic
from anonbench.crops import Outcome, PersonCrops
from anonbench.generators.config import ArchitectureConfig, DiscriminatorConfig, GeneratorConfig
from anonbench.protocols.environment import environment
from anonbench.resources import resource_dir
from anonbench.template import VERTICES
from anonbench.training.batches import InMemoryCrops
from anonbench.training.config import LossWeights, TrainingConfig, TrainingData
from anonbench.training.devices import fabric_of
from anonbench.training.trainer import Trainer
from benchmarks import dp2_training
from benchmarks.machine import processor

SIZE = (288, 160)
BATCH = 2
ROUNDS = 5
LATENT, STYLE = 512, 512
"""z and w of dp2's configuration."""
RECORD = "training_speed.json"

Step = Callable[[bool], object]


@dataclass(frozen=True)
class Widths:
    """Channels at full resolution: our generator and discriminator, theirs."""

    ours: tuple[int, int]
    theirs: tuple[int, int]


PAIRS = {
    "same width": Widths(ours=(16, 20), theirs=(16, 20)),
    "same parameters": Widths(ours=(32, 8), theirs=(16, 20)),
}
"""dp2's own widths are (64, 80). Its networks have six and seven resolutions, ours four: with the same channels
it has more parameters, and with the same parameters we have more channels where images are large."""


def people(count: int) -> PersonCrops:
    """Noise, with a person of surface in the middle."""
    draw = torch.Generator().manual_seed(0)
    mask = torch.zeros(count, 1, *SIZE, dtype=torch.bool)
    mask[:, :, 40:250, 50:110] = True
    surface = torch.randint(0, VERTICES, (count, *SIZE), generator=draw).int()
    return PersonCrops(
        image=torch.randint(0, 256, (count, 3, *SIZE), generator=draw).to(torch.uint8),
        person_mask=mask,
        surface=torch.where(mask[:, 0], surface, -1),
        keypoints=torch.zeros(count, 17, 3),
        person_id=torch.arange(count),
        camera_id=torch.zeros(count, dtype=torch.int64),
        outcome=torch.full((count,), int(Outcome.SURFACE)),
        key=tuple(f"crop/{i}" for i in range(count)),
    )


class OurTraining:
    """`Trainer.step` of the baseline at a chosen width."""

    def __init__(
        self, crops: PersonCrops, widths: tuple[int, int], r1_interval: int, accelerator: str
    ) -> None:
        architecture = ArchitectureConfig(
            resolution=SIZE,
            generator=GeneratorConfig(base_channels=widths[0], latent_dim=LATENT, style_dim=STYLE),
            discriminator=DiscriminatorConfig(base_channels=widths[1]),
        )
        training = TrainingConfig(
            data=TrainingData(version=1, count=len(crops), context_correlation=0.7),
            images=10**6,
            batch_size=len(crops),
            precision="fp32",
            losses=LossWeights(r1_interval=r1_interval),
        )
        self._trainer = Trainer(architecture, training, InMemoryCrops(crops), fabric_of("fp32", accelerator))
        self.generator = self._trainer.networks.generator
        self.discriminator = self._trainer.networks.discriminator

    def step(self, with_r1: bool) -> None:
        self._trainer.images_seen = 0 if with_r1 else self._trainer.training.batch_size
        self._trainer.step()


def now() -> float:
    """Seconds of processor time, or of wall time once the GPU is through."""
    if not torch.cuda.is_available():
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


@dataclass
class Times:
    """Seconds of steps without and with R1."""

    step: Step
    plain: list[float] = field(default_factory=list)
    r1: list[float] = field(default_factory=list)

    def measure(self) -> None:
        """One step of each sort."""
        for with_r1, seconds in ((False, self.plain), (True, self.r1)):
            began = now()
            self.step(with_r1)
            seconds.append(now() - began)

    def images_per_second(self, r1_interval: int) -> float:
        """Over a whole R1 interval, from the medians."""
        plain, r1 = statistics.median(self.plain), statistics.median(self.r1)
        return BATCH * r1_interval / (plain * (r1_interval - 1) + r1)


def described(
    training: Any, times: Times, widths: tuple[int, int], flop: float, r1_interval: int
) -> dict[str, Any]:
    """One side of the record. flop: per image."""
    return {
        "base_channels": {"generator": widths[0], "discriminator": widths[1]},
        "parameters": {
            name: sum(p.numel() for p in getattr(training, name).parameters())
            for name in ("generator", "discriminator")
        },
        "gflop_per_image": round(flop / 1e9, 2),
        "seconds": {"plain": statistics.median(times.plain), "r1": statistics.median(times.r1)},
        "images_per_second": times.images_per_second(r1_interval),
    }


class FlopCounter(TorchDispatchMode):
    """Counts operations by torch's own formulas; torch's own counter hooks into modules, which R1 forbids."""

    flop = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func._overloadpacket in flop_registry:
            self.flop += flop_registry[func._overloadpacket](*args, **(kwargs or {}), out_val=result)
        return result


def flop_per_image(step: Step, r1_interval: int) -> float:
    """Floating point operations of convolutions and matrix products, a mean over an R1 interval.

    Takes both sorts of step once, which warms them up.
    """
    counts = []
    for with_r1 in (False, True):
        with FlopCounter() as counter:
            step(with_r1)
        counts.append(counter.flop)
    return float(counts[0] * (r1_interval - 1) + counts[1]) / r1_interval / BATCH


@pytest.mark.parametrize("pair", PAIRS)
def test_a_training_step_against_dp2s_own(
    pair: str, benchmark: BenchmarkFixture, tmp_path: Path, record: Callable[[str, str, Any], None]
) -> None:
    widths, crops = PAIRS[pair], people(BATCH)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    theirs = dp2_training.Dp2Training(crops, *widths.theirs, device, tmp_path)
    ours = OurTraining(crops, widths.ours, theirs.r1_interval, device)
    our_times, their_times = Times(ours.step), Times(theirs.step)
    flop = [flop_per_image(side.step, theirs.r1_interval) for side in (ours, theirs)]
    benchmark.pedantic(our_times.measure, setup=their_times.measure, rounds=ROUNDS)
    sides = {
        "anonbench": described(ours, our_times, widths.ours, flop[0], theirs.r1_interval),
        "deep_privacy2": described(theirs, their_times, widths.theirs, flop[1], theirs.r1_interval),
    }
    ratio = sides["anonbench"]["images_per_second"] / sides["deep_privacy2"]["images_per_second"]
    work = sides["anonbench"]["gflop_per_image"] / sides["deep_privacy2"]["gflop_per_image"]
    content = {**sides, "ratio": ratio, "ratio_per_flop": ratio * work, "rounds": ROUNDS}
    benchmark.extra_info.update(content)
    print(f"\n{pair}: {json.dumps(content, indent=1)}")
    record(RECORD, pair, content)
    assert ratio > 0.5


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Callable[[str, str, Any], None]:
    """Puts one result into a file of results/benchmarks, if pytest is told to --record."""

    def write(name: str, key: str, content: Any) -> None:
        if not request.config.getoption("--record"):
            return
        path = resource_dir("results") / "benchmarks" / name
        results = json.loads(path.read_text())["results"] if path.exists() else {}
        whole = {**conditions(), "results": results | {key: content}}
        write_atomic(path, lambda partial: _write(partial, json.dumps(whole, indent=1) + "\n"))

    return write


def conditions() -> dict[str, Any]:
    """What both sides were measured under."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else processor()
    return {
        "what": "images per second of a training step (both updates, R1 every 16 steps), medians of steps in turn",
        "resolution": SIZE,
        "batch_size": BATCH,
        "precision": "fp32",
        "threads": torch.get_num_threads(),
        "clock": "wall time" if torch.cuda.is_available() else "processor time",
        "hardware": device,
        "environment": environment(device).model_dump(mode="json"),
        "deep_privacy2": {"commit": dp2_training.revision(), "config": dp2_training.CONFIG},
    }


def _write(path: Path, text: str) -> None:
    path.write_text(text)
