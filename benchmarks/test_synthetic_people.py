"""How hard the synthetic `reid` split is for plain colour. Run: `pytest benchmarks/test_synthetic_people.py -s`.

Colour alone must not solve it (uniforms, muted clothes, light, cameras), and the place must tell nothing.
"""

import numpy as np
import pytest
from numpy.typing import NDArray

from anonbench.crops import PersonCrops
from anonbench.datasets.synthetic.dataset import SyntheticDataset
from anonbench.metrics.ranking import chance_map, euclidean_distances, mean_average_precision, rank

LEVELS = 6


@pytest.fixture(scope="module")
def crops() -> PersonCrops:
    data = SyntheticDataset("reid", (128, 64))
    return data.load(range(len(data)))


def histograms(crops: PersonCrops, weight: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(B, 216) unit vectors of square-rooted RGB histograms over the pixels with `weight`."""
    level = crops.image.numpy().astype(int) // (256 // LEVELS + 1)
    colour = (level[:, 0] * LEVELS + level[:, 1]) * LEVELS + level[:, 2]
    counts = [np.bincount(c[w], minlength=LEVELS**3) for c, w in zip(colour, weight, strict=True)]
    roots = np.sqrt(np.stack(counts).astype(float))
    return np.asarray(roots / np.maximum(np.linalg.norm(roots, axis=1, keepdims=True), 1e-9))


def retrieval(crops: PersonCrops, features: NDArray[np.float64]) -> tuple[float, float]:
    """mAP and its chance level, every image against all others."""
    people, cameras = crops.person_id.numpy(), crops.camera_id.numpy()
    result = rank(euclidean_distances(features, features), people, people, cameras, cameras)
    return mean_average_precision(result), chance_map(result)


def test_person_only_colour_histograms_stay_below_45_percent(crops: PersonCrops) -> None:
    found, chance = retrieval(crops, histograms(crops, (crops.surface >= 0).numpy()))
    print(f"\nperson-only colour histogram: mAP {found:.3f} (chance {chance:.3f})")
    assert 3 * chance < found < 0.45


def test_backgrounds_tell_nothing_about_people(crops: PersonCrops) -> None:
    found, chance = retrieval(crops, histograms(crops, ~crops.person_mask[:, 0].numpy()))
    print(f"\nbackground colour histogram: mAP {found:.3f} (chance {chance:.3f})")
    assert found < 1.5 * chance
