"""From a model card and the user's changes to it to what a run needs to know."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from anonbench.cards import ModelCard, packaged_card, read_card, validate_section
from anonbench.errors import CardError, UsageError
from anonbench.generators.config import ArchitectureConfig
from anonbench.training.config import TrainingConfig, TrainingData

KIND = "generator"
"""The kind of card that a run can train."""


@dataclass(frozen=True)
class Settings:
    """A card to train, and its two sections as their types."""

    card: ModelCard
    architecture: ArchitectureConfig
    training: TrainingConfig


def read_settings(model: str, changes: Sequence[str], data: TrainingData | None = None) -> Settings:
    """The settings of a run.

    model: a packaged card's name or a card file. changes: `path.to.key=value` each, the path inside the card,
    the value as in YAML. data: what to train on instead of what the card says.
    Raises UsageError and CardError.
    """
    card = _card(model)
    if card.kind != KIND:
        raise UsageError(f"model '{card.name}' is of kind '{card.kind}': there is nothing to train")
    content = card.model_dump(mode="json", exclude={"checkpoint"}, exclude_unset=True)
    (content.get("training") or {}).pop("record", None)
    if data:
        content.setdefault("training", {})["data"] = data.model_dump(mode="json", exclude_none=True)
    for change in changes:
        _set(content, change)
    changed = validate_section(ModelCard, content, f"model '{card.name}'")
    architecture = validate_section(
        ArchitectureConfig, changed.architecture, f"model '{card.name}': architecture"
    )
    training = validate_section(TrainingConfig, changed.training, f"model '{card.name}': training")
    _require_maps(card.name, training.losses.feature_matching_maps, architecture.levels)
    return Settings(changed, architecture, training)


def _require_maps(name: str, maps: Sequence[int], levels: int) -> None:
    """The feature maps of the losses are maps of the discriminator: one per level and one more."""
    wrong = [number for number in maps if not 1 <= number <= levels + 1]
    if wrong:
        raise CardError(
            f"model '{name}': training: key 'losses.feature_matching_maps': no map {wrong[0]}; "
            f"a discriminator with {levels} levels has maps 1 to {levels + 1}"
        )


def _card(model: str) -> ModelCard:
    if model.endswith((".yaml", ".yml")):
        return read_card(Path(model), ModelCard)
    return packaged_card("models", model, ModelCard)


def _set(content: dict[str, Any], change: str) -> None:
    """Applies one `path.to.key=value` to a card's content."""
    path, equals, text = change.partition("=")
    *parents, key = path.split(".")
    if not equals or not all((*parents, key)):
        raise UsageError(f"--set {change}: write path.to.key=value, as in training.losses.kl=0.001")
    section = content
    for parent in parents:
        section = section.setdefault(parent, {})
        if not isinstance(section, dict):
            raise UsageError(f"--set {change}: '{parent}' is a value and not a section of the card")
    try:
        section[key] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UsageError(f"--set {change}: the value is not YAML: {' '.join(str(error).split())}") from error
