"""The protocols by name: a card in `protocols/` and a `measure` function here."""

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

from anonbench.cards import ModelCard, Preset, ProtocolCard, packaged_card, packaged_cards
from anonbench.errors import UnfitError, UsageError

if TYPE_CHECKING:
    from anonbench.protocols.scoring import Context, Measurement

NEED_MAPPER = frozenset({"reconstruction"})
"""Protocols for models with an appearance mapper alone."""
ANONYMIZE_ANEW = frozenset({"path_length"})
"""Protocols that change crops, so that stored answers do not serve."""


def protocol_names() -> list[str]:
    """Every protocol, in the order in which reports show them."""
    order = (
        "reid", "pairs", "fid", "lpips", "reconstruction", "pose_swap", "background_swap", "path_length", "video",
        "privacy",
    )  # fmt: skip
    return sorted(packaged_cards("protocols", ProtocolCard), key=order.index)


def protocol_card(name: str) -> ProtocolCard:
    """A protocol's card. Raises UsageError listing the valid names."""
    return packaged_card("protocols", name, ProtocolCard)


def named_preset(card: ProtocolCard, name: str) -> Preset:
    """A preset of a protocol. Raises UsageError listing the names."""
    presets: dict[str, Preset] = {str(known): preset for known, preset in card.presets.items()}
    if name not in presets:
        raise UsageError(f"{card.name} has no preset '{name}'; there are: {', '.join(presets)}")
    return presets[name]


def require_fit(protocol: str, model: ModelCard) -> None:
    """Raise UnfitError, with the reason, where the protocol cannot measure the model."""
    if protocol in NEED_MAPPER and not model.can_reconstruct:
        raise UnfitError(
            f"{protocol} needs a model with an appearance mapper, which '{model.name}' has not: "
            "it cannot paint a given person"
        )
    if protocol in ANONYMIZE_ANEW and model.kind == "folder":
        raise UnfitError(
            f"{protocol} anonymizes changed crops, but '{model.name}' holds images that were anonymized before"
        )


def measure_function(name: str) -> "Callable[[Context], Measurement]":
    """The function that measures a protocol: `measure` in the module of the same name."""
    measure: Callable[[Context], Measurement] = import_module(f"anonbench.protocols.{name}").measure
    return measure
