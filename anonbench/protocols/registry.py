"""The protocols by name: a card in `protocols/` and a `measure` function here."""

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

from anonbench.cards import ProtocolCard, packaged_card, packaged_cards

if TYPE_CHECKING:
    from anonbench.protocols.scoring import Context, Measurement


def protocol_names() -> list[str]:
    """Every protocol, in the order in which reports show them."""
    order = ("reid", "fid", "lpips", "pose_swap", "background_swap", "video")
    return sorted(packaged_cards("protocols", ProtocolCard), key=order.index)


def protocol_card(name: str) -> ProtocolCard:
    """A protocol's card. Raises UsageError listing the valid names."""
    return packaged_card("protocols", name, ProtocolCard)


def measure_function(name: str) -> "Callable[[Context], Measurement]":
    """The function that measures a protocol: `measure` in the module of the same name."""
    measure: Callable[[Context], Measurement] = import_module(f"anonbench.protocols.{name}").measure
    return measure
