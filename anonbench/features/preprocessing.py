"""From uint8 crops to what a network was trained on, described completely enough to be hashed."""

from dataclasses import asdict, dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Preprocessing:
    """Resize (the aspect ratio is not kept), scale to [0, 1], normalize per channel.

    size: (H, W), or none for images as they are.
    antialias: average over the source pixels when shrinking. round_to_uint8: quantize after resizing, as
    image libraries do; the two differ by up to half a grey level.
    """

    size: tuple[int, int] | None
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    antialias: bool = True
    round_to_uint8: bool = False

    def __call__(self, images: Tensor) -> Tensor:
        """uint8 RGB (B, 3, H, W) -> float32 (B, 3, *size), in channels-last memory: faster on a CPU."""
        mean, std = (torch.tensor(v, device=images.device).view(1, 3, 1, 1) for v in (self.mean, self.std))
        normalized = (self._resized(images.float()) / 255.0 - mean) / std
        return normalized.contiguous(memory_format=torch.channels_last)

    def describe(self) -> dict[str, object]:
        """Everything that decides the result, for digests and records."""
        return asdict(self)

    def _resized(self, images: Tensor) -> Tensor:
        if self.size is None or tuple(images.shape[2:]) == self.size:
            return images
        resized = F.interpolate(
            images, self.size, mode=self.interpolation, antialias=self.antialias, align_corners=False
        )
        return resized.round().clamp(0, 255) if self.round_to_uint8 else resized
