"""Trust on first use: the hash that a file had when it was first used, kept beside it and checked ever after.

Many publishers state no hash, or eight digits of one. The pin cannot tell that the first file was the right
one, but no other file can take its place unseen, and the record names the one that was used.
"""

import re
from pathlib import Path

from anonbench.cache import write_text
from anonbench.errors import CacheError, WeightsError

_LINE = re.compile(r"^([0-9a-f]{64})\b")


def pin_path(path: Path) -> Path:
    """Where the pin of a file lies: `<name>.sha256` in the same folder, one line as sha256sum writes it."""
    return path.with_name(f"{path.name}.sha256")


def pinned_sha256(path: Path) -> str | None:
    """The hash that was pinned for a file; none if none was. Raises WeightsError where it cannot be read."""
    beside = pin_path(path)
    if not beside.is_file():
        return None
    line = _LINE.match(beside.read_text(errors="replace"))
    if line is None:
        raise WeightsError(f"{beside}: does not begin with a sha256; delete it to pin {path.name} again")
    return line[1]


def pin(path: Path, sha256: str) -> None:
    """Pin a file. Raises WeightsError, with the line to write, where the folder is not writable."""
    line = f"{sha256}  {path.name}"
    try:
        write_text(pin_path(path), f"{line}\n")
    except CacheError as error:
        raise WeightsError(
            f"{path}: no hash is published, so the one found is kept beside it, and {path.parent} is not "
            f"writable; let somebody who may write there put '{line}' into {pin_path(path).name}"
        ) from error
