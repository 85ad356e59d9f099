"""Speed as a ratio to a peer that runs in the same session, in processor time: machine and load cancel out."""

import json
import os
from collections.abc import Callable
from typing import Any

# One thread, as long as nobody says otherwise: processor time then equals the wall time of an idle machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from anonbench.cache import write_text
from anonbench.protocols.environment import environment
from anonbench.resources import resource_dir
from benchmarks.machine import processor, processor_seconds

Work = Callable[[], object]
RECORD = "metric_speed.json"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record", action="store_true", help="Write what was measured to results/benchmarks.")
    parser.addoption(
        "--rank-cylib", help="Folder with torchreid's rank_cy.pyx, which its package on PyPI lacks."
    )


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(pytest.mark.benchmark(timer=processor_seconds))


@pytest.fixture
def speedup(benchmark: BenchmarkFixture, request: pytest.FixtureRequest) -> Callable[..., float]:
    """Time `ours` with pytest-benchmark and `peer` before each of its rounds; return peer's best over our best.

    With --record, `key` names the result in results/benchmarks/metric_speed.json: peer and what was done.
    """

    def measure(
        ours: Work, peer: Work, rounds: int = 3, warmup: int = 1, key: tuple[str, str] | None = None
    ) -> float:
        peer_seconds: list[float] = []
        benchmark.pedantic(
            ours, setup=lambda: peer_seconds.append(_seconds(peer)), rounds=rounds, warmup_rounds=warmup
        )
        ours_s, peer_s = benchmark.stats.stats.min, min(peer_seconds)
        benchmark.extra_info.update(peer_seconds=peer_s, speedup=peer_s / ours_s)
        print(f"\n{benchmark.name}: {ours_s:.3f} s, its peer {peer_s:.3f} s: {peer_s / ours_s:.1f} times")
        if key is not None and request.config.getoption("--record"):
            name = request.node.name.removeprefix("test_")
            _record(
                name,
                {"peer": key[0], "what": key[1], "seconds": ours_s, "peer_seconds": peer_s, "rounds": rounds},
            )
        return float(peer_s / ours_s)

    return measure


def _record(name: str, result: dict[str, Any]) -> None:
    path = resource_dir("results") / "benchmarks" / RECORD
    results = json.loads(path.read_text())["results"] if path.exists() else {}
    rounded = {k: float(f"{v:.4g}") if isinstance(v, float) else v for k, v in result.items()}
    whole = {
        "what": "seconds of processor time, best of rounds in turn",
        "threads": torch.get_num_threads(),
        "hardware": processor(),
        "environment": environment(processor()).model_dump(mode="json"),
        "results": results | {name: rounded},
    }
    write_text(path, json.dumps(whole, indent=1) + "\n")


def _seconds(work: Work) -> float:
    start = processor_seconds()
    work()
    return processor_seconds() - start
