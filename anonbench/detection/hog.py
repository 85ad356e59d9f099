"""Boxes that may hold a person, from OpenCV's pedestrian detector (Dalal and Triggs, CVPR 2005).

Quick and forgetful of nothing upright, but lamp posts and vans look like people to it: whoever uses these boxes
has to look again.
"""

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torchvision.ops import nms

from anonbench.cards import Strict
from anonbench.errors import UsageError

WINDOW = (128, 64)
"""(H, W) in pixels of what the detector looks at; a person in it is 96 pixels tall."""

MARGINS = (1 / 8, 1 / 4)
"""Shares of the window above and below, and left and right of the person."""


class HogOptions(Strict):
    """How thoroughly an image is searched. More pixels, levels or boxes cost time and find more."""

    pixels: int = Field(
        default=3_000_000,
        ge=8192,
        description="the image is searched at about this size: a person must then be 96 pixels tall",
    )
    max_enlargement: float = Field(
        default=4.0, ge=1, description="but it is enlarged at most so much, which adds no detail"
    )
    level_ratio: float = Field(default=1.2, gt=1, description="between two levels of the pyramid")
    threshold: float = Field(
        default=0.0, ge=0, description="least distance from the decision border of the classifier"
    )
    overlap: float = Field(
        default=0.6, ge=0, le=1, description="of two boxes with a greater IoU the better one stays"
    )


@dataclass(frozen=True)
class Box:
    """Pixels of the image, which it may leave; x0 < x1 and y0 < y1.

    score: distance from the classifier's decision border, not bounded.
    """

    x0: float
    y0: float
    x1: float
    y1: float
    score: float = 0.0

    @property
    def height(self) -> float:
        """In pixels."""
        return self.y1 - self.y0


def person_boxes(image: Tensor, options: HogOptions) -> list[Box]:
    """Tight boxes around what may be people in `image`, uint8 (3, H, W) RGB, the best first.

    An image that is narrower than WINDOW even when enlarged has none.
    Raises UsageError where OpenCV lacks the detector.
    """
    classifier = _classifier()
    size = (image.shape[1], image.shape[2])
    scale = min(options.max_enlargement, math.sqrt(options.pixels / (size[0] * size[1])))
    height, width = round(size[0] * scale), round(size[1] * scale)
    if height < WINDOW[0] or width < WINDOW[1]:
        return []
    found, weights = classifier.detectMultiScale(
        _resized(image, (height, width)),
        hitThreshold=options.threshold,
        winStride=(8, 8),
        padding=(16, 16),
        scale=options.level_ratio,
        groupThreshold=0,
    )
    if not len(found):
        return []
    boxes = _inner(torch.from_numpy(np.asarray(found, dtype=np.float32)) / scale)
    scores = torch.from_numpy(np.asarray(weights, dtype=np.float32)).flatten()
    best = nms(boxes, scores, options.overlap)
    return [Box(*box) for box in torch.cat([boxes, scores[:, None]], dim=1)[best].tolist()]


def _classifier() -> Any:
    if not hasattr(cv2, "HOGDescriptor"):  # moved to opencv-contrib in OpenCV 5
        raise UsageError(
            f"OpenCV {cv2.__version__} has no pedestrian detector: pip install 'opencv-python<5'"
        )
    descriptor: Any = cv2.HOGDescriptor()
    descriptor.setSVMDetector(cv2.HOGDescriptor.getDefaultPeopleDetector())
    return descriptor


def _resized(image: Tensor, size: tuple[int, int]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """uint8 (H, W, 3) of `size`. By OpenCV: on so many pixels it is thirty times faster than PyTorch."""
    how = cv2.INTER_AREA if size[0] < image.shape[1] else cv2.INTER_LINEAR
    pixels = image.permute(1, 2, 0).contiguous().numpy()
    return np.asarray(cv2.resize(pixels, (size[1], size[0]), interpolation=how), dtype=np.uint8)


def _inner(windows: Tensor) -> Tensor:
    """Windows x, y, width, height (N, 4) without their margins: x0, y0, x1, y1."""
    x, y, width, height = windows.unbind(dim=1)
    above, beside = height * MARGINS[0], width * MARGINS[1]
    return torch.stack([x + beside, y + above, x + width - beside, y + height - above], dim=1)
