"""Progress bars on stderr; nothing is drawn where stderr is not a terminal."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    Task,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import track as rich_track
from rich.text import Text

Item = TypeVar("Item")
CONSOLE = Console(stderr=True)


def track(items: Iterable[Item], description: str, total: int | None) -> Iterator[Item]:
    """`items`, with a bar that disappears when they are through. total: none where it is not known before."""
    yield from rich_track(
        items,
        description=description,
        total=total,
        console=CONSOLE,
        transient=True,
        disable=not CONSOLE.is_terminal,
    )


def track_speed(items: Iterable[Item], description: str, total: int | None, unit: str) -> Iterator[Item]:
    """`track` for long runs: the bar also tells how many, how many a second, and how long it will take."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Speed(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=CONSOLE, transient=True, disable=not CONSOLE.is_terminal) as bar:
        yield from bar.track(items, total, description=f"{description} ({unit})")


@contextmanager
def byte_bar(description: str, total: int | None, done: int = 0) -> Iterator[Callable[[int], None]]:
    """A bar for a transfer; call what it gives with the bytes that arrived. total, done: bytes, with resumed ones."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=CONSOLE, transient=True, disable=not CONSOLE.is_terminal) as bar:
        task = bar.add_task(description, total=total, completed=done)
        yield lambda arrived: bar.advance(task, arrived)


class _Speed(TextColumn):
    """Items a second, lately."""

    def __init__(self) -> None:
        super().__init__("")

    def render(self, task: Task) -> Text:
        """One decimal: these runs are slow."""
        return Text(f"{task.speed:.1f}/s" if task.speed else "", style="progress.data.speed")
