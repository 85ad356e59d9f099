"""Anonymizers made of a trained generator: the baseline, the final model and everything in between."""

from pathlib import Path

import torch
from torch import Tensor

from anonbench.anonymizers.naive import heavy_blur
from anonbench.anonymizers.synthesis import CHUNK, at_resolution, chunks_with, put_back
from anonbench.cards import ModelCard, validate_section
from anonbench.crops import Outcome, PersonCrops
from anonbench.errors import CardError, UsageError
from anonbench.generators.appearance_mapper import AppearanceMapper
from anonbench.generators.build import build_anonymizer, published_modules
from anonbench.generators.conditions import conditions_of, generator_input, mapper_input
from anonbench.generators.config import ArchitectureConfig
from anonbench.generators.unet_stylegan import UNetStyleGAN
from anonbench.latents import latents_for, sample_tokens, truncate
from anonbench.weights import load_strictly, read_tensors, require_sha256


class GeneratorAnonymizer:
    """Synthesizes a new person into every crop with a surface (thesis 5.3.5).

    Crops with a mask only are blurred, crops without detection stay untouched. On one machine and number of
    threads the result depends on nothing but crops and latents. Another batch size may sum in another order
    inside a convolution: single values then differ by one grey level at most.
    """

    def __init__(
        self,
        card: ModelCard,
        architecture: ArchitectureConfig,
        generator: UNetStyleGAN,
        mapper: AppearanceMapper | None,
    ) -> None:
        self.card = card
        self._size = architecture.resolution
        self._generator = generator.eval().requires_grad_(False)
        self._mapper = None if mapper is None else mapper.eval().requires_grad_(False)

    def anonymize(self, crops: PersonCrops, latents: Tensor | None = None, truncation: float = 1.0) -> Tensor:
        """Anonymized images, uint8 (B, 3, H, W); bit-exact outside the person masks.

        latents: float32 (B, latent_dim), or None for one per sample key.
        truncation: z is multiplied by it; 1 leaves it as drawn, 0 is the zero vector (thesis 2.11).
        Noise is off, so that the same z is the same person in the same crop.
        """
        dim = self._generator.latent_dim
        if latents is None:
            latents = latents_for(0, sample_tokens(crops.key), dim)
        if tuple(latents.shape) != (len(crops), dim):
            raise ValueError(f"latents must be ({len(crops)}, {dim}), got {tuple(latents.shape)}")
        latents = truncate(latents.float(), truncation)
        result = crops.image.clone()
        for index in chunks_with(crops, Outcome.MASK_ONLY):
            result[index] = heavy_blur(crops.image[index], crops.person_mask[index])
        for index in chunks_with(crops, Outcome.SURFACE):
            result[index] = self._synthesize(crops.select(index), latents[index])
        return result

    def encode(self, crops: PersonCrops) -> Tensor:
        """The latents of the persons as they look in the crops: mu of the appearance mapper.

        Returns float32 (B, latent_dim). Raises UsageError if the model has no appearance mapper.
        """
        if self._mapper is None:
            raise UsageError(
                f"model '{self.card.name}' has no appearance mapper; use one with can_reconstruct"
            )
        latents = torch.zeros(len(crops), self._generator.latent_dim)
        for index in torch.split(torch.arange(len(crops)), CHUNK):
            conditions = conditions_of(at_resolution(crops.select(index), self._size))
            latents[index], _ = self._mapper(mapper_input(conditions), conditions.person_mask)
        return latents

    def _synthesize(self, crops: PersonCrops, latents: Tensor) -> Tensor:
        """The network has learnt people of one size in pixels: it sees every crop at that resolution.

        The result is composited there before it is enlarged, since outside the mask the network's output was
        never trained, and interpolation would draw it into the rim of the person.
        """
        conditions = conditions_of(at_resolution(crops, self._size))
        generated = conditions.composite(self._generator(generator_input(conditions), latents))
        return put_back(crops, generated)


def load_generator(card: ModelCard, folder: Path) -> GeneratorAnonymizer:
    """The anonymizer of a card whose checkpoint lies in `folder`.

    Raises CardError where the card lacks or contradicts its architecture, WeightsError where the checkpoint
    is absent, has another sha256, or does not fit.
    """
    if card.checkpoint is None:
        raise CardError(f"model '{card.name}' has no checkpoint; train it, then publish it to its card")
    architecture = validate_section(
        ArchitectureConfig, card.architecture, f"model '{card.name}': architecture"
    )
    _check_capabilities(card, architecture)
    path = folder / card.checkpoint.file
    require_sha256(path, card.checkpoint.sha256)
    generator, mapper = build_anonymizer(architecture)
    modules = torch.nn.ModuleDict(published_modules(generator, mapper))
    tensors = {name.replace("/", ".", 1): tensor for name, tensor in read_tensors(path).items()}
    load_strictly(modules, tensors, str(path))
    return GeneratorAnonymizer(card, architecture, generator, mapper)


def _check_capabilities(card: ModelCard, architecture: ArchitectureConfig) -> None:
    """What the card promises its users must be what its architecture can do."""
    if card.latent_dim != architecture.generator.latent_dim:
        raise CardError(
            f"model '{card.name}': key 'latent_dim' is {card.latent_dim}, "
            f"its architecture has {architecture.generator.latent_dim}"
        )
    if card.can_reconstruct != (architecture.appearance_mapper is not None):
        raise CardError(
            f"model '{card.name}': key 'can_reconstruct' must be true with an appearance mapper only"
        )
