"""What a crop goes through before the re-identification network sees it in training."""

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from anonbench.cards import Strict
from anonbench.crops import resize_images


class Augmentation(Strict):
    """Random flip, framing, resolution, blur, light and erasing.

    Anonymized crops come at other sizes and sharpness than real ones, and the network must not mistake that
    for identity: so resolution and blur are drawn anew for each quarter of a batch.
    """

    shift: float = Field(default=0.06, ge=0, description="largest move, as a fraction of the crop")
    zoom: float = Field(default=0.12, ge=0, lt=1, description="largest change of each side, independently")
    low_resolution: tuple[int, int] = Field(default=(72, 40), description="(H, W) some crops pass through")
    low_resolution_share: float = Field(default=0.5, ge=0, le=1)
    blur: float = Field(default=1.2, ge=0, description="largest Gaussian sigma, pixels of the result")
    blur_share: float = Field(default=0.3, ge=0, le=1)
    brightness: float = Field(default=0.2, ge=0, lt=1)
    contrast: float = Field(default=0.2, ge=0, lt=1)
    saturation: float = Field(default=0.2, ge=0, lt=1)
    tint: float = Field(default=0.06, ge=0, lt=1, description="largest gain of single colour channels")
    erase_share: float = Field(default=0.25, ge=0, le=1)
    erase_area: tuple[float, float] = Field(default=(0.02, 0.15), description="fractions of the crop")

    def __call__(self, images: Tensor, size: tuple[int, int], rng: np.random.Generator) -> Tensor:
        """uint8 (B, 3, H, W) -> uint8 (B, 3, *size)."""
        framed = self._frame(images, rng)
        parts = [self._resample(part, size, rng) for part in torch.chunk(framed, 4)]
        lit = self._relight(torch.cat(parts).float(), rng)
        return self._erase(lit, rng).round().clamp(0, 255).to(torch.uint8)

    def _frame(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        """Another position and size in the frame, mirrored half of the time; the border is repeated."""
        count = len(images)
        scale = 1.0 + rng.uniform(-self.zoom, self.zoom, (count, 2))
        scale[:, 0] *= rng.choice([-1.0, 1.0], count)
        move = 2.0 * rng.uniform(-self.shift, self.shift, (count, 2))
        affine = np.zeros((count, 2, 3), dtype=np.float32)
        affine[:, 0, 0], affine[:, 1, 1] = scale[:, 0], scale[:, 1]
        affine[:, :, 2] = move
        grid = F.affine_grid(torch.from_numpy(affine), list(images.shape), align_corners=False)
        framed = F.grid_sample(images.float(), grid, padding_mode="border", align_corners=False)
        return framed.round().to(torch.uint8)

    def _resample(self, images: Tensor, size: tuple[int, int], rng: np.random.Generator) -> Tensor:
        """To the network's size, some by way of a low resolution, some blurred."""
        if rng.random() < self.low_resolution_share:
            images = resize_images(images, self.low_resolution)
        images = resize_images(images, size)
        if rng.random() < self.blur_share:
            images = gaussian_blur(images, rng.uniform(0.3, max(0.3, self.blur)))
        return images

    def _relight(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        count = len(images)

        def gain(strength: float, channels: int = 1) -> Tensor:
            drawn = 1.0 + rng.uniform(-strength, strength, (count, channels, 1, 1))
            return torch.from_numpy(drawn.astype(np.float32))

        images = images * gain(self.brightness) * gain(self.tint, 3)
        mean = images.mean(dim=(1, 2, 3), keepdim=True)
        images = mean + (images - mean) * gain(self.contrast)
        grey = images.mean(dim=1, keepdim=True)
        return grey + (images - grey) * gain(self.saturation)

    def _erase(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        """A rectangle filled with the image's mean colour (Zhong et al. 2020), in a share of the images."""
        images = images.clone()
        _, _, height, width = images.shape
        for image in images:
            if rng.random() >= self.erase_share:
                continue
            area = rng.uniform(*self.erase_area) * height * width
            aspect = np.exp(rng.uniform(np.log(0.4), np.log(2.5)))
            h = int(np.clip(round((area * aspect) ** 0.5), 1, height))
            w = int(np.clip(round((area / aspect) ** 0.5), 1, width))
            top, left = rng.integers(height - h + 1), rng.integers(width - w + 1)
            image[:, top : top + h, left : left + w] = image.mean(dim=(1, 2))[:, None, None]
        return images


def gaussian_blur(images: Tensor, sigma: float) -> Tensor:
    """uint8 (B, 3, H, W), blurred; sigma in pixels, edges repeated."""
    radius = max(1, int(np.ceil(3 * sigma)))
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    kernel = (kernel / kernel.sum()).repeat(3, 1, 1)
    padded = F.pad(images.float(), (radius,) * 4, mode="replicate")
    rows = F.conv2d(padded, kernel[:, :, None, :], groups=3)
    return F.conv2d(rows, kernel[:, :, :, None], groups=3).round().clamp(0, 255).to(torch.uint8)
