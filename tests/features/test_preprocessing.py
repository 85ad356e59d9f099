import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from anonbench.features.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing


@pytest.mark.parametrize("size", [(256, 128), (36, 20), (72, 40)])
def test_bilinear_with_rounding_is_the_resize_of_pillow(crops: Tensor, size: tuple[int, int]) -> None:
    """torchreid resizes with Pillow, which rounds after each of two passes; we round once."""
    ours = Preprocessing(size=size, mean=(0, 0, 0), std=(1, 1, 1), round_to_uint8=True)(crops) * 255
    for image, resized in zip(crops, ours, strict=True):
        pillow = Image.fromarray(image.permute(1, 2, 0).numpy()).resize(size[::-1], Image.Resampling.BILINEAR)
        difference = np.abs(np.asarray(pillow, dtype=float) - resized.permute(1, 2, 0).numpy())
        assert difference.max() <= 1.01
        assert difference.mean() < 0.25


def test_the_mean_colour_becomes_zero_and_one_deviation_becomes_one() -> None:
    preprocessing = Preprocessing(size=None)
    mean = torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1) * 255
    bright = (mean + 255 * torch.tensor(IMAGENET_STD).view(1, 3, 1, 1)).round().to(torch.uint8)
    assert preprocessing(mean.round().to(torch.uint8)).abs().max() < 0.01
    torch.testing.assert_close(preprocessing(bright), torch.ones(1, 3, 1, 1), atol=0.01, rtol=0)


def test_without_a_size_images_keep_theirs(crops: Tensor) -> None:
    assert Preprocessing(size=None)(crops).shape == crops.shape


def test_every_field_is_described() -> None:
    assert Preprocessing(size=(2, 3)).describe()["size"] == (2, 3)
    assert set(Preprocessing(size=None).describe()) == set(Preprocessing.__dataclass_fields__)
