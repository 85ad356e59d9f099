"""PersonCrops: the one type that flows from datasets through anonymizers to metrics."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from enum import IntEnum

import torch
import torch.nn.functional as F
from torch import Tensor

KEYPOINTS = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder",
    "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip",
    "left_knee", "right_knee", "left_ankle", "right_ankle",
)  # fmt: skip
"""COCO's 17 keypoints, in COCO's order. Left is the person's left."""

NO_VERTEX = -1
UNKNOWN_ID = -1
PACKAGED_TEMPLATE = "makehuman_13380"
"""Name of the body template that anonbench ships (`anonbench.template.body_template`)."""


class Outcome(IntEnum):
    """What the detection stage found in a crop (thesis section 6.3); it decides what happens to the crop."""

    NONE = 0
    """Nothing found: the image stays untouched."""
    MASK_ONLY = 1
    """A person mask but no surface: the mask is heavily blurred."""
    SURFACE = 2
    """Mask and surface map: the person is synthesized."""


@dataclass(frozen=True)
class PersonCrops:
    """A batch of B person crops of one size H x W, one person to anonymize in each.

    image: uint8 (B, 3, H, W), RGB.
    person_mask: bool (B, 1, H, W), true = anonymize.
    surface: int32 (B, H, W), vertex id of the body template, -1 outside.
    keypoints: float32 (B, 17, 3), COCO order: x, y in pixels (centre of the top left pixel is 0.5) and
        visibility in [0, 1]. All zero where unknown.
    person_id, camera_id: int64 (B,), -1 = unknown.
    outcome: int64 (B,), values of `Outcome`.
    key: B stable sample names, unique in their dataset.
    template: name of the body template whose vertices `surface` holds (`anonbench.template.SurfaceTemplate`).
    """

    image: Tensor
    person_mask: Tensor
    surface: Tensor
    keypoints: Tensor
    person_id: Tensor
    camera_id: Tensor
    outcome: Tensor
    key: tuple[str, ...]
    template: str = PACKAGED_TEMPLATE

    def __post_init__(self) -> None:
        b, _, h, w = self.image.shape
        expected: dict[str, tuple[torch.dtype, tuple[int, ...]]] = {
            "image": (torch.uint8, (b, 3, h, w)),
            "person_mask": (torch.bool, (b, 1, h, w)),
            "surface": (torch.int32, (b, h, w)),
            "keypoints": (torch.float32, (b, 17, 3)),
            "person_id": (torch.int64, (b,)),
            "camera_id": (torch.int64, (b,)),
            "outcome": (torch.int64, (b,)),
        }
        for name, (dtype, shape) in expected.items():
            value: Tensor = getattr(self, name)
            if value.dtype != dtype or tuple(value.shape) != shape:
                raise ValueError(
                    f"PersonCrops.{name} must be {dtype} {shape}, got {value.dtype} {tuple(value.shape)}"
                )
        if len(self.key) != b:
            raise ValueError(f"PersonCrops.key must name {b} samples, got {len(self.key)}")

    def __len__(self) -> int:
        return len(self.key)

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        return self.image.shape[2], self.image.shape[3]

    @property
    def surface_mask(self) -> Tensor:
        """bool (B, 1, H, W): pixels with a template vertex. The thesis' embedding mask (section 4.10)."""
        return (self.surface >= 0)[:, None]

    def select(self, indices: Sequence[int] | Tensor) -> "PersonCrops":
        """The crops at `indices` (ints, in the given order), as a new batch."""
        index = torch.as_tensor(indices, dtype=torch.int64)
        tensors = {name: getattr(self, name)[index] for name in _TENSORS}
        return replace(self, **tensors, key=tuple(self.key[i] for i in index.tolist()))

    def to(self, device: torch.device | str) -> "PersonCrops":
        """The same on another device."""
        return replace(self, **{name: getattr(self, name).to(device) for name in _TENSORS})

    def with_image(self, image: Tensor) -> "PersonCrops":
        """The same crops with other pixels, uint8 (B, 3, H, W)."""
        return replace(self, image=image)

    @staticmethod
    def concatenate(batches: Sequence["PersonCrops"]) -> "PersonCrops":
        """One batch from several of the same size and body template."""
        templates = sorted({batch.template for batch in batches})
        if len(templates) != 1:
            raise ValueError(f"batches must refer to one body template, got {templates}")
        tensors = {name: torch.cat([getattr(b, name) for b in batches]) for name in _TENSORS}
        return PersonCrops(**tensors, key=tuple(k for b in batches for k in b.key), template=templates[0])


_TENSORS = tuple(field.name for field in fields(PersonCrops) if field.name not in ("key", "template"))


def resize(crops: PersonCrops, size: tuple[int, int], cover_all: bool = False) -> PersonCrops:
    """Crops resampled to `size` (H, W): images antialiased, masks by area (>= 0.5), surfaces by nearest pixel.

    cover_all: mask every pixel that received any of the person's colour, so that none is left outside.
    A surface map holds vertex ids, which cannot be averaged; the nearest pixel is the only honest choice.
    """
    if size == crops.size:
        return crops
    (h, w), (old_h, old_w) = size, crops.size
    share = F.interpolate(crops.person_mask.float(), size, mode="bilinear", antialias=True)
    surface = F.interpolate(crops.surface[:, None].double(), size, mode="nearest-exact")[:, 0]
    scale = torch.tensor([w / old_w, h / old_h, 1.0])
    return replace(
        crops,
        image=resize_images(crops.image, size),
        person_mask=share > 0 if cover_all else share >= 0.5,
        surface=surface.to(torch.int32),
        keypoints=crops.keypoints * scale,
    )


def resize_images(image: Tensor, size: tuple[int, int]) -> Tensor:
    """uint8 (B, 3, H, W) images at another size: bilinear, antialiased, rounded to the nearest value."""
    if tuple(image.shape[2:]) == tuple(size):
        return image
    resized = F.interpolate(image.float(), size, mode="bilinear", antialias=True, align_corners=False)
    return resized.round().clamp(0, 255).to(torch.uint8)


def composite(original: Tensor, generated: Tensor, mask: Tensor) -> Tensor:
    """`generated` inside `mask`, `original` bit-exact outside. uint8 (B, 3, H, W) and bool (B, 1, H, W)."""
    return torch.where(mask, generated, original)
