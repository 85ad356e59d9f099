"""What is done in a folder of results: a killed run goes on where it was, and runs are not mixed."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from anonbench.cache import write_text
from anonbench.errors import CacheError, DataError, UsageError

NAME = ".anonbench.jsonl"


class Journal:
    """Lines of JSON in a folder: first the settings of the run, then one entry per file that is written.

    An entry is appended after its file is complete, so whatever is listed is there.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], overwrite: bool = False) -> None:
        """Go on with the journal in `folder`, or begin one there.

        settings: what decides the files' content, as JSON. overwrite: begin anew whatever lies there.
        Raises UsageError when the folder holds files without a journal, or of other settings.
        """
        self._path = folder / NAME
        self._entries: dict[str, dict[str, Any]] = {}
        if overwrite or not self._path.exists():
            if not overwrite and folder.exists() and any(folder.iterdir()):
                raise UsageError(
                    f"{folder}: is not empty, and nothing there says how it was made; "
                    "choose a new folder, or give --overwrite"
                )
            self._write(json.dumps({"settings": settings}, sort_keys=True) + "\n")
        else:
            self._resume(folder, settings)

    def entry(self, name: str) -> Mapping[str, Any] | None:
        """What was noted about a file; none if it is not done."""
        return self._entries.get(name)

    def add(self, name: str, entry: Mapping[str, Any]) -> None:
        """Note that a file is done. Raises DataError where that cannot be written."""
        self._entries[name] = dict(entry)
        try:
            with self._path.open("a") as file:
                file.write(json.dumps({"name": name, **entry}, sort_keys=True) + "\n")
        except OSError as error:
            raise DataError(f"{self._path}: cannot write ({error.strerror}); free space") from error

    def _resume(self, folder: Path, settings: Mapping[str, Any]) -> None:
        whole, end, torn = self._path.read_text().rpartition("\n")
        try:
            first, *entries = [json.loads(line) for line in whole.splitlines()]
            found = first["settings"]
            self._entries = {entry.pop("name"): entry for entry in entries}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(
                f"{self._path}: not a journal of anonbench; remove it or choose a new folder"
            ) from error
        different = [key for key in settings if found.get(key) != settings[key]]
        if different:
            was = ", ".join(f"{key} {found.get(key)}" for key in different)
            raise UsageError(
                f"{folder}: was made with another {was}; choose a new folder, or give --overwrite"
            )
        if torn:  # the run was killed while it wrote this line
            self._write(whole + end)

    def _write(self, text: str) -> None:
        try:
            write_text(self._path, text)
        except CacheError as error:
            folder = self._path.parent
            raise DataError(f"{folder}: cannot write there; choose another output, or free space") from error
