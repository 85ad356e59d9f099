"""Speed as a ratio to a peer that runs in the same session: machine and load cancel out."""

import time
from collections.abc import Callable

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

Work = Callable[[], object]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record", action="store_true", help="Write what was measured to results/benchmarks.")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def speedup(benchmark: BenchmarkFixture) -> Callable[[Work, Work], float]:
    """Time `ours` with pytest-benchmark and `peer` beside it; return the peer's best time over our best.

    The ratio is kept as extra_info, so `--benchmark-json` records it.
    """

    def measure(ours: Work, peer: Work, rounds: int = 3) -> float:
        peer_seconds = min(_seconds(peer) for _ in range(rounds))
        benchmark.pedantic(ours, rounds=rounds, warmup_rounds=1)
        ratio = peer_seconds / benchmark.stats.stats.min
        benchmark.extra_info["peer_seconds"] = peer_seconds
        benchmark.extra_info["speedup"] = ratio
        print(f"\n{benchmark.name}: {ratio:.1f} times as fast as its peer ({peer_seconds:.3f} s)")
        return float(ratio)

    return measure


def _seconds(work: Work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
