import math

import pytest
import torch
import torch.nn.functional as F

from anonbench.generators.layers import (
    ActivatedConv2d,
    EqualizedLinear,
    MappingNetwork,
    ModulatedConv2d,
    ModulatedToRGB,
    activate,
    downsample,
    upsample,
)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def test_modulated_convolution_equals_a_convolution_per_sample_with_its_own_weights():
    layer = ModulatedConv2d(5, 7, style_dim=3, noise=False)
    torch.nn.init.normal_(layer.bias)
    x, style = torch.randn(4, 5, 6, 8), torch.randn(4, 3)
    expected = []
    for sample, s in zip(x, layer.affine(style), strict=True):
        weight = layer.weight * layer.scale * s[None, :, None, None]
        weight = weight / (weight.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        y = math.sqrt(2) * F.conv2d(sample[None], weight, padding=1) + layer.bias[None, :, None, None]
        expected.append(F.leaky_relu(y, 0.2))
    torch.testing.assert_close(layer(x, style), torch.cat(expected), rtol=1e-4, atol=1e-5)


def test_demodulation_makes_the_output_independent_of_the_scale_of_the_style():
    layer = ModulatedConv2d(5, 7, style_dim=3, noise=False)
    layer.affine.bias.data.zero_()
    x, style = torch.randn(2, 5, 6, 8), torch.randn(2, 3)
    torch.testing.assert_close(layer(x, style), layer(x, 10 * style), rtol=1e-3, atol=1e-4)


def test_rgb_layer_is_modulated_but_not_demodulated():
    layer = ModulatedToRGB(5, style_dim=3)
    layer.affine.bias.data.zero_()
    x, style = torch.randn(2, 5, 6, 8), torch.randn(2, 3)
    torch.testing.assert_close(layer(x, 10 * style), 10 * layer(x, style), rtol=1e-3, atol=1e-4)


def test_noise_changes_the_map_only_when_a_source_is_given_and_repeats_with_its_seed():
    layer = ModulatedConv2d(5, 7, style_dim=3, noise=True)
    layer.noise_strength.data.fill_(1.0)
    x, style = torch.randn(2, 5, 6, 8), torch.randn(2, 3)
    noisy = [layer(x, style, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert torch.equal(noisy[0], noisy[1])
    assert not torch.allclose(noisy[0], noisy[2])
    assert torch.equal(layer(x, style), layer(x, style))


def test_folding_the_gain_into_the_weights_equals_stylegans_gain_after_the_activation():
    x = torch.randn(100)
    torch.testing.assert_close(activate(math.sqrt(2) * x), math.sqrt(2) * F.leaky_relu(x, 0.2))


def test_equalised_layers_keep_unit_variance():
    x = torch.randn(4, 64, 32, 32)
    inner = ActivatedConv2d(64, 64)(x)[:, :, 1:-1, 1:-1]
    assert inner.square().mean().item() == pytest.approx(1, rel=0.15)
    assert EqualizedLinear(512, 512)(torch.randn(256, 512)).square().mean().item() == pytest.approx(
        1, rel=0.15
    )


def test_mapping_network_sees_the_length_of_z():
    mapping = MappingNetwork(8, 16, layers=2)
    z = torch.randn(3, 8)
    assert not torch.allclose(mapping(z), mapping(0.5 * z))
    assert torch.equal(mapping(torch.zeros(1, 8)), mapping(z * 0)[:1])


def test_resampling_keeps_constant_maps_and_is_undone_on_them():
    x = torch.full((1, 2, 4, 6), 0.7)
    assert upsample(x).shape == (1, 2, 8, 12)
    torch.testing.assert_close(downsample(upsample(x)), x)
