"""Detection of many frames, in this process or in several."""

import signal
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from typing import TYPE_CHECKING

import torch

from anonbench.detection.detectors import NamedDetector
from anonbench.detection.people import PersonDetections
from anonbench.pipeline.clips import Frame
from anonbench.pipeline.detection_store import pack

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

AHEAD = 2
"""Frames per worker that are read ahead, so that none waits for the next."""

_detector: NamedDetector
"""The detector of a worker process."""


def detect_packed(
    frames: Iterable[Frame], detector: NamedDetector, every: int = 1, workers: int = 1
) -> Iterator[bytes]:
    """What the detector finds in each frame, in order, packed (`anonbench.pipeline.detection_store`).

    every: the detector looks at each so many frames, from the first on; in the others nobody is found.
    workers: processes, each with a copy of the detector, which has to be picklable; one: this process alone.
    """
    if workers == 1:
        for index, frame in enumerate(frames):
            yield pack(detector.detect(frame.image, frame.name)) if index % every == 0 else _nobody(frame)
        return
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _begin, (detector,))
    waiting: deque[Future[bytes]] = deque()
    try:
        for index, frame in enumerate(frames):
            if index % every == 0:
                waiting.append(pool.submit(_work, frame.image.numpy(), frame.name))
            else:
                waiting.append(Future())
                waiting[-1].set_result(_nobody(frame))
            if len(waiting) >= AHEAD * workers * every:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(detector: NamedDetector) -> None:
    global _detector
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that gives the work
    torch.set_num_threads(1)  # the processes share the cores
    _detector = detector


def _work(pixels: "NDArray[np.uint8]", name: str) -> bytes:
    return pack(_detector.detect(torch.from_numpy(pixels), name))


def _nobody(frame: Frame) -> bytes:
    return pack(PersonDetections((frame.image.shape[1], frame.image.shape[2]), ()))
