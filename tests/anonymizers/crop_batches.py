"""Random person crops for tests."""

import numpy as np
import torch

from anonbench.crops import NO_VERTEX, Outcome, PersonCrops


def random_crops(batch: int, size: tuple[int, int], seed: int = 0) -> PersonCrops:
    """Noise images, random blob masks, outcomes in turn SURFACE, MASK_ONLY and NONE."""
    rng = np.random.default_rng(seed)
    coarse = torch.from_numpy(rng.random((batch, 1, 3, 3)))
    outcome = torch.tensor([[Outcome.SURFACE, Outcome.MASK_ONLY, Outcome.NONE][i % 3] for i in range(batch)])
    return PersonCrops(
        image=torch.from_numpy(rng.integers(0, 256, (batch, 3, *size), dtype=np.uint8)),
        person_mask=torch.nn.functional.interpolate(coarse, size, mode="bilinear") > 0.5,
        surface=torch.full((batch, *size), NO_VERTEX, dtype=torch.int32),
        keypoints=torch.zeros(batch, 17, 3),
        person_id=torch.arange(batch),
        camera_id=torch.ones(batch, dtype=torch.int64),
        outcome=outcome.to(torch.int64),
        key=tuple(f"sample/{seed}/{i}" for i in range(batch)),
    )
