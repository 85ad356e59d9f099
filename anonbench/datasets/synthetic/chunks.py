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
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
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

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass(frozen=True)
class Job:
    """One chunk to render: samples number * CHUNK and following of a split, at size (H, W), into `file`.

    correlation: takes the place of the split's own.
    """

    split: str
    correlation: float
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
    float32 (N, 17, 3); clips add flow float32 (N, 2, H, W) and flow_valid uint8 (N, 1, H, W). Chunks are
    always whole, so that sets of another count can use them.
    """
    from anonbench.datasets.synthetic.body import body
    from anonbench.datasets.synthetic.render import render
    from anonbench.datasets.synthetic.walks import render_clips

    file = Path(job.file)
    if file.exists():
        return
    split = replace(SPLITS[job.split], correlation=job.correlation)
    first = job.number * CHUNK
    plans = [split.plan(split, job.seed, i) for i in range(first, first + CHUNK)]
    in_clips = plans[0].moment is not None
    samples = (render_clips if in_clips else render)(body(), job.seed, plans, job.size)

    def stacked(name: str) -> NDArray[Any]:
        return np.stack([getattr(sample, name) for sample in samples])

    arrays = {
        "image": stacked("image").transpose(0, 3, 1, 2),
        "plate": stacked("plate").transpose(0, 3, 1, 2),
        "person_mask": stacked("person_mask")[:, None].astype(np.uint8),
        "surface": stacked("surface").astype(np.int16),
        "keypoints": stacked("keypoints"),
    }
    motions = [sample.motion for sample in samples if sample.motion is not None]
    if motions:
        arrays["flow"] = np.stack([motion.flow for motion in motions]).transpose(0, 3, 1, 2)
        arrays["flow_valid"] = np.stack([motion.visible for motion in motions])[:, None].astype(np.uint8)
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    write_atomic(file, lambda path: save_file(contiguous, path))


def read_chunk(file: Path, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """The named arrays of a chunk file, as `render_chunk` stores them. Raises CacheError if it is damaged."""
    try:
        with safe_open(file, framework="np") as stored:
            return {name: stored.get_tensor(name) for name in names}
    except (SafetensorError, OSError) as error:
        raise CacheError(f"damaged cache file {file}: delete it, it is rendered again ({error})") from error


def render_chunks(jobs: Sequence[Job], workers: int, done: Callable[[], object]) -> None:
    """Render all jobs in up to `workers` processes, calling `done` after each.

    Raises CacheError where the folder cannot be written, RuntimeError with a worker's last words if it died.
    """
    waiting: queue.SimpleQueue[Job] = queue.SimpleQueue()
    for job in jobs:
        waiting.put(job)
    failures: list[Exception] = []
    running: list[_Worker] = []
    threads: list[threading.Thread] = []
    try:
        for _ in range(min(workers, len(jobs))):
            # One after the other: the first lets anny fill its cache, together they would each build it.
            running.append(_Worker())
            feed = threading.Thread(target=_feed, args=(running[-1], waiting, done, failures), daemon=True)
            feed.start()
            threads.append(feed)
        for thread in threads:
            thread.join()
    finally:
        for worker in running:
            worker.kill()
    if failures:
        raise failures[0]


def _feed(
    worker: "_Worker",
    waiting: "queue.SimpleQueue[Job]",
    done: Callable[[], object],
    failures: list[Exception],
) -> None:
    """Give one worker jobs until none is left or something failed."""
    try:
        while not failures and not waiting.empty():
            worker.render(waiting.get_nowait())
            done()
    except queue.Empty:
        return
    except Exception as error:
        failures.append(error)


class _Worker:
    """A process that renders chunks. What its libraries print is kept back and shown only if it dies."""

    def __init__(self) -> None:
        # The caller's import path: anonbench need not be installed.
        path = os.pathsep.join(entry for entry in sys.path if entry)
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - lives as long as the process
        self._process = subprocess.Popen(
            [sys.executable, "-m", "anonbench.datasets.synthetic.chunks"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env=os.environ | ONE_THREAD | {"PYTHONPATH": path},
        )
        try:
            self._answer()
        except BaseException:
            self.kill()
            raise

    def render(self, job: Job) -> None:
        """Render one chunk. Raises CacheError where its file cannot be written."""
        assert self._process.stdin is not None
        # A dead worker shows as a broken pipe here or as an empty answer below: report the latter.
        with suppress(OSError):
            print(json.dumps(asdict(job)), file=self._process.stdin, flush=True)
        self._answer()

    def kill(self) -> None:
        """End the process, whatever it does: chunk files are whole or absent."""
        self._process.kill()
        self._process.communicate()
        self._log.close()

    def _answer(self) -> None:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._log.seek(0)
            words = self._log.read().strip().splitlines()[-5:]
            raise RuntimeError("a render worker died: " + "\n".join(words))
        if "cache_error" in (answer := json.loads(line)):
            raise CacheError(answer["cache_error"])


def _work() -> None:
    """The worker's loop."""
    import torch

    from anonbench.datasets.synthetic.body import body

    answers, sys.stdout = sys.stdout, sys.stderr  # libraries may print; answers must stay alone

    def answer(work: Callable[[], object]) -> None:
        try:
            work()
            message = {}
        except CacheError as error:
            message = {"cache_error": str(error)}
        print(json.dumps(message), file=answers, flush=True)

    torch.set_num_threads(1)
    answer(body)
    for line in sys.stdin:
        fields = json.loads(line)
        job = Job(**fields | {"size": tuple(fields["size"])})
        answer(partial(render_chunk, job))


if __name__ == "__main__":
    _work()
