"""Where every sample lies in tar shards: read from the tar headers once, then kept in the cache.

WebDataset shards are made to be read from front to end. Training that resumes at an exact sample and draws
uniformly needs random access instead; a tar file allows it, once it is known where its members begin.
"""

import hashlib
import re
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anonbench.cache import cache_dir, write_atomic
from anonbench.errors import DataError
from anonbench.progress import track

VERSION = 1
"""Raise it when the cached files change."""

MEMBER = re.compile(r"(?P<key>(?:.*/)?[^./]+)\.(?P<extension>[^/]+)")
"""WebDataset's rule: what stands before the first dot of the file name, with its folders, is the key."""

BLOCK = 512
AGAIN = "copy the shard again"


@dataclass(frozen=True)
class ShardIndex:
    """N samples in S shards, each with the M members named by `extensions`.

    shards: S tar files. keys: N sample keys. shard: int32 (N,), position in `shards`.
    start, length: int64 (N, M), where each member's bytes begin in the tar file, and how many there are.
    """

    shards: tuple[Path, ...]
    extensions: tuple[str, ...]
    keys: "pd.Series[str]"
    shard: NDArray[np.int32]
    start: NDArray[np.int64]
    length: NDArray[np.int64]

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.keys)

    @property
    def digest(self) -> str:
        """sha256 of keys, members and their lengths: a fingerprint that needs no read of the shards."""
        content = hashlib.sha256("\n".join([*self.extensions, *self.keys]).encode())
        content.update(np.ascontiguousarray(self.length, dtype="<i8").tobytes())
        return content.hexdigest()

    def place(self, row: int) -> Path:
        """Shard and key of a sample, for errors."""
        return self.shards[int(self.shard[row])] / str(self.keys.iat[row])

    def read(self, row: int) -> dict[str, bytes]:
        """The members of a sample by extension. Raises DataError where the shard is gone or has become shorter.

        Opens the file anew: nothing is shared between worker processes.
        """
        shard, members = self.shards[self.shard[row]], {}
        try:
            with shard.open("rb") as file:
                for column, extension in enumerate(self.extensions):
                    file.seek(self.start[row, column])
                    members[extension] = file.read(self.length[row, column])
                    if len(members[extension]) != self.length[row, column]:
                        raise DataError(f"{self.place(row)}.{extension}: the file ends early; {AGAIN}")
        except OSError as error:
            raise DataError(f"{shard}: cannot read the shard ({error.strerror}); {AGAIN}") from error
        return members


def index_shards(shards: Sequence[Path], extensions: Sequence[str]) -> ShardIndex:
    """The samples of `shards` in order. Reads the headers of shards that are new or have changed.

    extensions: members that every sample must have; others are left out. Raises DataError naming shard and key
    for damaged tars, unsafe names, incomplete samples, and keys that occur twice.
    """
    tables = [_table(shard, extensions) for shard in track(shards, "indexing shards", len(shards))]
    samples = pd.concat(tables, ignore_index=True)
    shard = np.repeat(np.arange(len(shards), dtype=np.int32), [len(table) for table in tables])
    repeated = samples["key"].duplicated()
    if repeated.any():
        row = int(np.flatnonzero(repeated)[0])
        raise DataError(
            f"{shards[shard[row]] / samples['key'][row]}: the key occurs twice; remove one of them"
        )
    return ShardIndex(
        shards=tuple(shards),
        extensions=tuple(extensions),
        keys=samples["key"],
        shard=shard,
        start=samples[[f"{extension} start" for extension in extensions]].to_numpy(dtype=np.int64),
        length=samples[[f"{extension} length" for extension in extensions]].to_numpy(dtype=np.int64),
    )


def _table(shard: Path, extensions: Sequence[str]) -> pd.DataFrame:
    """One row per sample of a shard, from the cache or from the tar headers."""
    cached = _cache_file(shard, extensions)
    if not cached.exists():
        table = _read_headers(shard, extensions)
        write_atomic(cached, partial(table.to_parquet, index=False))
    return pd.read_parquet(cached)


def _cache_file(shard: Path, extensions: Sequence[str]) -> Path:
    try:
        status = shard.stat()
    except OSError as error:
        raise DataError(f"{shard}: cannot read the shard ({error.strerror}); {AGAIN}") from error
    identity = f"{VERSION} {shard.resolve()} {status.st_size} {status.st_mtime_ns} {' '.join(extensions)}"
    return cache_dir() / "shards" / f"{hashlib.sha256(identity.encode()).hexdigest()}.parquet"


def _read_headers(shard: Path, extensions: Sequence[str]) -> pd.DataFrame:
    rows: dict[str, dict[str, Any]] = {}
    end = 0
    try:
        with tarfile.open(shard, "r:") as archive:
            for member in archive:
                end = member.offset_data + -(-member.size // BLOCK) * BLOCK
                if member.isdir():
                    continue
                key, extension = _parse(shard, member)
                row = rows.setdefault(key, {"key": key})
                if extension in extensions:
                    if f"{extension} start" in row:
                        raise DataError(
                            f"{shard / key}.{extension}: the member occurs twice; remove one of them"
                        )
                    row |= {f"{extension} start": member.offset_data, f"{extension} length": member.size}
    except (tarfile.TarError, OSError) as error:
        raise DataError(f"{shard}: damaged or no tar file ({error}); {AGAIN}") from error
    if not rows or shard.stat().st_size < end + BLOCK:
        raise DataError(f"{shard}: {'holds no samples' if not rows else 'ends early'}; {AGAIN}")
    _require_complete(shard, rows, extensions)
    return pd.DataFrame(list(rows.values()))


def _parse(shard: Path, member: tarfile.TarInfo) -> tuple[str, str]:
    """Key and extension (lower case) of a member. Nothing but plain files at places below the root is taken."""
    name = MEMBER.fullmatch(member.name)
    if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or name is None:
        raise DataError(
            f"{shard}: member '{member.name}' is no file called KEY.EXTENSION; write the shard again"
        )
    if member.name.startswith("/") or "\\" in member.name or ".." in member.name.split("/"):
        raise DataError(f"{shard}: member '{member.name}' points outside the data set; do not use this shard")
    return name["key"], name["extension"].lower()


def _require_complete(shard: Path, rows: dict[str, dict[str, Any]], extensions: Sequence[str]) -> None:
    for key, row in rows.items():
        missing = [extension for extension in extensions if f"{extension} start" not in row]
        if missing:
            raise DataError(f"{shard / key}: lacks {', '.join(missing)}; {AGAIN}")
