"""People in any image with no download: boxes from OpenCV's HOG detector, judged and cut out by MediaPipe Pose.

The pose network sees one person at a time, the most prominent one. So whoever was found is painted over before
the next look: a box shows its next person, and two boxes around one person do not give two people.
"""

import hashlib
import math
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from typing import Any

import cv2
import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from anonbench.cards import Strict
from anonbench.detection.cropping import cut_out
from anonbench.detection.hog import Box, HogOptions, person_boxes
from anonbench.detection.mediapipe_pose import PersonDetector, require_mediapipe
from anonbench.detection.people import Person, PersonDetections, Window
from anonbench.detection.skeleton import body_area

VIEW = 256
"""Boxes are shown to the pose network with this height or width: its landmark network looks at 256x256."""


REVISION = 2
"""Part of the digest: raised when the same options give other people."""


class MediapipeOptions(Strict):
    """What counts as a person. The defaults favour recall: whoever is missed is published."""

    hog: HogOptions = HogOptions()
    confidence: float = Field(
        default=0.3, gt=0, le=1, description="that the pose network must have in somebody being there at all"
    )
    margins: tuple[float, ...] = Field(
        default=(0.25, 0.45, 0.1),
        min_length=1,
        description="shares of a box's height that are shown around it, tried until somebody fills the box",
    )
    retry_score: float = Field(
        default=0.3,
        description="boxes below this score of the detector are shown with the first margin alone",
    )
    mask_threshold: float = Field(
        default=0.5, gt=0, lt=1, description="a pixel belongs to the person from this probability on"
    )
    min_visibility: float = Field(
        default=0.6, ge=0, le=1, description="mean over the keypoints; it is the person's score"
    )
    min_keypoints: int = Field(default=7, ge=0, le=17, description="keypoints with visibility 0.5 or more")
    min_height: int = Field(default=20, ge=1, description="pixels from the highest to the lowest keypoint")
    reach: float = Field(
        default=0.2,
        gt=0,
        description="the mask ends so far outside the keypoints' bounds, as a share of their height",
    )
    max_hidden: float = Field(
        default=0.6, ge=0, le=1, description="a box with more of its middle painted over is not looked at"
    )
    min_new: float = Field(
        default=0.5, ge=0, le=1, description="share of a mask that must not be of people found before"
    )
    max_looks: int = Field(default=20, ge=1, description="people that one box may show")


