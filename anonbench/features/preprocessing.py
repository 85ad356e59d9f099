"""From uint8 crops to what a network was trained on, described completely enough to be hashed."""

from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

_PILLOW = {"pillow_bilinear": Image.Resampling.BILINEAR, "pillow_bicubic": Image.Resampling.BICUBIC}


@dataclass(frozen=True)
class Preprocessing:
    """Resize (the aspect ratio is not kept), scale to [0, 1], normalize per channel.

    size: (H, W), or none for images as they are.
    interpolation: PyTorch's, or Pillow's own resize, to the bit: published networks were evaluated through it.
    antialias: average over the source pixels when shrinking. round_to_uint8: quantize after resizing, as
    image libraries do; the two differ by up to half a grey level. Pillow does both.
    """

    size: tuple[int, int] | None
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    interpolation: Literal["bilinear", "bicubic", "pillow_bilinear", "pillow_bicubic"] = "bilinear"
    antialias: bool = True
    round_to_uint8: bool = False

    def __post_init__(self) -> None:
        if self.interpolation in _PILLOW and not (self.antialias and self.round_to_uint8):
            raise ValueError("Pillow antialiases and rounds: set antialias and round_to_uint8")

    def __call__(self, images: Tensor) -> Tensor:
        """uint8 RGB (B, 3, H, W) -> float32 (B, 3, *size), in channels-last memory: faster on a CPU."""
        mean, std = (torch.tensor(v, device=images.device).view(1, 3, 1, 1) for v in (self.mean, self.std))
        normalized = (self._resized(images) / 255.0 - mean) / std
        return normalized.contiguous(memory_format=torch.channels_last)

    def describe(self) -> dict[str, object]:
        """Everything that decides the result, for digests and records."""
        return asdict(self)

    def _resized(self, images: Tensor) -> Tensor:
        if self.size is None or tuple(images.shape[2:]) == self.size:
            return images.float()
        if self.interpolation in _PILLOW:
            return self._resized_by_pillow(images, self.size).float()
        resized = F.interpolate(
            images.float(), self.size, mode=self.interpolation, antialias=self.antialias, align_corners=False
        )
        return resized.round().clamp(0, 255) if self.round_to_uint8 else resized

    def _resized_by_pillow(self, images: Tensor, size: tuple[int, int]) -> Tensor:
        rule = _PILLOW[self.interpolation]
        pictures = [Image.fromarray(image) for image in images.permute(0, 2, 3, 1).cpu().numpy()]
        resized = np.stack([np.asarray(picture.resize(size[::-1], rule)) for picture in pictures])
        return torch.from_numpy(resized).permute(0, 3, 1, 2).to(images.device)
