"""What a card and its checkpoint hold: networks, body template, truncation centres."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from anonbench.cards import Checkpoint, ModelCard, validate_section
from anonbench.crops import PACKAGED_TEMPLATE
from anonbench.errors import CardError, WeightsError
from anonbench.generators.appearance_mapper import AppearanceMapper
from anonbench.generators.build import (
    TEMPLATE_EMBEDDING,
    TRUNCATION_CENTRES,
    build_anonymizer,
    published_modules,
)
from anonbench.generators.config import ArchitectureConfig
from anonbench.generators.unet_stylegan import UNetStyleGAN
from anonbench.template import SurfaceTemplate, body_template
from anonbench.weights import load_strictly, read_tensors, require_sha256


@dataclass(frozen=True)
class TrainedGenerator:
    """A model as it was published, in float32, whatever its checkpoint is stored in.

    template: what surfaces must refer to. centres: float32 (K, style_dim) for multimodal truncation, or None.
    """

    architecture: ArchitectureConfig
    generator: UNetStyleGAN
    mapper: AppearanceMapper | None
    template: SurfaceTemplate
    centres: Tensor | None


def load_trained(card: ModelCard, folder: Path) -> TrainedGenerator:
    """The model of a card whose checkpoint lies in `folder`.

    Raises CardError where the card lacks or contradicts its architecture, WeightsError where the checkpoint
    is absent, has another sha256, or does not fit.
    """
    checkpoint = checkpoint_of(card)
    architecture = validate_section(
        ArchitectureConfig, card.architecture, f"model '{card.name}': architecture"
    )
    _check_capabilities(card, architecture)
    path = folder / checkpoint.file
    require_sha256(path, checkpoint.sha256)
    tensors = read_tensors(path)
    embedding = _table(tensors, TEMPLATE_EMBEDDING, body_template().embedding.shape[1], path)
    centres = _table(tensors, TRUNCATION_CENTRES, architecture.generator.style_dim, path)
    generator, mapper = build_anonymizer(architecture)
    modules = torch.nn.ModuleDict(published_modules(generator, mapper))
    load_strictly(modules, {name.replace("/", ".", 1): t for name, t in tensors.items()}, str(path))
    modules.eval().requires_grad_(False)
    template = _template(architecture.surface_template, embedding, path)
    return TrainedGenerator(architecture, generator, mapper, template, centres)


def checkpoint_of(card: ModelCard) -> Checkpoint:
    """The card's checkpoint. Raises CardError, saying how to get one, where there is none yet."""
    if card.checkpoint is None:
        raise CardError(
            f"model '{card.name}' has no checkpoint; train it with: anonbench train {card.name} --out FOLDER"
        )
    return card.checkpoint


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


def _table(tensors: dict[str, Tensor], name: str, width: int, path: Path) -> Tensor | None:
    """Takes a table of vectors out of `tensors`: float32 (rows, width), or None where there is none."""
    table = tensors.pop(name, None)
    if table is None:
        return None
    if table.dim() != 2 or table.shape[1] != width:
        raise WeightsError(
            f"{path}: '{name}' must have {width} columns, has shape {tuple(table.shape)}; get the file again"
        )
    return table.float()


def _template(name: str, embedding: Tensor | None, path: Path) -> SurfaceTemplate:
    """The packaged template, or the one whose embedding the checkpoint carries."""
    if name == PACKAGED_TEMPLATE:
        return body_template()
    if embedding is None:
        raise WeightsError(
            f"{path}: lacks '{TEMPLATE_EMBEDDING}', the vertices of the surface template '{name}' that its card "
            "names; publish the model again"
        )
    return SurfaceTemplate(name, embedding)
