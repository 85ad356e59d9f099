"""How far a run is, on stderr: a bar in a terminal, a line per report elsewhere."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from anonbench.progress import CONSOLE

SHOWN = ("generator", "discriminator", "feature_matching", "kl_nats")


class TrainingBar:
    """Images, images per second, time left and the last losses."""

    def __init__(self, images: int, shown: bool = True) -> None:
        self._shown = shown
        self._last = (0, 0.0)
        self._bar = Progress(
            TextColumn("train"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("images"),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[losses]}"),
            console=CONSOLE,
            disable=not (shown and CONSOLE.is_terminal),
        )
        self._task = self._bar.add_task("", total=images, speed="", losses="")

    def __enter__(self) -> "TrainingBar":
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def begin(self, images_seen: int, seconds: float) -> None:
        """Where a run starts or goes on: what came before tells nothing of the speed now."""
        self._last = (images_seen, seconds)
        self._bar.reset(self._task, completed=images_seen)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Inside, somebody else may draw bars."""
        self._bar.stop()
        yield
        self._bar.start()

    def at(self, images_seen: int) -> None:
        """Moves the bar."""
        self._bar.update(self._task, completed=images_seen)

    def report(self, images_seen: int, seconds: float, means: Mapping[str, float]) -> None:
        """Shows the losses since the last report, and the speed."""
        images, began = self._last
        self._last = (images_seen, seconds)
        speed = f"{(images_seen - images) / max(seconds - began, 1e-9):.0f} images/s"
        losses = "  ".join(f"{name} {means[name]:.3f}" for name in SHOWN if name in means)
        self._bar.update(self._task, speed=speed, losses=losses)
        if self._shown and self._bar.disable:
            click.echo(f"{images_seen} images  {speed}  {losses}", err=True)
