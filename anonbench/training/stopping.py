"""Ending a run between two steps when somebody asks for it."""

import signal
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

import torch
from torch import distributed

if TYPE_CHECKING:
    from lightning_fabric import Fabric

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Inside its context a first SIGINT or SIGTERM is a request; a second one has its usual effect."""

    def __init__(self) -> None:
        self.made = False
        self._usual: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "StopRequest":
        self._usual = {number: signal.signal(number, self._receive) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def agreed(self, fabric: "Fabric") -> bool:
        """Whether any process was asked to stop. All processes must call it together."""
        if fabric.world_size == 1:
            return self.made
        asked = torch.tensor(float(self.made), device=fabric.device)
        distributed.all_reduce(asked)
        return bool(asked > 0)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.made = True
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._usual.items():
            signal.signal(number, handler)
