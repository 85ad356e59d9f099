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


@pytest.mark.parametrize("size", [(256, 128), (36, 20), (224, 224)])
@pytest.mark.parametrize("rule", ["bilinear", "bicubic"])
def test_the_resize_of_pillow_is_pillows_to_the_bit(crops: Tensor, rule: str, size: tuple[int, int]) -> None:
    ours = Preprocessing(size, (0, 0, 0), (1, 1, 1), f"pillow_{rule}", round_to_uint8=True)(crops) * 255  # type: ignore[arg-type]
    for image, resized in zip(crops, ours, strict=True):
        picture = Image.fromarray(image.permute(1, 2, 0).numpy())
        expected = np.asarray(picture.resize(size[::-1], Image.Resampling[rule.upper()]))
        np.testing.assert_allclose(resized.permute(1, 2, 0), expected, atol=1e-3)


def test_what_pillow_cannot_do_is_not_promised() -> None:
    with pytest.raises(ValueError, match="Pillow antialiases and rounds"):
        Preprocessing(size=(8, 8), interpolation="pillow_bicubic")


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
