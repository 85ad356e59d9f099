"""The strongest attacker: the packaged re-ID network trained on, with anonymized images of known people.

It starts where an attacker would, from a network that already tells people apart, and learns that anonymized and
untouched images of one person belong together. A run is continued where it was stopped and ends the same.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from anonbench.cards import ExtractorCard, Strict, packaged_card, validate_section
from anonbench.errors import DataError
from anonbench.features.osnet import OsnetArchitecture, OsnetOptions, osnet, synthetic_input
from anonbench.progress import track_speed
from anonbench.resources import resource_dir
from anonbench.training.checkpoints import load_optimizers, load_tensors, optimizer_tensors, save_tensors
from anonbench.training.reid_augmentation import Augmentation
from anonbench.training.reid_losses import supervised_contrastive
from anonbench.weights import load_strictly, read_tensors, require_sha256

NAME = "osnet_retrained"
START = "osnet_synthetic"
"""The packaged network that training starts from."""

_NETWORK, _OPTIMIZER = "network/", "adam"
"""What tensors of a checkpoint are called after."""

Integers = NDArray[np.int64]


class AttackerTraining(Strict):
    """Every setting of the training; its digest stands in records as that of the extractor."""

    start: str = START
    steps: int = Field(default=200, ge=1)
    persons_per_batch: int = Field(default=16, ge=2)
    images_per_person: int = Field(default=4, ge=2, description="half anonymized, half untouched")
    learning_rate: float = Field(default=5e-4, gt=0, description="falls to zero along a cosine")
    weight_decay: float = Field(default=5e-4, ge=0)
    temperature: float = Field(default=0.1, gt=0, description="of the contrastive loss")
    checkpoint_every: int = Field(default=25, ge=1, description="steps")
    seed: int = 0
    augmentation: Augmentation = Augmentation()


@dataclass(frozen=True)
class KnownPeople:
    """What the attacker has: images of people whom they know.

    anonymized, original: uint8 (A, 3, H, W) and (O, 3, H, W); their persons: int64 (A,) and (O,).
    """

    anonymized: NDArray[np.uint8]
    anonymized_person: Integers
    original: NDArray[np.uint8]
    original_person: Integers

    @property
    def known(self) -> Integers:
        """Who has images of both kinds."""
        return np.intersect1d(self.anonymized_person, self.original_person)

    def batch(self, step: int, settings: AttackerTraining) -> tuple[Tensor, Tensor]:
        """uint8 images and int64 labels of one step: they depend on seed and step alone, so runs can resume."""
        rng = np.random.default_rng((settings.seed, step))
        chosen = rng.choice(self.known, min(settings.persons_per_batch, len(self.known)), replace=False)
        half = settings.images_per_person // 2
        sides = (
            (self.anonymized, self.anonymized_person, settings.images_per_person - half),
            (self.original, self.original_person, half),
        )
        images, labels = [], []
        for images_of_side, person, count in sides:
            for label, who in enumerate(chosen):
                members = np.flatnonzero(person == who)
                images.append(images_of_side[rng.choice(members, count, replace=len(members) < count)])
                labels += [label] * count
        return torch.from_numpy(np.concatenate(images)), torch.tensor(labels)


def train_attacker(
    people: KnownPeople, settings: AttackerTraining, checkpoint: Path
) -> Callable[[Tensor], Tensor]:
    """uint8 (B, 3, H, W) -> unit length float32 (B, 512), trained on `people`.

    checkpoint: file that a stopped run is continued from; a finished one is only read. Its name must depend on the
    images and the settings. Raises DataError for fewer than two people.
    """
    if len(people.known) < 2:
        raise DataError(f"an attacker needs at least two people to tell apart, got {len(people.known)}")
    network, input_size = start_network()
    normalize = synthetic_input(input_size)
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=settings.weight_decay)
    done = _resume(network, optimizer, checkpoint)
    network.train()
    for step in track_speed(range(done, settings.steps), "retraining OSNet", settings.steps - done, "steps"):
        images, labels = people.batch(step, settings)
        rng = np.random.default_rng((settings.seed, step, 1))
        _, features = network(normalize(settings.augmentation(images, input_size, rng)))
        loss = supervised_contrastive(features, labels, settings.temperature)
        for group in optimizer.param_groups:
            group["lr"] = 0.5 * settings.learning_rate * (1 + math.cos(math.pi * step / settings.steps))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if (step + 1) % settings.checkpoint_every == 0 or step + 1 == settings.steps:
            _save(network, optimizer, step + 1, checkpoint)
    network.eval()

    def features_of(images: Tensor) -> Tensor:
        with torch.inference_mode():
            parts = [network(normalize(part)) for part in torch.split(images, 32)]
        return F.normalize(torch.cat(parts), dim=1)

    return features_of


def start_network() -> tuple[nn.Module, tuple[int, int]]:
    """The packaged network with its weights, whose training output includes features; and its input size (H, W)."""
    card = packaged_card("models/extractors", START, ExtractorCard)
    where = f"models/extractors/{START}.yaml"
    architecture = validate_section(OsnetArchitecture, card.architecture, where)
    options = validate_section(OsnetOptions, card.options, where)
    assert card.checkpoint is not None  # packaged
    path = resource_dir("models") / "extractors" / card.checkpoint.file
    require_sha256(path, card.checkpoint.sha256)
    # The classifier is not packaged, and contrast alone needs none.
    network = osnet(architecture.width, architecture.identities, "triplet", architecture.instance_norm)
    load_strictly(network, read_tensors(path), str(path), unused=("classifier.",))
    return network.to(memory_format=torch.channels_last), options.input_size


def _resume(network: nn.Module, optimizer: torch.optim.Optimizer, checkpoint: Path) -> int:
    """The number of steps that are done, after loading what they left."""
    if not checkpoint.exists():
        return 0
    tensors, state = load_tensors(checkpoint)
    weights = {k.removeprefix(_NETWORK): v for k, v in tensors.items() if k.startswith(_NETWORK)}
    network.load_state_dict(weights)
    load_optimizers({_OPTIMIZER: optimizer}, {k: v for k, v in tensors.items() if not k.startswith(_NETWORK)})
    return int(state["step"])


def _save(network: nn.Module, optimizer: torch.optim.Optimizer, step: int, checkpoint: Path) -> None:
    weights = {f"{_NETWORK}{name}": tensor for name, tensor in network.state_dict().items()}
    save_tensors(checkpoint, weights | optimizer_tensors({_OPTIMIZER: optimizer}), {"step": step})
