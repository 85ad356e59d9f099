"""From an architecture, or a published checkpoint, to networks; and the names of weights in files."""

from collections.abc import Mapping

from torch import Tensor, nn

from anonbench.generators.appearance_mapper import AppearanceMapper
from anonbench.generators.config import ArchitectureConfig
from anonbench.generators.unet_stylegan import UNetStyleGAN

TEMPLATE_EMBEDDING = "template/embedding"
"""In a published checkpoint: float (V, 16), the vertices of the body template if it is not the packaged one."""
TRUNCATION_CENTRES = "truncation/centres"
"""In a published checkpoint, optional: float (K, style_dim), centres in W for multimodal truncation."""


def build_anonymizer(architecture: ArchitectureConfig) -> tuple[UNetStyleGAN, AppearanceMapper | None]:
    """Generator and, if the architecture has one, appearance mapper, with random weights."""
    config, section = architecture.generator, architecture.appearance_mapper
    generator = UNetStyleGAN(config, architecture.levels)
    if section is None:
        return generator, None
    mapper = AppearanceMapper(section, config.latent_dim, config.conditions, architecture.levels)
    return generator, mapper


def published_modules(generator: UNetStyleGAN, mapper: AppearanceMapper | None) -> dict[str, nn.Module]:
    """The modules of a published checkpoint, by the name that prefixes their weights there."""
    return {"generator": generator} | ({} if mapper is None else {"mapper": mapper})


def module_tensors(modules: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """Parameters and buffers of named modules, as `name/parameter`."""
    return {f"{name}/{key}": t for name, module in modules.items() for key, t in module.state_dict().items()}


def load_modules(modules: Mapping[str, nn.Module], tensors: Mapping[str, Tensor]) -> None:
    """Fills modules from `module_tensors`, in their own dtype.

    Raises RuntimeError where a parameter is missing, unknown or of another shape.
    """
    for name, module in modules.items():
        own = {key.removeprefix(f"{name}/"): t for key, t in tensors.items() if key.startswith(f"{name}/")}
        module.load_state_dict(own, strict=True)
