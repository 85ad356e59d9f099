"""What detectors do wrong, done to exact masks and keypoints: what the surface head must survive."""

import math
from dataclasses import replace

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from anonbench.cards import Strict
from anonbench.crops import KEYPOINTS, PersonCrops

_LEFT = [i for i, name in enumerate(KEYPOINTS) if name.startswith("left_")]
_RIGHT = [i for i, name in enumerate(KEYPOINTS) if name.startswith("right_")]
Probability = float


class DetectorNoise(Strict):
    """How often and how much. Lengths are fractions of the crop height; probabilities are per crop."""

    edge: float = Field(
        default=0.4, ge=0, lt=0.5, description="shift of the mask's soft edge, erosion to dilation"
    )
    roughness: float = Field(default=0.15, ge=0, description="the same shift, varying along the edge")
    hole: Probability = Field(default=0.25, ge=0, le=1, description="an ellipse is missing")
    cut: Probability = Field(default=0.15, ge=0, le=1, description="everything beyond a line is missing")
    neighbour: Probability = Field(default=0.1, ge=0, le=1, description="another person is in the mask")
    jitter: float = Field(default=0.012, ge=0, description="largest standard deviation of keypoints")
    missing: float = Field(default=0.25, ge=0, le=1, description="largest share of keypoints not found")
    swapped_pair: Probability = Field(
        default=0.06, ge=0, le=1, description="left and right of one joint, per pair"
    )
    swapped_person: Probability = Field(default=0.02, ge=0, le=1, description="left and right of all joints")


def disturb(crops: PersonCrops, noise: DetectorNoise, generator: torch.Generator) -> PersonCrops:
    """Crops as a detector would have found them: other masks and keypoints, the true surface."""
    return replace(
        crops,
        person_mask=disturb_masks(crops.person_mask, noise, generator),
        keypoints=disturb_keypoints(crops.keypoints, crops.size, noise, generator),
    )


def disturb_masks(mask: Tensor, noise: DetectorNoise, generator: torch.Generator) -> Tensor:
    """bool (B, 1, H, W): eroded or dilated with a rough edge, with holes, cuts and neighbours."""
    b, _, h, w = mask.shape
    radius = max(1, h // 36)
    soft = F.avg_pool2d(mask.float(), 2 * radius + 1, stride=1, padding=radius, count_include_pad=False)
    coarse = torch.randn((b, 1, h // 8, w // 8), generator=generator) * noise.roughness
    level = 0.5 + _uniform((b, 1, 1, 1), -noise.edge, noise.edge, generator)
    level = level + F.interpolate(coarse, (h, w), mode="bilinear", align_corners=False)
    result = soft > level.clamp(0.02, 0.98)

    others = _shifted(mask.roll(1, dims=0), int(_uniform((), -0.6, 0.6, generator) * w))
    result = result | (others & _happens(b, noise.neighbour, generator))
    result = result & ~(_ellipse(b, (h, w), generator) & _happens(b, noise.hole, generator))
    return result & ~(_half_plane(b, (h, w), generator) & _happens(b, noise.cut, generator))


def disturb_keypoints(
    keypoints: Tensor, size: tuple[int, int], noise: DetectorNoise, generator: torch.Generator
) -> Tensor:
    """float32 (B, 17, 3): moved, swapped, missing, and with a detector's vague visibility."""
    b = len(keypoints)
    points = _swap_sides(keypoints, noise, generator)
    hidden = points[..., 2] < 1
    deviation = _uniform((b, 1, 1), 0.2, 1.0, generator) * noise.jitter * size[0]
    moved = points[..., :2] + torch.randn((b, 17, 2), generator=generator) * deviation * (
        1 + hidden[..., None].float()
    )
    seen = torch.where(
        hidden, _uniform((b, 17), 0.05, 0.8, generator), _uniform((b, 17), 0.6, 1.0, generator)
    )
    share = _uniform((b, 1), 0.0, noise.missing, generator)
    found = (torch.rand((b, 17), generator=generator) >= share) & (points[..., 2] > 0)
    return torch.cat([moved, (seen * found)[..., None]], dim=2)


def _swap_sides(keypoints: Tensor, noise: DetectorNoise, generator: torch.Generator) -> Tensor:
    b, pairs = len(keypoints), len(_LEFT)
    swap = torch.rand((b, pairs), generator=generator) < noise.swapped_pair
    swap = swap ^ (torch.rand((b, 1), generator=generator) < noise.swapped_person)
    left, right = keypoints[:, _LEFT], keypoints[:, _RIGHT]
    result = keypoints.clone()
    result[:, _LEFT] = torch.where(swap[..., None], right, left)
    result[:, _RIGHT] = torch.where(swap[..., None], left, right)
    return result


def _shifted(mask: Tensor, pixels: int) -> Tensor:
    """The mask moved to the right (to the left if negative); nothing comes in from the border."""
    width = mask.shape[3]
    return F.pad(mask, (max(pixels, 0), max(-pixels, 0)))[..., max(-pixels, 0) :][..., :width]


def _happens(batch: int, probability: float, generator: torch.Generator) -> Tensor:
    return torch.rand((batch, 1, 1, 1), generator=generator) < probability


def _ellipse(batch: int, size: tuple[int, int], generator: torch.Generator) -> Tensor:
    """bool (B, 1, H, W): an ellipse of up to a quarter of the height somewhere in the middle."""
    h, w = size
    y, x = _grid(size)
    centre_y = _uniform((batch, 1, 1, 1), 0.15, 0.85, generator) * h
    centre_x = _uniform((batch, 1, 1, 1), 0.25, 0.75, generator) * w
    radius_y = _uniform((batch, 1, 1, 1), 0.02, 0.12, generator) * h
    radius_x = _uniform((batch, 1, 1, 1), 0.02, 0.08, generator) * h
    return ((y - centre_y) / radius_y).square() + ((x - centre_x) / radius_x).square() < 1


def _half_plane(batch: int, size: tuple[int, int], generator: torch.Generator) -> Tensor:
    """bool (B, 1, H, W): everything beyond a line that passes 0.1 to 0.45 heights from the centre."""
    h, w = size
    y, x = _grid(size)
    angle = _uniform((batch, 1, 1, 1), 0, 2 * math.pi, generator)
    distance = torch.sin(angle) * (y - h / 2) + torch.cos(angle) * (x - w / 2)
    return distance > _uniform((batch, 1, 1, 1), 0.1, 0.45, generator) * h


def _grid(size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    return torch.arange(size[0])[:, None] + 0.5, torch.arange(size[1]) + 0.5


def _uniform(shape: tuple[int, ...], low: float, high: float, generator: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=generator)
