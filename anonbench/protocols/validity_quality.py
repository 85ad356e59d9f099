"""Measures of quality over graded damage: blur, noise, compression, and a mask that takes more than the person."""

import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from anonbench.anonymizers.naive import gaussian_blur
from anonbench.crops import composite
from anonbench.features.base import Extractor, PerceptualExtractor
from anonbench.latents import sample_tokens
from anonbench.metrics.frechet import frechet_distance_of_features
from anonbench.metrics.kernel import kernel_distance
from anonbench.metrics.prdc import prdc
from anonbench.protocols.crops import CropSource
from anonbench.protocols.generation import Generation, Images, ImageSet, Sampling
from anonbench.protocols.perturbations import changed, grown_mask
from anonbench.protocols.scoring import features_of, perceptual_distances
from anonbench.protocols.validity_planting import Integers, Quantity, Sweep

Features = NDArray[np.float32]
Damage = Callable[[Tensor, float, Sequence[str]], Tensor]


@dataclass(frozen=True)
class Fault:
    """A way to damage images. axis: what a level is. levels: ascending from 0, which is no damage.

    damage: from uint8 (B, 3, H, W), level and keys to the same, the same for the same key in any batch. None: the
    mask is grown before people are anonymized. inside: damage stays in the person mask.
    """

    name: str
    axis: str
    levels: tuple[float, ...]
    damage: Damage | None = None
    inside: bool = False


def blur(images: Tensor, sigma: float, keys: Sequence[str]) -> Tensor:
    """Gaussian blur; sigma in pixels."""
    return gaussian_blur(images, sigma / images.shape[2])


def add_noise(images: Tensor, deviation: float, keys: Sequence[str]) -> Tensor:
    """Gaussian noise of this standard deviation, of 255, from a stream of its own for every key."""
    noise = torch.from_numpy(np.stack([_standard_normal(key, tuple(images.shape[1:])) for key in keys]))
    return (images.float() + deviation * noise).round().clamp(0, 255).to(torch.uint8)


def compress(images: Tensor, loss: float, keys: Sequence[str]) -> Tensor:
    """JPEG of quality 100 - loss."""
    return torch.stack([_recompressed(image, round(100 - loss)) for image in images])


FAULTS = (
    Fault("blur_inside", "blur of the person, σ in pixels", (0, 0.5, 1, 2, 4), blur, inside=True),
    Fault("blur_whole", "blur of the crop, σ in pixels", (0, 0.5, 1, 2, 4), blur),
    Fault("noise_inside", "noise on the person, σ of 255", (0, 8, 16, 32, 64), add_noise, inside=True),
    Fault("noise_whole", "noise on the crop, σ of 255", (0, 8, 16, 32, 64), add_noise),
    Fault("jpeg", "JPEG, 100 − quality", (0, 10, 50, 75, 90), compress),
    Fault("mask_growth", "mask grown by pixels", (0, 1, 2, 4, 8)),
)


class Quality(Sweep):
    """Distribution and perceptual measures of anonymized crops of `val` under one kind of damage."""

    data = "synthetic/val"
    images_per_group = 1.0  # people of this split have one crop
    halves = 1
    least = 8

    def __init__(
        self, generation: Generation, fault: Fault, extractor: Extractor, perceptual: PerceptualExtractor
    ) -> None:
        self.fault = fault
        self.axis, self.levels = fault.axis, fault.levels
        self.groups = len(generation.crops)
        original = generation.original()
        sets = [damaged(generation, fault, level) for level in fault.levels]
        self._real = features_of(original, extractor)
        self._fake = [features_of(images, extractor) for images in sets]
        self._perceptual = [
            perceptual_distances(images, original, generation.crops, perceptual) for images in sets
        ]
        distribution, pairs = extractor.name, perceptual.key
        self.quantities = (
            Quantity(f"fid.value.{distribution}", "Fréchet distance", "quality", "distance", "lower"),
            Quantity(f"fid.kid.{distribution}", "KID", "quality", "squared distance", "lower"),
            Quantity(f"fid.precision.{distribution}", "precision", "quality", "fraction", "higher"),
            Quantity(f"fid.recall.{distribution}", "recall", "quality", "fraction", "higher"),
            Quantity(f"fid.density.{distribution}", "density", "quality", "balls", "higher"),
            Quantity(f"fid.coverage.{distribution}", "coverage", "quality", "fraction", "higher"),
            Quantity(f"lpips.random.{pairs}", "perceptual, crop", "quality", "distance", "lower"),
            Quantity(f"lpips.random_masked.{pairs}", "perceptual, person", "quality", "distance", "lower"),
        )

    def measure(self, members: Integers, half: int, repeat: int, level: int) -> Mapping[str, float]:
        """Each measure between these crops and their damaged anonymizations; nothing is drawn at random."""
        real, fake = self._real[members], self._fake[level][members]
        inside = prdc(real=real, fake=fake)
        whole, person = np.nanmean(self._perceptual[level][members], axis=0)
        values = (
            frechet_distance_of_features(real=real, fake=fake), kernel_distance(real=real, fake=fake),
            inside.precision, inside.recall, inside.density, inside.coverage, float(whole), float(person),
        )  # fmt: skip
        return {quantity.key: value for quantity, value in zip(self.quantities, values, strict=True)}


def damaged(generation: Generation, fault: Fault, level: float) -> ImageSet:
    """Every crop anonymized with a z of its own and damaged; level 0 is one set for every fault."""
    keys = generation.crops.samples["key"].tolist()
    sampling = Sampling("random", 0, tuple(sample_tokens(keys)))
    if level == 0:
        return generation.anonymized(sampling)
    if fault.damage is None:
        pixels = round(level)
        wider = partial(grown_mask, pixels=pixels)
        grown = changed(generation.crops, np.arange(len(keys)), f"mask grown by {pixels}", wider)
        return Generation(generation.model, grown).anonymized(sampling)
    base = generation.anonymized(sampling)
    return ImageSet((*base.key, fault.name, level), _apply(fault, level, base, generation.crops))


def _apply(fault: Fault, level: float, base: ImageSet, crops: CropSource) -> Images:
    assert fault.damage is not None
    parts = []
    for images, batch in zip(base.batches(), crops.batches(), strict=True):
        worse = fault.damage(images, level, batch.key)
        parts.append((composite(images, worse, batch.person_mask) if fault.inside else worse).numpy())
    return np.concatenate(parts)


def _standard_normal(key: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    digest = hashlib.sha256(f"damage/{key}".encode()).digest()
    stream = np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))
    return stream.standard_normal(shape, dtype=np.float32)


def _recompressed(image: Tensor, quality: int) -> Tensor:
    buffer = io.BytesIO()
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(buffer, "JPEG", quality=quality)
    with Image.open(buffer) as decoded:
        return torch.from_numpy(np.array(decoded.convert("RGB"))).permute(2, 0, 1)
