"""A dataset, anonymizers and extractors small enough to know every answer in advance."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from anonbench.cards import ModelCard
from anonbench.crops import Outcome, PersonCrops, composite
from anonbench.protocols.surface_pairs import Cells
from anonbench.template import VERTICES

SIZE = (16, 8)
LATENT_DIM = 3


class ToyDataset:
    """Flat backgrounds of random grey with a person of one colour in the middle, the same in every view."""

    name = "toy"
    size = SIZE
    notes: tuple[str, ...] = ()

    def __init__(
        self, samples: pd.DataFrame, digest: str = "toy", outcomes: Sequence[int] | None = None
    ) -> None:
        self.samples = samples
        self.digest = digest
        self._outcomes = outcomes

    def __len__(self) -> int:
        return len(self.samples)

    def load(self, indices: Sequence[int]) -> PersonCrops:
        rows = self.samples.iloc[list(indices)]
        mask = torch.zeros(len(rows), 1, *SIZE, dtype=torch.bool)
        mask[:, :, 2:14, 2:6] = True
        grey = [np.random.default_rng(1000 + int(i)).integers(0, 256) for i in indices]
        background = torch.tensor(grey, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, *SIZE)
        colour = torch.stack([_colour(int(p)) for p in rows["person_id"]])[:, :, None, None]
        outcome = [Outcome.SURFACE if self._outcomes is None else self._outcomes[i] for i in indices]
        # A torso of 12 rows shows a different half of the template in odd poses.
        surface = torch.where(mask[:, 0], torch.arange(SIZE[0])[None, :, None], -1).to(torch.int32)
        return PersonCrops(
            image=composite(background, colour.expand(-1, -1, *SIZE), mask),
            person_mask=mask,
            surface=surface,
            keypoints=torch.zeros(len(rows), 17, 3),
            person_id=torch.tensor(rows["person_id"].to_numpy(np.int64)),
            camera_id=torch.tensor(rows["camera_id"].to_numpy(np.int64)),
            outcome=torch.tensor([int(o) for o in outcome]),
            key=tuple(rows["key"]),
        )


class ToyClips(ToyDataset):
    """People who stand still for some frames, before a background that changes; nothing moves."""

    flow_source = "exact"
    frame_rate = 10.0

    def __init__(self, clips: int = 4, frames: int = 6) -> None:
        rows = [
            {"key": f"{c}_{f}", "person_id": c + 1, "camera_id": 0, "role": "", "clip": c, "frame": f}
            for c in range(clips) for f in range(frames)
        ]  # fmt: skip
        super().__init__(pd.DataFrame(rows))

    def flow(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        later = torch.tensor(self.samples["frame"].iloc[list(indices)].to_numpy() > 0)
        valid = later[:, None, None, None].expand(-1, 1, *SIZE)
        return torch.zeros(len(indices), 2, *SIZE), valid.clone()


def cells_per_row() -> Cells:
    """Surface cells of the toys, whose surface numbers the rows of the image: head first, then torso and legs."""
    region = torch.tensor([0] * 5 + [1] * 5 + [3] * 6)
    row_of_vertex = torch.full((VERTICES,), -1)
    row_of_vertex[: SIZE[0]] = torch.arange(SIZE[0])
    return Cells("template", row_of_vertex, region, 2, 4, 2)


def market_like(persons: int = 12, cameras: int = 4) -> pd.DataFrame:
    """One image per person and camera; camera 0 queries the others."""
    rows = [
        {
            "key": f"{person:04d}_{camera}",
            "person_id": person,
            "camera_id": camera,
            "role": "query" if camera == 0 else "gallery",
        }
        for person in range(1, persons + 1)
        for camera in range(cameras)
    ]
    return pd.DataFrame(rows)


def factorial(persons: int = 4, poses: int = 3, backgrounds: int = 3) -> pd.DataFrame:
    """Every person in every pose before every background."""
    rows = [
        {
            "key": f"{p}_{q}_{r}", "person_id": p + 1, "camera_id": 0, "role": "",
            "identity": p, "pose": q, "background": r,
        }
        for p in range(persons) for q in range(poses) for r in range(backgrounds)
    ]  # fmt: skip
    return pd.DataFrame(rows)


class LatentPainter:
    """Paints the person in a colour that z alone decides: perfectly consistent."""

    card = ModelCard(
        name="latent_painter", kind="toy", description="", latent_dim=LATENT_DIM, can_reconstruct=True
    )

    def anonymize(self, crops: PersonCrops, latents: Tensor | None = None, truncation: float = 1.0) -> Tensor:
        assert latents is not None
        colour = (128 + 60 * latents * truncation).clamp(0, 255).to(torch.uint8)
        return composite(crops.image, colour[:, :, None, None].expand_as(crops.image), crops.person_mask)

    def encode(self, crops: PersonCrops) -> Tensor:
        colour = crops.image[:, :, SIZE[0] // 2, SIZE[1] // 2].float()
        return (colour - 128) / 60


class BackgroundPainter(LatentPainter):
    """Paints the person like the background and ignores z: the failure that the thesis set out to mend."""

    card = ModelCard(name="background_painter", kind="toy", description="", latent_dim=LATENT_DIM)

    def anonymize(self, crops: PersonCrops, latents: Tensor | None = None, truncation: float = 1.0) -> Tensor:
        corner = crops.image[:, :, :1, :1].expand_as(crops.image)
        return composite(crops.image, corner, crops.person_mask)


class Untouched:
    """The original images."""

    card = ModelCard(name="untouched", kind="toy", description="")

    def anonymize(self, crops: PersonCrops, latents: Tensor | None = None, truncation: float = 1.0) -> Tensor:
        return crops.image


class PersonColour:
    """The colour in the middle of the crop as a feature."""

    name = "person_colour"
    digest = "person_colour"
    dim = 3

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def features(self, images: Tensor) -> Tensor:
        return images[:, :, SIZE[0] // 2, SIZE[1] // 2].float() + 1.0


class PixelDistance:
    """Mean absolute difference per pixel, in [0, 1]."""

    name = "pixels"
    key = "pixels"
    digest = "pixels"
    kind = "perceptual"

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        return self.distance_map(a, b).mean(dim=(1, 2, 3))

    def distance_map(self, a: Tensor, b: Tensor) -> Tensor:
        return (a.float() - b.float()).abs().mean(dim=1, keepdim=True) / 255

    def distance_and_map(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        return self.distance(a, b), self.distance_map(a, b)


def _colour(person: int) -> Tensor:
    values = np.random.default_rng(person).integers(0, 256, size=3)
    return torch.tensor(values, dtype=torch.uint8)
