"""The cache folder and atomic files: everything that can be made again is kept here."""

import os
import uuid
from collections.abc import Callable
from pathlib import Path

from platformdirs import user_cache_dir

from anonbench.errors import CacheError

MEND = "set ANONBENCH_CACHE to a folder you may write"


def _cache_path() -> Path:
    return Path(os.environ.get("ANONBENCH_CACHE") or user_cache_dir("anonbench")).expanduser()


def cache_dir() -> Path:
    """The folder named by ANONBENCH_CACHE, else the user's cache folder of this platform; made if absent.

    Raises CacheError, naming the folder, when it cannot be made.
    """
    folder = _cache_path()
    make_folder(folder)
    return folder


def make_folder(folder: Path) -> None:
    """Make `folder` and its parents. Raises CacheError where that is not possible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _failed("make", folder, error) from error


def write_atomic(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a temporary file beside `path`, then rename it: readers see all of it or nothing.

    The temporary name keeps the suffix of `path` and is unique, so two processes may write the same
    file. Raises CacheError, naming the folder, when it is not writable or full.
    """
    make_folder(path.parent)
    temporary = path.with_name(f".{path.stem}.{uuid.uuid4().hex}{path.suffix}")
    try:
        write(temporary)
        temporary.chmod(0o644)  # some writers, safetensors among them, make files private
        temporary.replace(path)
    except OSError as error:
        raise _failed("write to", path.parent, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """`write_atomic` of text."""

    def write(partial: Path) -> None:
        partial.write_text(text)

    write_atomic(path, write)


def _failed(what: str, folder: Path, error: OSError) -> CacheError:
    """Names the folder, and how to mend it: outputs are written like the cache, and lie elsewhere."""
    if folder.absolute().is_relative_to(_cache_path().absolute()):
        return CacheError(f"cannot {what} the cache folder {folder} ({error.strerror}): {MEND}")
    return CacheError(f"cannot {what} the folder {folder} ({error.strerror}): choose another, or make room")
