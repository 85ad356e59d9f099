"""Optical flow between real images, by OpenCV's DIS (Kroeger et al., ECCV 2016): no weights, any image."""

from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from anonbench.metrics.temporal import warp

LEAST_ROWS = 288
"""Smaller images are enlarged to this height: DIS matches patches of 8x8 pixels on several scales."""

RELATIVE, ABSOLUTE = 0.01, 0.5
"""A point counts as seen in both images where going there and back, in pixels at LEAST_ROWS, ends near the start:
|there + back|^2 < RELATIVE (|there|^2 + |back|^2) + ABSOLUTE (Sundaram et al., ECCV 2010)."""


def backward_flow(now: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
    """Where each pixel's point was one image before, and where that is known.

    now, before: uint8 (B, 3, H, W). Returns float32 (B, 2, H, W), x and y in pixels, and bool (B, 1, H, W).
    """
    height, width = now.shape[2:]
    factor = max(1.0, LEAST_ROWS / height)
    size = (round(height * factor), round(width * factor))
    later, earlier = _grey(now, size), _grey(before, size)
    with _one_thread():
        there = _dis(later, earlier)
        back = _dis(earlier, later)
    returned = warp(back, there)
    slip = (there + returned).square().sum(dim=1)
    length = there.square().sum(dim=1) + returned.square().sum(dim=1)
    valid = (slip < RELATIVE * length + ABSOLUTE) & _inside(there)
    scale = torch.tensor([width / size[1], height / size[0]]).reshape(1, 2, 1, 1)
    flow = F.interpolate(there, (height, width), mode="bilinear", antialias=True) * scale
    sure = F.interpolate(valid[:, None].float(), (height, width), mode="bilinear", antialias=True) > 0.99
    return flow, sure


def _grey(images: Tensor, size: tuple[int, int]) -> NDArray[np.uint8]:
    """uint8 (B, h, w) at `size`, by Rec. 601."""
    weights = torch.tensor([0.299, 0.587, 0.114]).reshape(1, 3, 1, 1)
    luma = (images.float() * weights).sum(dim=1, keepdim=True)
    resized = F.interpolate(luma, size, mode="bilinear", antialias=True)
    return np.asarray(resized[:, 0].round().clamp(0, 255).to(torch.uint8).numpy())


def _dis(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> Tensor:
    """float32 (B, 2, h, w): where each pixel of `first` lies in `second`."""
    method = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    # An initial flow is required by the signature; None is none.
    found = [method.calc(a, b, None) for a, b in zip(first, second, strict=True)]  # type: ignore[call-overload]
    return torch.from_numpy(np.stack(found)).permute(0, 3, 1, 2).contiguous()


def _inside(flow: Tensor) -> Tensor:
    """bool (B, h, w): where the flow stays in the image."""
    height, width = flow.shape[2:]
    x = torch.arange(width) + 0.5 + flow[:, 0]
    y = torch.arange(height)[:, None] + 0.5 + flow[:, 1]
    return (x >= 0) & (x < width) & (y >= 0) & (y < height)


@contextmanager
def _one_thread() -> Iterator[None]:
    """OpenCV on one thread: DIS works in as many stripes as there are threads, and its flow depends on them."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)
