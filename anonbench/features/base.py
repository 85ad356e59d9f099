"""What an extractor is: images to features, or two images to a perceptual distance."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

Kind = Literal["distribution", "perceptual", "reid"]

_BATCH = 32
"""Images that pass through a network at once; results do not depend on it beyond float32 rounding."""


class Extractor(Protocol):
    """Images to one feature vector each, for distances between distributions or between persons."""

    @property
    def name(self) -> str:
        """What metric keys and records call it."""

    @property
    def digest(self) -> str:
        """sha256 over weights and preprocessing: equal digests mean equal features."""

    @property
    def kind(self) -> Kind:
        """What the features are for."""

    @property
    def dim(self) -> int:
        """Length D of a feature vector."""

    def features(self, images: Tensor) -> Tensor:
        """uint8 RGB (B, 3, H, W) of any size -> float32 (B, D), on the CPU."""


class PerceptualExtractor(Protocol):
    """Two images to a perceptual distance, per image and per pixel."""

    @property
    def name(self) -> str:
        """What records call it."""

    @property
    def key(self) -> str:
        """The last part of its metric keys: "vgg16" in `lpips.diversity.vgg16`."""

    @property
    def digest(self) -> str:
        """sha256 over weights and preprocessing: equal digests mean equal distances."""

    @property
    def kind(self) -> Kind:
        """Always "perceptual"."""

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """uint8 RGB (B, 3, H, W) twice -> float32 (B,), on the CPU: the distance of whole images."""

    def distance_map(self, a: Tensor, b: Tensor) -> Tensor:
        """uint8 RGB (B, 3, H, W) twice -> float32 (B, 1, H, W): distance per pixel, to average in a mask."""

    def distance_and_map(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """Both, for the time of one."""


@dataclass(frozen=True)
class FeatureExtractor:
    """An `Extractor` whose network is built on first use: a run that finds all features stored builds none.

    build: makes the function from uint8 (B, 3, H, W) to float (B, D) on `device`.
    """

    name: str
    kind: Kind
    dim: int
    digest: str
    build: Callable[[torch.device], Callable[[Tensor], Tensor]]
    device: torch.device

    @cached_property
    def _network(self) -> Callable[[Tensor], Tensor]:
        return self.build(self.device)

    def features(self, images: Tensor) -> Tensor:
        """See `Extractor.features`."""
        check_images(images)
        with torch.inference_mode():
            parts = [self._network(batch.to(self.device)) for batch in torch.split(images, _BATCH)]
        return torch.cat([part.float().cpu() for part in parts])


@dataclass(frozen=True)
class LayeredDistance:
    """A `PerceptualExtractor` that sums distances over network layers, as LPIPS does (Zhang et al. 2018).

    build: makes the function from two uint8 batches to one distance map (B, 1, h, w) for each layer.
    """

    name: str
    key: str
    digest: str
    build: Callable[[torch.device], Callable[[Tensor, Tensor], Sequence[Tensor]]]
    device: torch.device
    kind: Kind = "perceptual"

    @cached_property
    def _layers(self) -> Callable[[Tensor, Tensor], Sequence[Tensor]]:
        return self.build(self.device)

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """See `PerceptualExtractor.distance`. Each layer is averaged over its own grid, as published."""
        return self._over_batches(a, b, _mean_of_grids)[0]

    def distance_map(self, a: Tensor, b: Tensor) -> Tensor:
        """See `PerceptualExtractor.distance_map`. Layers are upsampled bilinearly (LPIPS `spatial`).

        Its mean over the image differs from `distance` by what interpolation does at the borders.
        """
        return self._over_batches(a, b, partial(_upsampled, size=(a.shape[2], a.shape[3])))[0]

    def distance_and_map(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """See `PerceptualExtractor.distance_and_map`: the network sees the images once."""
        whole, spatial = self._over_batches(
            a, b, _mean_of_grids, partial(_upsampled, size=(a.shape[2], a.shape[3]))
        )
        return whole, spatial

    def _over_batches(self, a: Tensor, b: Tensor, *reductions: Callable[[Tensor], Tensor]) -> list[Tensor]:
        """For each reduction of a layer its sum over layers, for all images."""
        check_images(a)
        check_images(b)
        if a.shape != b.shape:
            raise ValueError(f"a perceptual distance needs images of one shape, got {a.shape} and {b.shape}")
        parts: list[list[Tensor]] = [[] for _ in reductions]
        with torch.inference_mode():
            for x, y in zip(torch.split(a, _BATCH), torch.split(b, _BATCH), strict=True):
                layers = self._layers(x.to(self.device), y.to(self.device))
                for part, reduce in zip(parts, reductions, strict=True):
                    part.append(torch.stack([reduce(layer) for layer in layers]).sum(dim=0).float().cpu())
        return [torch.cat(part) for part in parts]


def _mean_of_grids(layer: Tensor) -> Tensor:
    return layer.mean(dim=(1, 2, 3))


def _upsampled(layer: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(layer, size, mode="bilinear", align_corners=False)


def extractor_digest(name: str, weights_sha256: str, preprocessing: Mapping[str, object]) -> str:
    """sha256 over everything that decides a feature."""
    content = {"name": name, "weights": weights_sha256, "preprocessing": dict(preprocessing)}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def check_images(images: Tensor) -> None:
    """ValueError unless `images` is uint8 (B, 3, H, W) with at least one image."""
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3 or len(images) == 0:
        found = f"{images.dtype} {tuple(images.shape)}"
        raise ValueError(f"extractors take uint8 images (B, 3, H, W), got {found}")
