"""What a run leaves behind when it is killed, and where it goes on."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from anonbench.cache import write_text
from anonbench.errors import CacheError, DataError, UsageError


class WorkFolder:
    """`OUT.part` beside the result: the chunks that are done, and `run.json`, which says of what run.

    Raises UsageError where the folder is of another run, naming what differs: chunks of two runs are never
    mixed. Raises DataError where it cannot be written.
    """

    def __init__(self, out: Path, described: Mapping[str, Any]) -> None:
        """described: all that decides the result, as JSON takes it."""
        self._folder = out.with_name(f"{out.name}.part")
        record = self._folder / "run.json"
        text = json.dumps(described, indent=1, sort_keys=True)
        if record.is_file():
            self._require_same(json.loads(record.read_text()), json.loads(text))
            return
        try:
            write_text(record, text)
        except CacheError as error:
            raise DataError(f"{out}: cannot write beside it; choose another place") from error

    def chunks(self, frames: int, chunk: int) -> list[Path]:
        """Where the chunks of so many frames each belong, in order."""
        return [self._folder / f"{start:08d}" for start in range(0, frames, chunk)]

    def remove(self) -> None:
        """The run is done."""
        shutil.rmtree(self._folder)

    def _require_same(self, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
        differing = [key for key in sorted(found.keys() | wanted.keys()) if found.get(key) != wanted.get(key)]
        if differing:
            raise UsageError(
                f"{self._folder}: holds a run that was interrupted, with another {', '.join(differing)}; "
                "repeat its command to go on, or remove the folder"
            )
