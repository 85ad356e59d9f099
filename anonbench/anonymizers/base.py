"""The common interface of all anonymizers."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor

from anonbench.cards import ModelCard
from anonbench.crops import Outcome, PersonCrops


class Anonymizer(Protocol):
    """Crops in, images out. Pixels outside the person mask and crops with outcome NONE come back bit-exact.

    card: name, kind and capabilities. `card.latent_dim` is the size of z; None: the crops alone decide.
    """

    @property
    def card(self) -> ModelCard:
        """What the anonymizer is; its digest names the results in caches and records."""
        ...

    def anonymize(self, crops: PersonCrops, latents: Tensor | None = None, truncation: float = 1.0) -> Tensor:
        """Anonymized images: uint8 (B, 3, H, W), RGB.

        latents: float32 (B, latent_dim), standard normal; ignored where `card.latent_dim` is None.
        truncation: 1 uses the latents as they are, 0 the zero vector (thesis section 2.11).
        """
        ...


@runtime_checkable
class Reconstructing(Anonymizer, Protocol):
    """An anonymizer with an appearance mapper (thesis section 4.7): `card.can_reconstruct` is true."""

    def encode(self, crops: PersonCrops) -> Tensor:
        """Latents of the persons as they look in the crops: float32 (B, latent_dim)."""
        ...


@runtime_checkable
class CheckedAnonymizer(Anonymizer, Protocol):
    """An anonymizer that can tell before a run whether it has an answer for every sample."""

    def check(self, keys: Sequence[str]) -> None:
        """Raise DataError, naming samples, unless exactly the samples `keys` can be anonymized."""
        ...


def area_to_change(crops: PersonCrops) -> Tensor:
    """bool (B, 1, H, W): the person mask, empty where nothing was detected (outcome NONE)."""
    found = crops.outcome != Outcome.NONE
    return crops.person_mask & found[:, None, None, None]
