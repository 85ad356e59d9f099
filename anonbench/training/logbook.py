"""What a run says about itself: lines of JSON, TensorBoard, pictures."""

import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from anonbench.cache import write_text
from anonbench.training.samples import grid_of, write_grid

LOG = "log.jsonl"
EVENTS = "tensorboard"
SAMPLES = "samples"
LAST_LINES = 5
"""Log lines that the final values of a run are means of."""


@dataclass
class Meter:
    """Means of what the steps since the last report returned."""

    sums: dict[str, Tensor] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, values: Mapping[str, Tensor]) -> None:
        """One step's values, scalars."""
        for name, value in values.items():
            self.sums[name] = self.sums[name] + value if name in self.sums else value.clone()
            self.counts[name] += 1

    def means(self) -> dict[str, float]:
        """Means since the last call."""
        means = {name: float(total) / self.counts[name] for name, total in self.sums.items()}
        self.sums.clear()
        self.counts.clear()
        return means

    def state(self, over_processes: Callable[[dict[str, float]], dict[str, float]]) -> dict[str, Any]:
        """What `restore` needs, for the checkpoint of a run that stops between two reports."""
        sums = {name: float(total) for name, total in self.sums.items()}
        return {"sums": over_processes(sums), "counts": dict(self.counts)}

    def restore(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Goes on from a `state`; an empty one is the beginning."""
        if not state:
            return
        self.sums = {name: torch.tensor(value, device=device) for name, value in state["sums"].items()}
        self.counts = defaultdict(int, state["counts"])


class Logbook:
    """The log, TensorBoard events and sample pictures in a run's folder.

    Opening it drops what was logged after `images_seen`: those steps are about to be done again.
    """

    def __init__(self, folder: Path, images_seen: int) -> None:
        from torch.utils.tensorboard.writer import SummaryWriter

        self._folder = folder
        self._log = folder / LOG
        (folder / SAMPLES).mkdir(parents=True, exist_ok=True)
        _forget_later_lines(self._log, images_seen)
        self._events = SummaryWriter(str(folder / EVENTS), purge_step=images_seen)

    def losses(self, images: int, seconds: float, kl_weight: float, means: Mapping[str, float]) -> None:
        """One line of the log, and one point of every curve."""
        rounded = {name: round(value, 5) for name, value in means.items()}
        self._append(
            {"images": images, "seconds": round(seconds, 1), "kl_weight": round(kl_weight, 5), **rounded}
        )
        self._plot("training", means, images)

    def protocols(self, images: int, values: Mapping[str, float]) -> None:
        """What protocols measured, in a line of its own."""
        self._append({"images": images, "protocols": dict(values)})
        self._plot("protocols", values, images)

    def samples(self, images: int, rows: list[Tensor]) -> None:
        """A picture of rows of images uint8 (B, 3, H, W)."""
        write_grid(self._folder / SAMPLES / f"{images:09d}.png", rows)
        self._events.add_image("samples", grid_of(rows), images)

    def close(self) -> None:
        """Writes what TensorBoard still holds back."""
        self._events.close()

    def _append(self, line: Mapping[str, Any]) -> None:
        with self._log.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def _plot(self, group: str, values: Mapping[str, float], images: int) -> None:
        for name, value in values.items():
            self._events.add_scalar(f"{group}/{name}", value, images)


def final_losses(folder: Path) -> dict[str, float]:
    """Means of every loss and statistic over the last lines of a run's log."""
    lines = [line for line in _lines(folder / LOG) if "protocols" not in line][-LAST_LINES:]
    names = [name for name in (lines[-1] if lines else {}) if name not in ("images", "seconds", "kl_weight")]
    found = {name: [line[name] for line in lines if name in line] for name in names}
    return {name: sum(values) / len(values) for name, values in found.items()}


def _forget_later_lines(log: Path, images_seen: int) -> None:
    kept = [line for line in _lines(log) if line["images"] <= images_seen]
    write_text(log, "".join(json.dumps(line) + "\n" for line in kept))


def _lines(log: Path) -> list[dict[str, Any]]:
    """The whole lines of a log; a killed run may leave half of one at the end."""
    lines = log.read_text().splitlines(keepends=True) if log.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]
