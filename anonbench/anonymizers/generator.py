"""Anonymizers made of a trained generator: the baseline, the final model and everything in between."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from anonbench.anonymizers.synthesis import (
    CHUNK,
    at_resolution,
    blurred,
    chunks_with,
    latents_of,
    put_back,
)
from anonbench.anonymizers.trained import TrainedGenerator, load_trained
from anonbench.cards import ModelCard, Strict, validate_section
from anonbench.crops import Outcome, PersonCrops
from anonbench.errors import CardError, UsageError
from anonbench.generators.conditions import Conditions, conditions_of, generator_input, mapper_input
from anonbench.latents import truncate, truncate_to_centres


class GeneratorOptions(Strict):
    """`options` of the card."""

    truncation: Literal["plain", "multimodal"] = Field(
        default="plain",
        description="towards the zero vector of Z, or the nearest of the checkpoint's centres in W (thesis 2.11)",
    )


class GeneratorAnonymizer:
    """Synthesizes a new person into every crop with a surface (thesis 5.3.5).

    Crops with a mask only are blurred, crops without detection stay untouched. On one machine and number of
    threads the result depends on nothing but crops and latents. Another batch size may sum in another order
    inside a convolution: single values then differ by one grey level at most.
    """

    def __init__(self, card: ModelCard, trained: TrainedGenerator) -> None:
        options = validate_section(GeneratorOptions, card.options, f"model '{card.name}': options")
        if options.truncation == "multimodal" and trained.centres is None:
            raise CardError(
                f"model '{card.name}': its checkpoint has no centres for multimodal truncation; "
                "make them with: anonbench models centres CARD.yaml"
            )
        self.card = card
        self._centres = trained.centres if options.truncation == "multimodal" else None
        self._size = trained.architecture.resolution
        self._seen = trained.architecture.generator.conditions
        self._template = trained.template
        self._generator = trained.generator
        self._mapper = trained.mapper

    def anonymize(self, crops: PersonCrops, latents: Tensor | None = None, truncation: float = 1.0) -> Tensor:
        """Anonymized images, uint8 (B, 3, H, W); bit-exact outside the person masks.

        latents: float32 (B, latent_dim), or None for one per sample key.
        truncation: 1 leaves z as drawn. Plain: z is multiplied by it, 0 is the zero vector. Multimodal: w is
            pulled towards its nearest centre, 0 is that centre (thesis 2.11).
        Noise is off, so that the same z is the same person in the same crop.
        Raises DataError if the surfaces refer to another body template than the model's.
        """
        latents = latents_of(crops, latents, self._generator.latent_dim)
        result = blurred(crops)
        for index in chunks_with(crops, Outcome.SURFACE):
            styles = self._styles(latents[index], truncation)
            result[index] = self._synthesize(crops.select(index), styles)
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
            conditions = self._conditions(crops.select(index))
            latents[index], _ = self._mapper(mapper_input(conditions, self._seen), conditions.person_mask)
        return latents

    def _conditions(self, crops: PersonCrops) -> Conditions:
        """What the networks see: they have learnt people of one size in pixels, so crops at that resolution."""
        if "surface_embedding" not in self._seen:
            # No vertex is looked up: any body template will do, and only where there is a surface matters.
            crops = replace(crops, surface=crops.surface.clamp(max=0), template=self._template.name)
        return conditions_of(at_resolution(crops, self._size), self._template)

    def _styles(self, latents: Tensor, truncation: float) -> Tensor:
        """w of truncated latents (B, latent_dim): (B, style_layers, style_dim)."""
        if self._centres is None:
            return self._generator.styles_of(truncate(latents, truncation))
        # One by one: in a batch of another size w may round otherwise, and fall to another centre.
        styles = [self._generator.styles_of(z) for z in torch.split(latents, 1)]
        return truncate_to_centres(torch.cat(styles), self._centres, truncation)

    def _synthesize(self, crops: PersonCrops, styles: Tensor) -> Tensor:
        """The result is composited at the network's resolution before it is enlarged.

        Outside the mask the network's output was never trained, and interpolation would draw it into the rim
        of the person.
        """
        conditions = self._conditions(crops)
        painted = self._generator.paint(generator_input(conditions, self._seen), styles)
        return put_back(crops, conditions.composite(painted))


def load_generator(card: ModelCard, folder: Path) -> GeneratorAnonymizer:
    """The anonymizer of a card whose checkpoint lies in `folder`; raises what `load_trained` raises."""
    return GeneratorAnonymizer(card, load_trained(card, folder))
