"""Person, PersonDetections: what every detector says about one image, and what every later stage starts from."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from anonbench.crops import NO_VERTEX, PACKAGED_TEMPLATE, Outcome


@dataclass(frozen=True)
class Window:
    """A rectangle of whole pixels: rows `top` to `bottom` - 1, columns `left` to `right` - 1.

    It may reach beyond the image. Raises ValueError when it is empty.
    """

    top: int
    left: int
    bottom: int
    right: int

    def __post_init__(self) -> None:
        if self.bottom <= self.top or self.right <= self.left:
            raise ValueError(f"an empty window: {self}")

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        return self.bottom - self.top, self.right - self.left

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns, to index an image (..., H, W) that holds the whole window."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def overlap(self, other: "Window") -> "Window | None":
        """The part that both share; none where they do not meet."""
        top, left = max(self.top, other.top), max(self.left, other.left)
        bottom, right = min(self.bottom, other.bottom), min(self.right, other.right)
        return Window(top, left, bottom, right) if bottom > top and right > left else None

    def relative_to(self, other: "Window") -> "Window":
        """The same rectangle in coordinates whose origin is the top left corner of `other`."""
        return Window(
            self.top - other.top, self.left - other.left, self.bottom - other.top, self.right - other.left
        )


@dataclass(frozen=True)
class Person:
    """One person in an image. Mask and surface cover `window` alone, which lies inside the image.

    box: x0, y0, x1, y1 in pixels of the image. score: in [0, 1].
    mask: bool (h, w), true = anonymize; all false: nobody could be told from the background.
    surface: int32 (h, w), vertex of the body template, -1 where there is none or nothing is known.
    keypoints: float32 (17, 3), COCO order, pixels of the image (centre of the top left pixel is 0.5) and
        visibility in [0, 1]. All zero where unknown.
    """

    box: tuple[float, float, float, float]
    score: float
    window: Window
    mask: Tensor
    surface: Tensor
    keypoints: Tensor

    def __post_init__(self) -> None:
        expected = {
            "mask": (torch.bool, self.window.size),
            "surface": (torch.int32, self.window.size),
            "keypoints": (torch.float32, (17, 3)),
        }
        for name, (dtype, shape) in expected.items():
            value: Tensor = getattr(self, name)
            if value.dtype != dtype or tuple(value.shape) != shape:
                raise ValueError(
                    f"Person.{name} must be {dtype} {shape}, got {value.dtype} {tuple(value.shape)}"
                )

    @property
    def outcome(self) -> Outcome:
        """What will happen to this person (thesis section 6.3)."""
        if not self.mask.any():
            return Outcome.NONE
        return Outcome.SURFACE if (self.surface >= 0).any() else Outcome.MASK_ONLY

    @staticmethod
    def of_mask(
        mask: Tensor,
        score: float,
        keypoints: Tensor | None = None,
        surface: Tensor | None = None,
        box: tuple[float, float, float, float] | None = None,
    ) -> "Person | None":
        """A person from a mask, bool (H, W), and a surface, int32 (H, W), of the whole image; none if empty.

        box: what the detector said; none: the mask's bounds.
        """
        rows, columns = mask.any(dim=1).nonzero()[:, 0], mask.any(dim=0).nonzero()[:, 0]
        if not len(rows):
            return None
        window = Window(int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)
        inside = window.slices
        nothing = torch.full(window.size, NO_VERTEX, dtype=torch.int32)
        return Person(
            box=box or (float(window.left), float(window.top), float(window.right), float(window.bottom)),
            score=score,
            window=window,
            mask=mask[inside].clone(),
            surface=nothing if surface is None else surface[inside].to(torch.int32).clone(),
            keypoints=torch.zeros(17, 3) if keypoints is None else keypoints,
        )


@dataclass(frozen=True)
class PersonDetections:
    """Everybody found in one image of `size` (H, W), most certain first.

    template: name of the body template whose vertices the surfaces hold (`anonbench.template`).
    """

    size: tuple[int, int]
    people: tuple[Person, ...]
    template: str = PACKAGED_TEMPLATE

    def __post_init__(self) -> None:
        image = Window(0, 0, *self.size)
        for person in self.people:
            if person.window.overlap(image) != person.window:
                raise ValueError(f"a person's window {person.window} leaves the image of {self.size}")

    def __len__(self) -> int:
        return len(self.people)

    def with_people(self, people: Sequence[Person]) -> "PersonDetections":
        """The same image with other people."""
        return replace(self, people=tuple(people))

    def mask(self) -> Tensor:
        """bool (H, W): every pixel of anybody."""
        union = torch.zeros(self.size, dtype=torch.bool)
        for person in self.people:
            union[person.window.slices] |= person.mask
        return union


class Detector(Protocol):
    """Finds people. Equal images give equal detections, whatever was seen before."""

    @property
    def name(self) -> str:
        """The name that users give, for example "mediapipe"."""
        ...

    @property
    def digest(self) -> str:
        """Hex digest of everything that decides detections: networks, thresholds, versions. Names caches."""
        ...

    def detect(self, image: Tensor) -> PersonDetections:
        """Everybody in `image`, uint8 (3, H, W), RGB."""
        ...


def mask_iou(a: Person, b: Person) -> float:
    """Intersection over union of two people's masks; 0 where either is empty."""
    shared = a.window.overlap(b.window)
    if shared is None:
        return 0.0
    of_a = a.mask[shared.relative_to(a.window).slices]
    of_b = b.mask[shared.relative_to(b.window).slices]
    both = int((of_a & of_b).sum())
    either = int(a.mask.sum()) + int(b.mask.sum()) - both
    return both / either if either else 0.0
