"""From a name to an anonymizer: packaged cards, card files, folders of images and third-party packages."""

import re
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from anonbench.anonymizers.base import Anonymizer
from anonbench.anonymizers.folder import Folder
from anonbench.anonymizers.naive import Blackout, GaussianBlur, Noise, Original, Pixelate
from anonbench.cards import ModelCard, packaged_cards, packaged_paths, read_card
from anonbench.errors import CardError, UsageError

ENTRY_POINTS = "anonbench.anonymizers"
"""Entry point group: each entry is a class, built as `cls(card)`, whose name is a kind."""


def _generator(card: ModelCard, folder: Path) -> Anonymizer:
    from anonbench.anonymizers.generator import load_generator

    loaded: Anonymizer = load_generator(card, folder)
    return loaded


def _deep_privacy2(card: ModelCard, folder: Path) -> Anonymizer:
    from anonbench.anonymizers.deep_privacy2 import load_deep_privacy2

    return load_deep_privacy2(card, folder)


KINDS: dict[str, Callable[[ModelCard, Path], Anonymizer]] = {
    "original": lambda card, _: Original(card),
    "blackout": lambda card, _: Blackout(card),
    "noise": lambda card, _: Noise(card),
    "gaussian_blur": lambda card, _: GaussianBlur(card),
    "pixelate": lambda card, _: Pixelate(card),
    "folder": Folder,
    "generator": _generator,
    "deep_privacy2": _deep_privacy2,
}
"""Kind -> how to build it from its card and the card's folder, which holds its checkpoint."""


def load_anonymizer(name: str, options: Mapping[str, Any] | None = None) -> Anonymizer:
    """The anonymizer that `name` stands for.

    name: a packaged card ("baseline"), a card file ("path/card.yaml"), "folder=PATH" with anonymized images,
    or the name of a third-party entry point. options: replace those of the card, for example
    {"truncation": "multimodal"} of a generator; records then name a card with other options.
    Raises UsageError listing the names, CardError, WeightsError or DataError.
    """
    card, folder = find_card(name)
    if options:
        card = card.model_copy(update={"options": card.options | dict(options)})
    return build(card, folder)


def find_card(name: str) -> tuple[ModelCard, Path]:
    """The card that `name` of `load_anonymizer` stands for, and the folder where its checkpoint lies."""
    if name.startswith("folder="):
        return _folder_card(Path(name.removeprefix("folder="))), Path()
    if name.endswith((".yaml", ".yml")):
        return read_card(Path(name), ModelCard), Path(name).parent
    packaged = packaged_cards("models", ModelCard)
    if name in packaged:
        return packaged[name], packaged_paths("models")[name].parent
    if name in _third_party():
        return _card_of(_third_party()[name]), Path()
    raise UsageError(
        f"no model '{name}'; there are: {', '.join(anonymizer_names())}, a card file (.yaml) or folder=PATH"
    )


def build(card: ModelCard, folder: Path) -> Anonymizer:
    """The anonymizer that a card describes. folder: where the card's checkpoint lies."""
    if card.kind in KINDS:
        return KINDS[card.kind](card, folder)
    entry = _third_party().get(card.kind)
    if entry is None:
        kinds = ", ".join([*KINDS, *_third_party()])
        raise CardError(f"model '{card.name}': unknown kind '{card.kind}'; there are: {kinds}")
    anonymizer: Anonymizer = _load(entry)(card)
    return anonymizer


def anonymizer_names() -> tuple[str, ...]:
    """What can be run by name: packaged cards first, then third-party entry points."""
    packaged = packaged_cards("models", ModelCard)
    ready = [name for name, card in packaged.items() if is_trained(card)]
    return (*ready, *(name for name in _third_party() if name not in packaged))


def is_trained(card: ModelCard) -> bool:
    """Whether the card can be run: it has a checkpoint, or no networks that need one."""
    return card.checkpoint is not None or card.architecture is None


def _third_party() -> dict[str, EntryPoint]:
    """Entry points by name. Read anew each time: installing a package needs no restart of a notebook."""
    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group=ENTRY_POINTS):
        if entry.name in KINDS:
            raise UsageError(
                f"{_origin(entry)}: '{entry.name}' is a kind of anonbench itself; uninstall the package"
            )
        if entry.name in found and found[entry.name].value != entry.value:
            raise UsageError(
                f"'{entry.name}' comes from {_origin(found[entry.name])} and {_origin(entry)}; uninstall one"
            )
        found[entry.name] = entry
    return found


def _folder_card(path: Path) -> ModelCard:
    return ModelCard(
        name=f"folder_{_slug(path.resolve().name)}",
        kind="folder",
        description=f"Images anonymized elsewhere, from the folder {path.name}.",
        options={"path": str(path)},
    )


def _slug(name: str) -> str:
    """`name` as a card may be called: lower case letters, digits and underscores."""
    return re.sub(r"[^a-z0-9_]", "_", name.lower())


def _card_of(entry: EntryPoint) -> ModelCard:
    """A class that is used by name has no card file; its distribution and version stand in for one."""
    return ModelCard(
        name=_slug(entry.name), kind=entry.name, description=f"{entry.value} of {_origin(entry)}"
    )


def _load(entry: EntryPoint) -> Callable[[ModelCard], Anonymizer]:
    try:
        loaded: Callable[[ModelCard], Anonymizer] = entry.load()
    except (ImportError, AttributeError) as error:
        raise UsageError(
            f"'{entry.name}' of {_origin(entry)} cannot be imported ({error}); mend or uninstall the package"
        ) from error
    return loaded


def _origin(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value
