"""The extractors by name. A metric key always ends in the name, so values of two extractors never mix."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import torch

from anonbench.errors import UsageError
from anonbench.features.base import Extractor, Kind, PerceptualExtractor


@dataclass(frozen=True)
class ExtractorEntry:
    """Where an extractor is made. Modules are named, not imported: listing them needs no network library."""

    name: str
    kind: Kind
    description: str
    module: str
    function: str
    weights: str | None
    """Name in the weights registry; none: packaged with anonbench."""


_ENTRIES = (
    ExtractorEntry(
        "mobilenet_v2", "distribution", "MobileNetV2 (ImageNet), pooled 1280-d; needs no download",
        "mobilenet", "mobilenet_v2", "mobilenet_v2",
    ),
    ExtractorEntry(
        "inception_v3", "distribution", "InceptionV3 of the original FID, 2048-d; thesis FID",
        "inception", "inception_v3", "inception_v3",
    ),
    ExtractorEntry(
        "clip_vit_b32", "distribution", "CLIP ViT-B/32 image embedding, 512-d; thesis FID_CLIP",
        "clip", "clip_vit_b32", "clip_vit_b32",
    ),
    ExtractorEntry(
        "perceptual_mobilenet_v2", "perceptual", "cosine distance of MobileNetV2 layers; needs no download",
        "mobilenet", "perceptual_mobilenet_v2", "mobilenet_v2",
    ),
    ExtractorEntry(
        "lpips.vgg16", "perceptual", "LPIPS v0.1 on VGG16; thesis LPIPS",
        "lpips", "lpips_vgg16", "lpips.vgg16",
    ),
    ExtractorEntry(
        "lpips.alex", "perceptual", "LPIPS v0.1 on AlexNet; its authors' default",
        "lpips", "lpips_alex", "lpips.alex",
    ),
    ExtractorEntry(
        "osnet_synthetic", "reid", "OSNet trained on synthetic people, 512-d; packaged",
        "osnet", "osnet_synthetic", None,
    ),
    ExtractorEntry(
        "osnet_x1_0_market1501", "reid", "OSNet x1.0 trained on Market-1501, 512-d; thesis re-ID",
        "osnet", "osnet_x1_0_market1501", "osnet_x1_0_market1501",
    ),
)  # fmt: skip

EXTRACTORS: dict[str, ExtractorEntry] = {entry.name: entry for entry in _ENTRIES}


def extractor_names(kind: Kind) -> list[str]:
    """Names of all extractors of one kind."""
    return [entry.name for entry in _ENTRIES if entry.kind == kind]


def load_extractor(name: str, device: torch.device | str = "cpu") -> Extractor:
    """A distribution or re-ID extractor. Its weights are checked now, its network is built on first use.

    Raises UsageError for an unknown name, WeightsError where the weights are absent or wrong.
    """
    extractor: Extractor = _maker(name, ("distribution", "reid"))(torch.device(device))
    return extractor


def load_perceptual(name: str, device: torch.device | str = "cpu") -> PerceptualExtractor:
    """A perceptual extractor; as `load_extractor`."""
    extractor: PerceptualExtractor = _maker(name, ("perceptual",))(torch.device(device))
    return extractor


def _maker(name: str, kinds: tuple[Kind, ...]) -> Callable[[torch.device], Any]:
    entry = EXTRACTORS.get(name)
    if entry is None or entry.kind not in kinds:
        valid = ", ".join(e.name for e in _ENTRIES if e.kind in kinds)
        raise UsageError(f"no {' or '.join(kinds)} extractor '{name}'; there are: {valid}")
    maker: Callable[[torch.device], Any] = getattr(
        import_module(f"anonbench.features.{entry.module}"), entry.function
    )
    return maker
