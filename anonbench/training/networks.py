"""Builds the networks of an architecture, and keeps the ones in training with their averages."""

from dataclasses import dataclass

import torch
from torch import nn

from anonbench.generators.appearance_mapper import AppearanceMapper
from anonbench.generators.build import build_anonymizer, published_modules
from anonbench.generators.config import ArchitectureConfig
from anonbench.generators.discriminator import Discriminator
from anonbench.generators.unet_stylegan import UNetStyleGAN
from anonbench.training.ema import averaged_copy, update_average


@dataclass
class Networks:
    """What a training run moves. `average_*` are the weights that are published."""

    generator: UNetStyleGAN
    mapper: AppearanceMapper | None
    discriminator: Discriminator
    average_generator: UNetStyleGAN
    average_mapper: AppearanceMapper | None

    @staticmethod
    def build(architecture: ArchitectureConfig, seed: int, device: torch.device | str = "cpu") -> "Networks":
        """Networks with random weights that depend on the seed only."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            generator, mapper = build_anonymizer(architecture)
            discriminator = Discriminator(
                architecture.discriminator, architecture.resolution, architecture.levels
            )
        for module in (generator, mapper, discriminator):
            if module is not None:
                module.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return Networks(
            generator,
            mapper,
            discriminator,
            averaged_copy(generator),
            None if mapper is None else averaged_copy(mapper),
        )

    @property
    def modules(self) -> dict[str, nn.Module]:
        """All networks by the name that they have in a checkpoint."""
        named = {
            "generator": self.generator,
            "mapper": self.mapper,
            "discriminator": self.discriminator,
            "average_generator": self.average_generator,
            "average_mapper": self.average_mapper,
        }
        return {name: module for name, module in named.items() if module is not None}

    def published(self) -> dict[str, nn.Module]:
        """The averaged networks by the name that they have in a published checkpoint."""
        return published_modules(self.average_generator, self.average_mapper)

    def parameter_counts(self) -> dict[str, int]:
        """Trained parameters per network."""
        trained = {name: m for name, m in self.modules.items() if not name.startswith("average_")}
        return {name: sum(p.numel() for p in m.parameters()) for name, m in trained.items()}

    def update_averages(self, decay: float) -> None:
        """One step of Equation 2.5 for generator and mapper."""
        update_average(self.average_generator, self.generator, decay)
        if self.mapper is not None and self.average_mapper is not None:
            update_average(self.average_mapper, self.mapper, decay)

    def generator_parameters(self) -> list[nn.Parameter]:
        """What the generator's optimizer moves: generator and appearance mapper."""
        mapper = [] if self.mapper is None else list(self.mapper.parameters())
        return [*self.generator.parameters(), *mapper]
