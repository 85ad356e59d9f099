"""Pass one: anonymized images, stored once under a content key."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anonbench.anonymizers.base import Anonymizer, Reconstructing
from anonbench.crops import PersonCrops
from anonbench.features.store import KeyPart, feature_store, image_store
from anonbench.latents import latents_for, slerp
from anonbench.progress import track
from anonbench.protocols.crops import BATCH, CropSource

Images = NDArray[np.uint8]


@dataclass(frozen=True)
class Sampling:
    """Which latent every sample gets.

    tokens: one per sample; equal tokens get equal latents within a seed (`anonbench.latents`).
    source: "latents" draws them, "mapper" takes them from an original person (thesis 4.7): the one in the sample
        whose key is the token, without tokens the one in the crop.
    towards, step: a second token per sample, and how far its latent is gone towards that one's, 0 to 1 along the
        great circle between them.
    """

    name: str
    seed: int = 0
    tokens: tuple[str, ...] = ()
    truncation: float = 1.0
    source: Literal["latents", "mapper"] = "latents"
    towards: tuple[str, ...] = ()
    step: float = 0.0


@dataclass(frozen=True)
class ImageSet:
    """Images of a run in sample order. `key` holds everything that decides them."""

    key: tuple[KeyPart, ...]
    images: Images
    """uint8 (N, 3, H, W)"""

    def __len__(self) -> int:
        return len(self.images)

    def batches(self) -> list[Tensor]:
        """uint8 (<= 64, 3, H, W) tensors in order."""
        starts = range(0, len(self.images), BATCH)
        return [torch.from_numpy(np.array(self.images[start : start + BATCH])) for start in starts]


class Generation:
    """Anonymizes the crops of one source with one model; equal requests are made once and then read."""

    def __init__(self, model: Anonymizer, crops: CropSource) -> None:
        self.model = model
        self.crops = crops

    @property
    def has_latents(self) -> bool:
        """False: the model gives one and the same image whatever the seed."""
        return self.model.card.latent_dim is not None

    def original(self) -> ImageSet:
        """The untouched images."""
        return original_images(self.crops)

    def anonymized(self, sampling: Sampling) -> ImageSet:
        """Every sample anonymized with its latent."""
        if not self.has_latents:
            sampling = Sampling(name="deterministic")
        key: tuple[KeyPart, ...] = (
            "anonymized", self.crops.digest, self.model.card.digest,
            sampling.source, sampling.seed, sampling.truncation, _digest(sampling.tokens),
        )  # fmt: skip
        if sampling.towards:
            key = (*key, _digest(sampling.towards), sampling.step)
        return ImageSet(key, image_store().get_or_compute(key, lambda: self._anonymize_all(sampling)))

    def anonymized_subset(self, indices: Sequence[int], sampling: Sampling) -> Images:
        """A few samples anonymized, not stored: for galleries. `sampling.tokens` has one token per index."""
        return self._anonymize(self.crops.load(indices), sampling).numpy()

    def encoded(self, model: Reconstructing) -> NDArray[np.float32]:
        """(N, latent_dim): the latents of all samples as the model's appearance mapper reads them, found once."""

        def encode() -> NDArray[np.float32]:
            batches = track(self.crops.batches(), f"{model.card.name}: encoding", self.crops.batch_count)
            return np.concatenate([model.encode(batch).numpy() for batch in batches])

        return feature_store().get_or_compute(("encoded", self.crops.digest, model.card.digest), encode)

    def _anonymize_all(self, sampling: Sampling) -> Images:
        description = f"{self.model.card.name}: {sampling.name}, seed {sampling.seed}"
        done: list[Images] = []
        start = 0
        for batch in track(self.crops.batches(), description, self.crops.batch_count):
            here = slice(start, start + len(batch))
            own = replace(sampling, tokens=sampling.tokens[here], towards=sampling.towards[here])
            done.append(self._anonymize(batch, own).numpy())
            start += len(batch)
        return np.concatenate(done)

    def _anonymize(self, crops: PersonCrops, sampling: Sampling) -> Tensor:
        if not self.has_latents:
            return self.model.anonymize(crops)
        return self.model.anonymize(crops, self._latents(crops, sampling), sampling.truncation)

    def _latents(self, crops: PersonCrops, sampling: Sampling) -> Tensor:
        if sampling.source == "mapper" and isinstance(self.model, Reconstructing):
            if not sampling.tokens:
                return self.model.encode(crops)
            positions = [self._position[key] for key in sampling.tokens]
            return torch.from_numpy(self.encoded(self.model)[positions])
        dim = self.model.card.latent_dim or 0
        latents = latents_for(sampling.seed, sampling.tokens, dim)
        if not sampling.towards:
            return latents
        return slerp(latents, latents_for(sampling.seed, sampling.towards, dim), sampling.step)

    @cached_property
    def _position(self) -> dict[str, int]:
        return {key: position for position, key in enumerate(self.crops.samples["key"])}


def original_images(crops: CropSource) -> ImageSet:
    """The untouched images of a source."""

    def read() -> Images:
        batches = track(crops.batches(), "reading the originals", crops.batch_count)
        return np.concatenate([batch.image.numpy() for batch in batches])

    key = ("original", crops.dataset.digest)
    return ImageSet(key, image_store().get_or_compute(key, read))


def _digest(tokens: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(tokens).encode()).hexdigest()
