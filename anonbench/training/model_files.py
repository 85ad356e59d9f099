"""The model of a run as everybody uses it: a card and the averaged weights, in the run's folder."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from anonbench.cache import write_text
from anonbench.cards import Checkpoint, ModelCard
from anonbench.crops import PACKAGED_TEMPLATE
from anonbench.generators.build import TEMPLATE_EMBEDDING, module_tensors
from anonbench.generators.config import ArchitectureConfig
from anonbench.template import SurfaceTemplate
from anonbench.training.checkpoints import save_tensors
from anonbench.training.config import TrainingConfig, TrainingRecord
from anonbench.training.networks import Networks
from anonbench.weights import file_sha256

_LAST = ("architecture", "training", "checkpoint")
"""Long sections follow what a reader wants to know first."""


@dataclass(frozen=True)
class ModelFiles:
    """`NAME.yaml` and `NAME.safetensors` in `folder`, for the model that `card` names and describes.

    hardware: what it is trained on. extra: tensors that the checkpoint carries beside the networks'.
    """

    folder: Path
    card: ModelCard
    architecture: ArchitectureConfig
    training: TrainingConfig
    hardware: str
    extra: Mapping[str, Tensor]

    @property
    def path(self) -> Path:
        """The card."""
        return self.folder / f"{self.card.name}.yaml"

    def write(self, networks: Networks, images: int, seconds: float, final: Mapping[str, float]) -> Path:
        """Writes both files as they stand after so many images and seconds; returns the card's path.

        Weights are float16: half the size, and images that differ by one grey level here and there (measured on
        the packaged models).
        """
        weights = self.path.with_suffix(".safetensors")
        average = module_tensors(networks.published())
        tensors = {name: tensor.to(torch.float16) for name, tensor in average.items()}
        save_tensors(weights, {**tensors, **self.extra})
        record = TrainingRecord(
            images=images,
            hardware=self.hardware,
            wall_hours=round(seconds / 3600, 2),
            parameters=networks.parameter_counts(),
            final={name: round(value, 4) for name, value in final.items()},
        )
        content = self._content(record, Checkpoint(file=weights.name, sha256=file_sha256(weights)))
        text = yaml.safe_dump(content, sort_keys=False, width=110, default_flow_style=None)
        write_text(self.path, text)
        return self.path

    def _content(self, record: TrainingRecord, checkpoint: Checkpoint) -> dict[str, Any]:
        """What the card's author wrote, with what the run has made of it."""
        training = self.training.model_copy(update={"record": record})
        card = self.card.model_copy(
            update={
                "latent_dim": self.architecture.generator.latent_dim,
                "can_reconstruct": self.architecture.appearance_mapper is not None,
                "architecture": self.architecture.model_dump(mode="json", exclude_unset=True),
                "training": training.model_dump(mode="json", exclude_unset=True),
                "checkpoint": checkpoint,
            }
        )
        content = card.model_dump(mode="json", exclude_defaults=True)
        return content | {name: content.pop(name) for name in _LAST}


def template_tensors(template: SurfaceTemplate) -> dict[str, Tensor]:
    """What a checkpoint must carry so that a model knows its body template; the packaged one it knows anyway."""
    packaged = template.name == PACKAGED_TEMPLATE
    return {} if packaged else {TEMPLATE_EMBEDDING: template.embedding}
