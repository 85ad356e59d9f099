"""Person masks and keypoints from MediaPipe Pose, whose networks travel inside its wheel (extra `detect`)."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib import import_module
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from anonbench.errors import UsageError

MARGIN = 0.25
"""Edge pixels are repeated around a crop by this share of its height before detection.

A person who fills the image is often missed: of 70 PETS crops of 128x64 MediaPipe found 57 to 61 without a
margin, whether enlarged or not, 68 with a black margin, and all 70 with this one.
"""

HEIGHT = 256
"""Crops with their margin are resized to this height; the landmark network looks at 256x256."""

THRESHOLD = 0.5
"""A pixel belongs to the person from this segmentation probability on."""

COCO_LANDMARKS = (0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28)
"""Which of MediaPipe's 33 landmarks are COCO's 17 keypoints, in COCO's order.

Nose, eyes, ears, shoulders, elbows, wrists, hips, knees, ankles, left before right: `PoseLandmark` in
`mediapipe/python/solutions/pose.py`; the eyes are the landmarks between their inner and outer corners.
"""


class PersonDetector:
    """BlazePose (Bazarevsky et al., 2020) as MediaPipe packages it: the most prominent person of an image.

    Every image is taken by itself, so that results do not depend on the order of the crops.
    """

    def __init__(self, confidence: float = 0.5) -> None:
        """Load the networks. Raises UsageError when MediaPipe is not installed.

        confidence: the least that the person network must give to the place where it sees somebody.
        """
        solution = _pose_solution()
        with _native_messages_dropped():
            # Complexity 1 is in the wheel; 0 and 2 would be downloaded.
            self._pose = solution.Pose(
                static_image_mode=True,
                model_complexity=1,
                enable_segmentation=True,
                min_detection_confidence=confidence,
            )
        self._has_seen_somebody = False

    def detect(self, image: Tensor) -> tuple[Tensor, Tensor] | None:
        """The person in `image`, uint8 (3, H, W) RGB.

        Returns the mask, bool (H, W), and the COCO keypoints, float32 (17, 3): x and y in pixels of the image
        (outside it where MediaPipe expects a joint there) and visibility in [0, 1]. None if nobody was found.
        """
        margin = round(MARGIN * image.shape[1])
        framed = F.pad(image[None].float(), (margin,) * 4, mode="replicate")
        size = (framed.shape[2], framed.shape[3])
        found = self._see(_resize_to_height(framed), size)
        if found is None:
            return None
        probability, keypoints = found
        inside = (slice(margin, size[0] - margin), slice(margin, size[1] - margin))
        mask = (probability >= THRESHOLD)[inside]
        return (mask, keypoints - torch.tensor([margin, margin, 0.0])) if mask.any() else None

    def see(self, view: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor] | None:
        """The most prominent person in `view`, uint8 (3, h, w), which shows a part of an image of `size` (H, W).

        Returns the probability of each pixel to be theirs, float32 (H, W), and COCO keypoints, float32 (17, 3), in
        pixels of that part. The landmark network looks at 256x256 pixels of the view. None if nobody was found.
        """
        return self._see(view.permute(1, 2, 0).contiguous().numpy(), size)

    def _see(
        self, pixels: np.ndarray[Any, np.dtype[np.uint8]], size: tuple[int, int]
    ) -> tuple[Tensor, Tensor] | None:
        # Its networks are loaded by the first image, and its last remark is about the first person.
        with nullcontext() if self._has_seen_somebody else _native_messages_dropped():
            found = self._pose.process(pixels)
        if found.pose_landmarks is None:
            return None
        self._has_seen_somebody = True
        probability = _resize_probability(found.segmentation_mask, size)
        return probability, _keypoints(found.pose_landmarks.landmark, size)


def require_mediapipe() -> None:
    """Raises UsageError, saying what to install, when MediaPipe is not there."""
    _pose_solution()


@contextmanager
def _native_messages_dropped() -> Iterator[None]:
    """What C++ writes to standard error meanwhile is not shown: MediaPipe tells there how it starts.

    What goes wrong is an exception in Python, and is not concerned.
    """
    kept = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _pose_solution() -> Any:
    try:
        return import_module("mediapipe.python.solutions.pose")
    except ImportError as error:
        raise UsageError(
            f"detecting people needs MediaPipe 0.10.21 ({error}): pip install 'anonbench[detect]'"
        ) from error


def _resize_to_height(image: Tensor) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Float (1, 3, H, W) in [0, 255] to uint8 (HEIGHT, W', 3) of the same aspect ratio."""
    size = (HEIGHT, max(1, round(HEIGHT * image.shape[3] / image.shape[2])))
    resized = F.interpolate(image, size, mode="bilinear", antialias=True, align_corners=False)
    return resized[0].round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).contiguous().numpy()


def _resize_probability(probability: np.ndarray[Any, np.dtype[np.float32]], size: tuple[int, int]) -> Tensor:
    """Segmentation probabilities at `size` (H, W): float32 (H, W)."""
    found = torch.from_numpy(np.array(probability, dtype=np.float32))[None, None]
    return F.interpolate(found, size, mode="bilinear", antialias=True, align_corners=False)[0, 0]


def _keypoints(landmarks: Any, size: tuple[int, int]) -> Tensor:
    """COCO keypoints in pixels of `size` (H, W) from landmarks in fractions of the image."""
    points = [landmarks[index] for index in COCO_LANDMARKS]
    values = torch.tensor([[p.x * size[1], p.y * size[0], p.visibility] for p in points], dtype=torch.float32)
    values[:, 2].clamp_(0, 1)
    return values
