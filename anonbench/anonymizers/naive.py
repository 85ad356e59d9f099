"""Anonymizers without a network: the bounds between which every other one lies.

Sizes in options are fractions of the crop height, so that one card means the same at every resolution.
"""

import hashlib

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from anonbench.anonymizers.base import area_to_change
from anonbench.cards import ModelCard, Strict, validate_section
from anonbench.crops import PersonCrops, composite

HEAVY_SIGMA = 1 / 16
"""Standard deviation of the heavy blur, as a fraction of the crop height: a head is about twice as wide."""


class NoOptions(Strict):
    """A kind without options."""


class BlurOptions(Strict):
    """sigma: standard deviation of the Gaussian as a fraction of the crop height."""

    sigma: float = Field(default=1 / 32, gt=0, le=1)


class PixelateOptions(Strict):
    """blocks: number of square blocks over the crop height."""

    blocks: int = Field(default=24, ge=1)


class Original:
    """The images as they are: the ceiling of every utility measure and the floor of privacy."""

    def __init__(self, card: ModelCard) -> None:
        validate_section(NoOptions, card.options, card.name)
        self.card = card

    def anonymize(self, crops: PersonCrops, latents: Tensor | None = None, truncation: float = 1.0) -> Tensor:
        """The crops' own images."""
        return crops.image.clone()


class Blackout:
    """The person as a black silhouette. Shape and place remain."""

    def __init__(self, card: ModelCard) -> None:
        validate_section(NoOptions, card.options, card.name)
        self.card = card

    def anonymize(self, crops: PersonCrops, latents: Tensor | None = None, truncation: float = 1.0) -> Tensor:
        """Black inside the mask."""
        return crops.image.masked_fill(area_to_change(crops), 0)


class Noise:
    """The person as uniform noise, drawn from a stream of its own for every sample key."""

    def __init__(self, card: ModelCard) -> None:
        validate_section(NoOptions, card.options, card.name)
        self.card = card

    def anonymize(self, crops: PersonCrops, latents: Tensor | None = None, truncation: float = 1.0) -> Tensor:
        """Noise inside the mask: the same for the same key, whatever the batch."""
        noise = torch.stack([_noise(key, crops.size) for key in crops.key]) if crops.key else crops.image
        return composite(crops.image, noise, area_to_change(crops))


class GaussianBlur:
    """A blurred person."""

    def __init__(self, card: ModelCard) -> None:
        self.card = card
        self.options = validate_section(BlurOptions, card.options, card.name)

    def anonymize(self, crops: PersonCrops, latents: Tensor | None = None, truncation: float = 1.0) -> Tensor:
        """Blurred inside the mask."""
        return composite(crops.image, gaussian_blur(crops.image, self.options.sigma), area_to_change(crops))


class Pixelate:
    """The person as squares of one colour each."""

    def __init__(self, card: ModelCard) -> None:
        self.card = card
        self.options = validate_section(PixelateOptions, card.options, card.name)

    def anonymize(self, crops: PersonCrops, latents: Tensor | None = None, truncation: float = 1.0) -> Tensor:
        """Blocks inside the mask."""
        return pixelate(crops.image, area_to_change(crops), self.options.blocks)


def heavy_blur(image: Tensor, mask: Tensor) -> Tensor:
    """What happens to a crop with a mask but no surface (thesis section 5.3.5): a blur inside the mask.

    image: uint8 (B, 3, H, W); mask: bool (B, 1, H, W). Pixels outside the mask stay bit-exact.
    """
    return composite(image, gaussian_blur(image, HEAVY_SIGMA), mask)


def gaussian_blur(image: Tensor, sigma: float) -> Tensor:
    """Images blurred by a Gaussian whose sigma is a fraction of the height; uint8 (B, 3, H, W) in and out.

    Two matrix products in float64: exact for any sigma, independent of the batch. Nothing is known beyond
    the border, so the weights of the pixels inside are made to sum to one.
    """
    height, width = image.shape[2:]
    rows, columns = (gaussian_matrix(n, sigma * height).to(image.device) for n in (height, width))
    blurred = rows @ image.double() @ columns.T
    return blurred.round().clamp(0, 255).to(torch.uint8)


def gaussian_matrix(length: int, sigma: float) -> Tensor:
    """float64 (length, length): row i holds the weights of all pixels for pixel i, which sum to one.

    sigma: standard deviation in pixels.
    """
    position = torch.arange(length, dtype=torch.float64)
    weights = torch.exp(-((position[:, None] - position) ** 2) / (2 * sigma**2))
    return weights / weights.sum(dim=1, keepdim=True)


def pixelate(image: Tensor, mask: Tensor, blocks: int) -> Tensor:
    """One colour per square block inside the mask: the mean of the block's pixels inside the mask.

    image: uint8 (B, 3, H, W); mask: bool (B, 1, H, W); blocks: squares over the height, from the top left.
    Background does not enter the mean, so repeating it changes nothing. The rest stays bit-exact.
    """
    height, width = image.shape[2:]
    side = max(1, round(height / blocks))
    across = -(-width // side)
    row = torch.arange(height, device=image.device) // side
    column = torch.arange(width, device=image.device) // side
    block = (row[:, None] * across + column).flatten()
    count = across * -(-height // side)

    weights = mask.flatten(2).double()
    totals = weights.new_zeros((len(image), 3, count)).index_add_(2, block, image.flatten(2) * weights)
    areas = weights.new_zeros((len(image), 1, count)).index_add_(2, block, weights)
    means = (totals / areas.clamp(min=1)).round().to(torch.uint8)
    return composite(image, means[:, :, block].reshape(image.shape), mask)


def _noise(key: str, size: tuple[int, int]) -> Tensor:
    digest = hashlib.sha256(f"noise/{key}".encode()).digest()
    stream = np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))
    return torch.from_numpy(stream.integers(0, 256, (3, *size), dtype=np.uint8))
