import pytest
import torch

from anonbench import template
from anonbench.crops import Outcome, PersonCrops


def random_crops(count: int, size: tuple[int, int], seed: int = 0) -> PersonCrops:
    """Crops of noise with a rectangular person, its surface smaller than its mask."""
    draw = torch.Generator().manual_seed(seed)
    h, w = size
    mask = torch.zeros(count, 1, h, w, dtype=torch.bool)
    mask[:, :, h // 8 : -h // 8, w // 4 : -w // 4] = True
    surface = torch.randint(0, template.VERTICES, (count, h, w), generator=draw).int()
    surface[:, : h // 6], surface[:, -h // 6 :], surface[~mask[:, 0]] = -1, -1, -1
    keypoints = torch.rand(count, 17, 3, generator=draw) * torch.tensor([w, h, 1.0])
    return PersonCrops(
        image=torch.randint(0, 256, (count, 3, h, w), generator=draw).to(torch.uint8),
        person_mask=mask,
        surface=surface,
        keypoints=keypoints,
        person_id=torch.arange(count),
        camera_id=torch.zeros(count, dtype=torch.int64),
        outcome=torch.full((count,), int(Outcome.SURFACE)),
        key=tuple(f"crop/{i}" for i in range(count)),
    )


@pytest.fixture(name="random_crops")
def _random_crops():
    return random_crops
