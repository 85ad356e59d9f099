"""Typed cards: what a model, an extractor or a protocol is, read from YAML, unknown keys rejected."""

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from anonbench.errors import CardError, UsageError
from anonbench.resources import resource_dir


class Strict(BaseModel):
    """Base of everything read from a file: immutable, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @property
    def digest(self) -> str:
        """sha256 of the content, independent of key order and of the file's layout."""
        canonical = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


class Checkpoint(Strict):
    """A safetensors file beside the card."""

    file: str = Field(
        pattern=r"^[A-Za-z0-9._-]+\.safetensors$", description="file name, in the card's folder"
    )
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class KnownAnswer(Strict):
    """What a network says to a fixed input, so that another one is noticed (`anonbench.weights.known_answers`)."""

    values: tuple[float, ...] = Field(
        min_length=8, max_length=8, description="projections of the output on cosines"
    )
    tolerance: float = Field(default=1e-3, gt=0, le=0.1, description="of the largest of the values")


class Card(Strict):
    """What every card says: its name, what kind of thing it describes, and the weights behind it."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_]*$")
    kind: str
    description: str
    checkpoint: Checkpoint | None = None
    architecture: dict[str, Any] | None = None
    training: dict[str, Any] | None = Field(default=None, description="data, length, settings, results")
    # Not part of the digest: it follows from the checkpoint and moves no number.
    known_answer: KnownAnswer | None = Field(default=None, exclude=True)


class ModelCard(Card):
    """An anonymizer. `kind` names the class that builds it (`anonbench.anonymizers.registry`)."""

    latent_dim: int | None = Field(default=None, ge=1, description="dimensions of z; none: deterministic")
    can_reconstruct: bool = Field(default=False, description="has an appearance mapper")
    options: dict[str, Any] = Field(default_factory=dict, description="arguments of the kind")


class ExtractorCard(Card):
    """A network from images to features. `options` holds its preprocessing."""

    options: dict[str, Any] = Field(default_factory=dict)


class DetectorCard(Card):
    """A network of the detection stage."""

    options: dict[str, Any] = Field(default_factory=dict)


class Preset(Strict):
    """How large a run of a protocol is."""

    count: int | None = Field(
        default=None, ge=1, description="samples or identities of synthetic data; none: all"
    )
    size: tuple[int, int] = Field(description="(H, W) of the crops, multiples of 8")
    seeds: int = Field(default=3, ge=1, description="independent latent seeds")
    resamples: int = Field(default=2000, ge=100, description="bootstrap resamples behind each interval")
    extractors: tuple[str, ...] = Field(min_length=1, description="names of feature extractors")


class ProtocolCard(Strict):
    """What is sampled, anonymized and measured. A change that moves a number needs a new version."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    version: int = Field(ge=1)
    description: str
    reference: str = Field(description="the paper or thesis section that the protocol follows")
    split: str = Field(description="split of the synthetic data that it samples")
    extractor_kind: Literal["distribution", "perceptual", "reid"] = Field(description="what it measures with")
    presets: dict[Literal["smoke", "demo", "full", "paper"], Preset]


AnyCard = TypeVar("AnyCard", bound=Strict)


def read_card(path: Path, card_type: type[AnyCard]) -> AnyCard:
    """The card in a YAML file. Raises CardError naming file, line and key."""
    try:
        text = path.read_text()
        content = yaml.safe_load(text)
    except OSError as error:
        raise CardError(f"{path}: cannot read the card ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CardError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise CardError(f"{path}: a card is a mapping of keys to values, found {type(content).__name__}")
    try:
        return card_type.model_validate(content)
    except ValidationError as error:
        raise CardError(_explain(path, text, error)) from error


def validate_section(section_type: type[AnyCard], content: dict[str, Any] | None, where: str) -> AnyCard:
    """A free-form section of a card (`options`, `architecture`) against the type that its kind defines."""
    try:
        return section_type.model_validate(content or {})
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise CardError(f"{where}: key '{key}': {_reason(first)}") from error


FOLDERS = {"models": ("models", "models/ablations")}
"""Folders whose cards are one set, in which every name is unique."""


def packaged_paths(folder: str) -> dict[str, Path]:
    """Where every card in a packaged folder ("models", "protocols", "models/extractors") lies, by name.

    "models" stands for its ablations too, which come last.
    """
    paths: dict[str, Path] = {}
    for part in FOLDERS.get(folder, (folder,)):
        top, *below = part.split("/")
        for path in sorted(resource_dir(top).joinpath(*below).glob("*.yaml")):
            if path.stem in paths:
                raise CardError(f"{path}: {paths[path.stem]} has the same name; rename one of them")
            paths[path.stem] = path
    return paths


@cache
def packaged_cards(folder: str, card_type: type[AnyCard]) -> dict[str, AnyCard]:
    """Every card of `packaged_paths`, by name."""
    cards: dict[str, AnyCard] = {}
    for name, path in packaged_paths(folder).items():
        card = read_card(path, card_type)
        if getattr(card, "name", name) != name:
            raise CardError(f"{path}: key 'name' must equal the file name '{name}'")
        cards[name] = card
    return cards


def packaged_card(folder: str, name: str, card_type: type[AnyCard]) -> AnyCard:
    """One packaged card by name. Raises UsageError listing the valid names."""
    cards = packaged_cards(folder, card_type)
    if name not in cards:
        raise UsageError(f"no card '{name}' in {folder}; there are: {', '.join(cards)}")
    card: AnyCard = cards[name]
    return card


def _explain(path: Path, text: str, error: ValidationError) -> str:
    first = error.errors()[0]
    key = ".".join(map(str, first["loc"]))
    line = _line_of(text, first["loc"])
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{path}:{line}: key '{key}': {_reason(first)}{more}"


def _reason(details: Any) -> str:
    return "unknown key; remove it" if details["type"] == "extra_forbidden" else str(details["msg"]).lower()


def _line_of(text: str, location: tuple[int | str, ...]) -> int:
    """Line of the deepest part of `location` that the YAML text holds (a missing key: its parent's)."""
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    line = node.start_mark.line if node else 0
    for step in location:
        if isinstance(node, yaml.MappingNode):
            found = [(k, v) for k, v in node.value if k.value == str(step)]
            if not found:
                break
            key, node = found[0]
            line = key.start_mark.line
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            line = node.start_mark.line
        else:
            break
    return line + 1
