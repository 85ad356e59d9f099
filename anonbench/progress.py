"""Progress bars on stderr; nothing is drawn where stderr is not a terminal."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import track as rich_track

Item = TypeVar("Item")
CONSOLE = Console(stderr=True)


def track(items: Iterable[Item], description: str, total: int) -> Iterator[Item]:
    """`items`, with a bar that disappears when they are through."""
    yield from rich_track(
        items,
        description=description,
        total=total,
        console=CONSOLE,
        transient=True,
        disable=not CONSOLE.is_terminal,
    )
