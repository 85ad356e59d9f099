"""The store: arrays kept under the hash of what made them, so that nothing is computed twice."""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anonbench.cache import cache_dir, write_atomic

Array = NDArray[Any]
KeyPart = str | int | float | None

_TENSOR = "value"


class ContentStore:
    """Arrays on disk, each under the sha256 of its key parts (digests of data, model, extractor, ...).

    Several processes may share a folder: files appear whole or not at all, and two that compute the same
    value write the same bytes. A file that is damaged or belongs to another key is computed again.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hits = 0
        self.misses = 0

    def get_or_compute(self, key: Sequence[KeyPart], compute: Callable[[], Array]) -> Array:
        """The array stored under `key`, else what `compute` returns, stored.

        key: everything that decides the value, in a fixed order.
        Raises CacheError if the folder is not writable.
        """
        path = self.path(key)
        stored = _read(path, _canonical(key))
        if stored is not None:
            self.hits += 1
            return stored
        self.misses += 1
        value = np.ascontiguousarray(compute())
        write_atomic(path, lambda temporary: _write(temporary, value, _canonical(key)))
        return value

    def path(self, key: Sequence[KeyPart]) -> Path:
        """Where the array of `key` is or would be."""
        digest = hashlib.sha256(_canonical(key).encode()).hexdigest()
        return self.folder / digest[:2] / f"{digest}.safetensors"


def feature_store() -> ContentStore:
    """The store of features, in the cache folder."""
    return ContentStore(cache_dir() / "features")


def image_store() -> ContentStore:
    """The store of anonymized images, in the cache folder."""
    return ContentStore(cache_dir() / "images")


def _canonical(key: Sequence[KeyPart]) -> str:
    return json.dumps(list(key), separators=(",", ":"))


def _write(path: Path, value: Array, key: str) -> None:
    from safetensors.numpy import save_file

    save_file({_TENSOR: value}, path, metadata={"key": key, "sha256": _checksum(value)})


def _read(path: Path, key: str) -> Array | None:
    """The stored array, or none where there is no intact file of this key."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            value: Array = file.get_tensor(_TENSOR)
    except (OSError, SafetensorError):
        return None
    intact = metadata.get("key") == key and metadata.get("sha256") == _checksum(value)
    return value if intact else None


def _checksum(value: Array) -> str:
    return hashlib.sha256(np.ascontiguousarray(value).data).hexdigest()
