"""Which crops a step sees, and where its random numbers come from.

Every random draw of a micro-batch comes from a stream keyed by the run's seed and the number of the image
that the micro-batch starts with. Batches are therefore a function of their position in the run: a run that is
stopped and resumed, one whose batches are read ahead by other processes, and one that is spread over more
devices see the same crops, latents and noise, without any generator state in the checkpoint.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch.utils.data import DataLoader, Dataset

from anonbench.crops import PersonCrops
from anonbench.errors import AnonbenchError
from anonbench.generators.conditions import flip
from anonbench.template import SurfaceTemplate
from anonbench.training.config import TrainingConfig
from anonbench.training.mask_augmentation import dilate_masks


class Crops(Protocol):
    """What a run trains on. Every `CropDataset` is one."""

    def __len__(self) -> int:
        """Number of crops."""
        ...

    def load(self, indices: Sequence[int]) -> PersonCrops:
        """The crops at these positions, in this order."""
        ...


@dataclass(frozen=True)
class InMemoryCrops:
    """A training set that fits into memory."""

    crops: PersonCrops

    def __len__(self) -> int:
        return len(self.crops)

    def load(self, indices: Sequence[int]) -> PersonCrops:
        """The crops at these positions, in this order."""
        return self.crops.select(indices)


@dataclass(frozen=True)
class Batch:
    """Augmented crops, and the stream from which the rest of their micro-batch is drawn."""

    crops: PersonCrops
    draw: torch.Generator


@dataclass(frozen=True)
class Batches(Dataset[Batch]):
    """The micro-batches of a run, by the number of the image that each starts with.

    count: crops in each, drawn with replacement.
    """

    crops: Crops
    training: TrainingConfig
    template: SurfaceTemplate
    count: int

    def __getitem__(self, first: int) -> Batch:
        draw = stream(self.training.seed, first)
        crops = self.crops.load(torch.randint(len(self.crops), (self.count,), generator=draw).tolist())
        flipped = torch.rand(self.count, generator=draw) < self.training.flip_probability
        crops = flip(crops, flipped, self.template)
        mask = dilate_masks(crops.person_mask, self.training.mask_dilation, draw)
        return Batch(replace(crops, person_mask=mask), draw)

    def read(self, positions: Iterable[int], workers: int) -> Iterator[Batch]:
        """The micro-batches at `positions`, in that order, fetched ahead by `workers` processes; 0: by none."""
        if not workers:
            return (self[first] for first in positions)
        return _unwrapped(DataLoader(_Wrapped(self), batch_size=None, sampler=positions, num_workers=workers))


@dataclass(frozen=True)
class _Wrapped(Dataset[Batch | AnonbenchError]):
    """Batches as worker processes send them: an error the user can mend stays the one line that it is."""

    batches: Batches

    def __getitem__(self, first: int) -> Batch | AnonbenchError:
        try:
            return self.batches[first]
        except AnonbenchError as error:
            return error


def _unwrapped(sent: Iterable[Batch | AnonbenchError]) -> Iterator[Batch]:
    for batch in sent:
        if isinstance(batch, AnonbenchError):
            raise batch
        yield batch


def stream(seed: int, first_image: int) -> torch.Generator:
    """The generator of all random draws of the micro-batch that starts with image `first_image`."""
    digest = hashlib.sha256(f"training/{seed}/{first_image}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
