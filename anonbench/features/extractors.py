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
    variant: str
    """How an image enters the network, and what comes out: choices that change numbers."""
    parity: tuple[str, ...] = ()
    """Tests in tests/parity, without test_."""

    @property
    def key(self) -> str:
        """The last part of its metric keys: "vgg16" for `lpips.vgg16`."""
        return self.name.removeprefix("lpips.").removeprefix("perceptual_")


_ENTRIES = (
    ExtractorEntry(
        "mobilenet_v2", "distribution", "MobileNetV2 (ImageNet), pooled 1280-d; needs no download",
        "mobilenet", "mobilenet_v2", "mobilenet_v2",
        "squashed to 128x64, bilinear with antialias, not rounded; pooled, not normalized",
    ),
    ExtractorEntry(
        "inception_v3", "distribution", "InceptionV3 of the original FID, 2048-d; thesis FID",
        "inception", "inception_v3", "inception_v3",
        "squashed to 299x299 by TensorFlow 1's bilinear rule, not rounded; pool3, not normalized",
        parity=("inception_features_equal_torch_fidelity",),
    ),
    ExtractorEntry(
        "clip_vit_b32", "distribution", "CLIP ViT-B/32 image embedding, 512-d; thesis FID_CLIP",
        "clip", "clip_vit_b32", "clip_vit_b32",
        "squashed to 224x224, bicubic without antialias, not rounded or clipped; quick-GELU; not normalized",
        parity=("clip_features_equal_open_clip",),
    ),
    ExtractorEntry(
        "dinov2_vit_l14", "distribution", "DINOv2 ViT-L/14 class token, 1024-d; FD-DINOv2",
        "dinov2", "dinov2_vit_l14", "dinov2_vit_l14",
        "squashed to 224x224, Pillow's bicubic, rounded to bytes; not normalized",
        parity=("dinov2_network_equals_its_published_definition", "dinov2_features_equal_torch_fidelity"),
    ),
    ExtractorEntry(
        "perceptual_mobilenet_v2", "perceptual", "cosine distance of MobileNetV2 layers; needs no download",
        "mobilenet", "perceptual_mobilenet_v2", "mobilenet_v2",
        "native size; cosine per position, unweighted",
    ),
    ExtractorEntry(
        "lpips.vgg16", "perceptual", "LPIPS v0.1 on VGG16; thesis LPIPS",
        "lpips", "lpips_vgg16", "lpips.vgg16",
        "native size, [-1, 1]; version 0.1 heads",
        parity=("lpips_equals_the_lpips_package", "lpips_equals_torch_fidelity"),
    ),
    ExtractorEntry(
        "lpips.alex", "perceptual", "LPIPS v0.1 on AlexNet; its authors' default",
        "lpips", "lpips_alex", "lpips.alex",
        "native size, [-1, 1]; version 0.1 heads",
        parity=("lpips_equals_the_lpips_package",),
    ),
    ExtractorEntry(
        "osnet_synthetic", "reid", "OSNet trained on synthetic people, 512-d; packaged",
        "osnet", "osnet_synthetic", None,
        "squashed to 96x48, bilinear with antialias, rounded to bytes; unit length; euclidean",
    ),
    ExtractorEntry(
        "osnet_x1_0_market1501", "reid", "OSNet x1.0 trained on Market-1501, 512-d; thesis re-ID",
        "osnet", "osnet_x1_0_market1501", "osnet_x1_0_market1501",
        "squashed to 256x128, Pillow's bilinear, rounded to bytes; not normalized; euclidean",
        parity=("osnet_features_equal_torchreid",),
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
