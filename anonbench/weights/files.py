"""Weight files: hashed before anything reads them, read without running code from them, loaded strictly."""

import hashlib
import time
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn

from anonbench.errors import WeightsError

_JUST_WRITTEN_S = 2.0


class WrongHashError(WeightsError):
    """A file has the right name but is not the file that the registry describes."""


def file_sha256(path: Path) -> str:
    """sha256 (hex) of a file, remembered in this process until its size or modification time changes.

    A file written in the last seconds is not remembered: another write of the same size may still fall into
    the same tick of the file system's clock.
    """
    stat = path.stat()
    if abs(time.time() - stat.st_mtime) < _JUST_WRITTEN_S:
        return _hash(path)
    return _remembered_hash(path, stat.st_size, stat.st_mtime_ns)


def require_sha256(path: Path, sha256: str) -> None:
    """Check a file beside a card. WeightsError if it is absent, WrongHashError if it differs."""
    mend = "install anonbench again if the card is its own"
    if not path.is_file():
        raise WeightsError(f"{path}: not found; put it beside its card, or {mend}")
    if file_sha256(path) != sha256:
        raise WrongHashError(
            f"{path}: sha256 differs from its card's ({sha256}); get the file again, or {mend}"
        )


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a weight file, by name, read without running code from it.

    Formats: safetensors, and what torch.load accepts with weights_only.
    A checkpoint's `state_dict` entry and the `module.` prefix of data-parallel training are unwrapped.
    Raises WeightsError naming the file when it is damaged or holds something else.
    """
    try:
        content = _read(path)
    except Exception as error:  # torch raises a different type for each way in which a file can be damaged
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsError(f"{path}: cannot be read as weights ({reason}); get the file again") from error
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not all(isinstance(v, Tensor) for v in content.values()):
        raise WeightsError(f"{path}: holds no dictionary of tensors; get the file again")
    return {str(key).removeprefix("module."): value for key, value in content.items()}


def load_strictly(
    module: nn.Module, tensors: Mapping[str, Tensor], source: str, unused: tuple[str, ...] = ()
) -> None:
    """Fill `module` from `tensors`; every name and shape must match.

    unused: prefixes of parts that the features do not pass through (a classifier) and that may be absent
    or of another shape. A network that is only partly loaded gives plausible, wrong numbers, so everything
    else is a WeightsError naming `source`.
    """
    expected = {k: v for k, v in module.state_dict().items() if not k.startswith(unused)}
    given = {k: v for k, v in tensors.items() if not k.startswith(unused)}
    wrong = sorted(expected.keys() ^ given.keys())
    wrong += [k for k in expected.keys() & given.keys() if expected[k].shape != given[k].shape]
    if wrong:
        raise WeightsError(
            f"{source}: not the weights of this network: {len(wrong)} tensors are missing, unknown or of "
            f"another shape, first '{wrong[0]}'; get the file again"
        )
    module.load_state_dict(given, strict=False)


def _read(path: Path) -> object:
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    return torch.load(path, map_location="cpu", weights_only=True)


@lru_cache(maxsize=64)
def _remembered_hash(path: Path, size: int, modified_ns: int) -> str:
    return _hash(path)


def _hash(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