class MediapipePeople:
    """People with masks and COCO keypoints, without surfaces; networks are loaded by the first `detect`."""

    name = "mediapipe"

    def __init__(self, options: MediapipeOptions | None = None) -> None:
        self.options = options or MediapipeOptions()

    def __reduce__(self) -> tuple[Any, ...]:
        # MediaPipe's networks cannot be pickled; workers load their own.
        return type(self), (self.options,)

    @cached_property
    def digest(self) -> str:
        """Of the options and of the versions of the packages that carry the networks."""
        parts = [
            f"revision {REVISION}",
            self.options.digest,
            f"mediapipe {_version()}",
            f"opencv {cv2.__version__}",
        ]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def require(self) -> None:
        """Raises UsageError when MediaPipe is not installed."""
        require_mediapipe()

    def detect(self, image: Tensor) -> PersonDetections:
        """Everybody in `image`, uint8 (3, H, W), RGB. Raises UsageError when MediaPipe is not installed."""
        size = (image.shape[1], image.shape[2])
        scene = Scene(image)
        whole = Box(0.0, 0.0, float(size[1]), float(size[0]))
        for box in [*person_boxes(image, self.options.hog), whole]:
            self._look_through(box, scene)
        people = sorted(scene.people, key=lambda person: -person.score)
        return PersonDetections(size, tuple(people))

    @cached_property
    def _pose(self) -> PersonDetector:
        return PersonDetector(self.options.confidence)

    def _look_through(self, box: Box, scene: "Scene") -> None:
        """Add everybody whom the box shows to the scene."""
        for _ in range(self.options.max_looks):
            if scene.hidden_share(box) > self.options.max_hidden:
                return
            person = self._look(box, scene)
            if person is None:
                return
            scene.add(person)

    def _look(self, box: Box, scene: "Scene") -> Person | None:
        """Whoever fills the box; failing that whoever else is in view, or is cut off, looked at as a whole."""
        found: Box | None = None
        for margin in self._margins(box):
            seen = self._see(box, margin, scene)
            person = self._judge(seen, scene) if seen else None
            if seen is None or person is None:
                continue
            own = _bounds(seen.keypoints)
            if _fits(box, own) and not _cut_off(person, seen.window, scene.size):
                return person
            found = found or own
        if found is None:
            return None
        whole = self._see(found, self.options.margins[0], scene)
        return self._judge(whole, scene) if whole else None

    def _margins(self, box: Box) -> tuple[float, ...]:
        return self.options.margins if box.score >= self.options.retry_score else self.options.margins[:1]

    def _see(self, box: Box, margin: float, scene: "Scene") -> "Seen | None":
        window = _window(box, margin)
        shown = window.overlap(Window(0, 0, *scene.size))
        if shown is None:
            return None
        found = self._pose.see(cut_out(scene.canvas, window, _view_size(window)), window.size)
        if found is None:
            return None
        probability, keypoints = found
        inside = probability[shown.relative_to(window).slices]
        return Seen(shown, inside, keypoints + torch.tensor([window.left, window.top, 0.0]))

    def _judge(self, seen: "Seen", scene: "Scene") -> Person | None:
        """The person, if the pose is one and not of somebody who was found before."""
        options, visibility = self.options, seen.keypoints[:, 2]
        bounds = _bounds(seen.keypoints)
        if (
            float(visibility.mean()) < options.min_visibility
            or int((visibility >= 0.5).sum()) < options.min_keypoints
            or bounds.height < options.min_height
        ):
            return None
        mask = torch.zeros(scene.size, dtype=torch.bool)
        mask[seen.window.slices] = seen.probability >= options.mask_threshold
        mask &= _area(bounds, options.reach, scene.size)
        mask |= body_area(seen.keypoints, scene.size)
        new = mask & ~scene.hidden
        if int(new.sum()) < max(1.0, options.min_new * float(mask.sum())):
            return None
        return Person.of_mask(new, float(visibility.mean()), seen.keypoints)


def _version() -> str:
    try:
        return metadata.version("mediapipe")
    except metadata.PackageNotFoundError:
        return "absent"


@dataclass(frozen=True)
class Seen:
    """What the pose network said about a part of the image.

    probability: float32 (h, w), that a pixel of `window` belongs to the person. keypoints: float32 (17, 3) in
    pixels of the image.
    """

    window: Window
    probability: Tensor
    keypoints: Tensor


