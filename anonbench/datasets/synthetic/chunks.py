"""Chunk files of rendered samples, and the worker processes that write them.

A worker is `python -m anonbench.datasets.synthetic.chunks`: it reads one JSON job per line and answers one
line per job. Plain subprocesses rather than multiprocessing: they need no `__main__` guard in the caller's
script, inherit no threads, and get one BLAS thread each from their environment.
"""

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from anonbench.cache import write_atomic
from anonbench.datasets.synthetic.splits import SPLITS
from anonbench.errors import CacheError

CHUNK = 64
"""Samples in one file."""

MOST_WORKERS = 16
"""A worker holds about 1.1 GB."""

ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}


@dataclass(frozen=True)
class Job:
    """One chunk to render: samples number * CHUNK and following of a split, at size (H, W), into `file`."""

    split: str
    seed: int
    size: tuple[int, int]
    number: int
    file: str


def default_workers() -> int:
    """One worker per CPU core that this process may use, at most MOST_WORKERS."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, MOST_WORKERS)


def render_chunk(job: Job) -> None:
    """Render one chunk into its safetensors file, unless another process was faster.

    image, plate uint8 (N, 3, H, W); person_mask uint8 (N, 1, H, W); surface int16 (N, H, W); keypoints
    float32 (N, 17, 3). Chunks are always whole, so that sets of another count can use them.
    """
    from anonbench.datasets.synthetic.body import body
    from anonbench.datasets.synthetic.render import render

    file = Path(job.file)
    if file.exists():
        return
    split = SPLITS[job.split]
    first = job.number * CHUNK
    plans = [split.plan(split, job.seed, i) for i in range(first, first + CHUNK)]
    with _one_torch_thread():
        samples = render(body(), job.seed, plans, job.size)

    def stacked(name: str) -> NDArray[Any]:
        return np.stack([getattr(sample, name) for sample in samples])

    arrays = {
        "image": stacked("image").transpose(0, 3, 1, 2),
        "plate": stacked("plate").transpose(0, 3, 1, 2),
        "person_mask": stacked("person_mask")[:, None].astype(np.uint8),
        "surface": stacked("surface").astype(np.int16),
        "keypoints": stacked("keypoints"),
    }
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    write_atomic(file, lambda path: save_file(contiguous, path))


@contextmanager
def _one_torch_thread() -> Iterator[None]:
    """Small batches run faster without a thread pool; the caller's setting comes back afterwards."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def read_chunk(file: Path, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """The named arrays of a chunk file, as `render_chunk` stores them. Raises CacheError if it is damaged."""
    try:
        with safe_open(file, framework="np") as stored:
            return {name: stored.get_tensor(name) for name in names}
    except (SafetensorError, OSError) as error:
        raise CacheError(f"damaged cache file {file}: delete it, it is rendered again ({error})") from error


def render_chunks(jobs: Sequence[Job], workers: int, done: Callable[[], object]) -> None:
    """Render all jobs in up to `workers` processes, calling `done` after each.

    A single job is rendered in this process. Raises CacheError where the folder cannot be written.
    """
    if len(jobs) == 1:
        render_chunk(jobs[0])
        done()
        return
    waiting: queue.SimpleQueue[Job] = queue.SimpleQueue()
    for job in jobs:
        waiting.put(job)
    failures: list[BaseException] = []
    processes: list[subprocess.Popen[str]] = []
    threads: list[threading.Thread] = []
    try:
        for _ in range(min(workers, len(jobs))):
            process = _start()
            processes.append(process)
            # The first worker lets anny fill its cache; together they would each build it.
            if not _answer(process).get("ready"):
                raise RuntimeError("a render worker did not start; its error is above")
            threads.append(threading.Thread(target=_feed, args=(process, waiting, done, failures), daemon=True))
            threads[-1].start()
        for thread in threads:
            thread.join()
    finally:
        for process in processes:
            process.kill()
            process.wait()
    if failures:
        raise failures[0]


def _start() -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "anonbench.datasets.synthetic.chunks"]
    # The caller's import path: anonbench need not be installed.
    path = os.pathsep.join(entry for entry in sys.path if entry)
    environment = os.environ | ONE_THREAD | {"PYTHONPATH": path}
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )


def _feed(
    process: subprocess.Popen[str],
    waiting: "queue.SimpleQueue[Job]",
    done: Callable[[], object],
    failures: list[BaseException],
) -> None:
    """Give one worker jobs until none is left or something failed."""
    while not failures:
        try:
            job = waiting.get_nowait()
        except queue.Empty:
            return
        try:
            assert process.stdin is not None
            print(json.dumps(asdict(job)), file=process.stdin, flush=True)
            answer = _answer(process)
        except OSError as error:
            failures.append(error)
            return
        if "cache_error" in answer:
            failures.append(CacheError(answer["cache_error"]))
        elif "rendered" not in answer:
            failures.append(RuntimeError(f"a render worker died at chunk {job.number}; its error is above"))
        else:
            done()


def _answer(process: subprocess.Popen[str]) -> dict[str, Any]:
    """The worker's next line; empty if it died."""
    assert process.stdout is not None
    line = process.stdout.readline()
    return json.loads(line) if line else {}


def _work() -> None:
    """The worker's loop."""
    from anonbench.datasets.synthetic.body import body

    answers, sys.stdout = sys.stdout, sys.stderr  # libraries may print; answers must stay alone
    body()
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for line in sys.stdin:
        fields = json.loads(line)
        job = Job(**fields | {"size": tuple(fields["size"])})
        try:
            render_chunk(job)
            print(json.dumps({"rendered": job.number}), file=answers, flush=True)
        except CacheError as error:
            print(json.dumps({"cache_error": str(error)}), file=answers, flush=True)


if __name__ == "__main__":
    _work()
