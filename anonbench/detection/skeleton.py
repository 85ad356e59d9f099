"""What of a body keypoints alone tell: the least that a person's mask must cover."""

from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

LIMBS = ((5, 7, 9), (6, 8, 10), (11, 13, 15), (12, 14, 16))
"""COCO keypoints along arms and legs."""

TRUNK = (5, 6, 12, 11)
HEAD = (0, 1, 2, 3, 4)

LIMB_WIDTH, HEAD_RADIUS = 0.05, 0.085
"""Shares of the body's height. A head is about 1/7.5 of it (Drillis and Contini, 1966), here with its hair."""

SEEN = 0.5
"""Keypoints of less visibility are guesses and cover nothing."""

_FILL = (1.0,)


def body_area(keypoints: Tensor, size: tuple[int, int]) -> Tensor:
    """bool (H, W) of `size`: head, trunk and limbs as far as their keypoints, float32 (17, 3), are seen.

    A segmentation that leaves out a head would leave a face to be seen.
    """
    area = np.zeros(size, dtype=np.uint8)
    height = float(keypoints[:, 1].amax() - keypoints[:, 1].amin())
    points = keypoints[:, :2].round().to(torch.int32).tolist()
    seen = (keypoints[:, 2] >= SEEN).tolist()
    width = max(1, round(LIMB_WIDTH * height))
    for limb in LIMBS:
        for a, b in pairwise(limb):
            if seen[a] and seen[b]:
                cv2.line(area, points[a], points[b], _FILL, width)
    if all(seen[index] for index in TRUNK):
        outline: np.ndarray[Any, Any] = np.array([points[index] for index in TRUNK], dtype=np.int32)
        cv2.fillPoly(area, [outline], _FILL)
    head = keypoints[[index for index in HEAD if seen[index]], :2]
    if len(head):
        x, y = head.mean(dim=0).round().to(torch.int32).tolist()
        cv2.circle(area, (x, y), max(1, round(HEAD_RADIUS * height)), _FILL, cv2.FILLED)
    return torch.from_numpy(area).bool()