class Scene:
    """An image in which the people who were found are painted over.

    canvas: uint8 (3, H, W). hidden: bool (H, W), what is painted over.
    """

    def __init__(self, image: Tensor) -> None:
        self.size = (image.shape[1], image.shape[2])
        self.canvas = image.clone()
        self.hidden = torch.zeros(self.size, dtype=torch.bool)
        self.people: list[Person] = []

    def add(self, person: Person) -> None:
        """Keep the person and paint them over with a blur of what surrounds them."""
        self.people.append(person)
        reach = max(person.window.size)
        window = _grown(person.window, reach, self.size)
        mask = torch.zeros(self.size, dtype=torch.bool)[window.slices]
        mask[person.window.relative_to(window).slices] = person.mask
        self.hidden[window.slices] |= mask
        painted = (slice(None), *window.slices)
        self.canvas[painted] = _filled(self.canvas[painted], self.hidden[window.slices], mask, reach // 2)

    def hidden_share(self, box: Box) -> float:
        """How much of the middle half of the box is painted over."""
        middle_x, half = (box.x0 + box.x1) / 2, (box.x1 - box.x0) / 4
        middle_y, tall = (box.y0 + box.y1) / 2, box.height / 4
        rows = slice(max(0, int(middle_y - tall)), max(0, int(middle_y + tall)) + 1)
        columns = slice(max(0, int(middle_x - half)), max(0, int(middle_x + half)) + 1)
        part = self.hidden[rows, columns]
        return float(part.float().mean()) if part.numel() else 0.0


def _filled(image: Tensor, hidden: Tensor, mask: Tensor, radius: int) -> Tensor:
    """`image`, uint8 (3, h, w), with the mean of the visible pixels around under `mask`."""
    size = (2 * radius + 1, 2 * radius + 1)
    visible = (~hidden).numpy().astype(np.float32)
    colours = image.permute(1, 2, 0).numpy().astype(np.float32)
    total = cv2.blur(colours * visible[..., None], size)
    share = cv2.blur(visible, size)[..., None]
    mean = torch.from_numpy(total / np.maximum(share, 1e-6)).permute(2, 0, 1)
    return torch.where(mask, mean.round().clamp(0, 255).to(torch.uint8), image)


def _bounds(keypoints: Tensor) -> Box:
    """Around all 17 keypoints: unseen ones are guessed well enough to tell where the person stands."""
    x0, y0 = keypoints[:, :2].amin(dim=0).tolist()
    x1, y1 = keypoints[:, :2].amax(dim=0).tolist()
    return Box(x0, y0, max(x1, x0 + 1), max(y1, y0 + 1))


def _fits(box: Box, person: Box) -> bool:
    """Whether the person fills the box: about its height, about its place."""
    offset = (
        max(abs(box.x0 + box.x1 - person.x0 - person.x1), abs(box.y0 + box.y1 - person.y0 - person.y1)) / 2
    )
    return 0.6 <= person.height / box.height <= 1.3 and offset <= 0.2 * box.height


def _cut_off(person: Person, shown: Window, size: tuple[int, int]) -> bool:
    """Whether the person goes on outside the part of the image that was shown."""
    own = person.window
    return (
        own.top == shown.top > 0
        or own.left == shown.left > 0
        or own.bottom == shown.bottom < size[0]
        or own.right == shown.right < size[1]
    )


def _window(box: Box, margin: float) -> Window:
    """Whole pixels around the box with its margin, which is limited in boxes of extreme shape."""
    width = max(box.x1 - box.x0, 0.4 * min(box.height, 3 * (box.x1 - box.x0)))
    around = margin * min(box.height, 3 * width)
    middle = (box.x0 + box.x1) / 2
    left, right = math.floor(middle - width / 2 - around), math.ceil(middle + width / 2 + around)
    return Window(math.floor(box.y0 - around), left, math.ceil(box.y1 + around), right)


def _view_size(window: Window) -> tuple[int, int]:
    """VIEW pixels tall, or at most twice as wide."""
    height, width = window.size
    scale = min(VIEW / height, 2 * VIEW / width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def _area(bounds: Box, reach: float, size: tuple[int, int]) -> Tensor:
    """bool (H, W): within `reach` of the bounds, as a share of their height."""
    by = reach * bounds.height
    area = torch.zeros(size, dtype=torch.bool)
    rows = slice(max(0, math.floor(bounds.y0 - by)), max(0, math.ceil(bounds.y1 + by)))
    columns = slice(max(0, math.floor(bounds.x0 - by)), max(0, math.ceil(bounds.x1 + by)))
    area[rows, columns] = True
    return area


def _grown(window: Window, by: int, size: tuple[int, int]) -> Window:
    """`by` pixels larger on each side, inside an image of `size`."""
    return Window(
        max(0, window.top - by),
        max(0, window.left - by),
        min(size[0], window.bottom + by),
        min(size[1], window.right + by),
    )
