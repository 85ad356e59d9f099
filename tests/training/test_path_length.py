import pytest
import torch
from torch.autograd.functional import jacobian

from anonbench.generators.config import GeneratorConfig
from anonbench.generators.unet_stylegan import UNetStyleGAN
from anonbench.training.losses import path_length, path_length_penalty

SIZE = (4, 6)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def test_the_length_is_the_norm_of_the_jacobian_applied_to_noise():
    weight = torch.randn(5, 3 * 4 * 6)

    def paint(w):
        return torch.tanh(w @ weight).view(3, *SIZE)

    styles, noise = torch.randn(2, 1, 5, requires_grad=True), torch.randn(2, 3, *SIZE)
    lengths = path_length(torch.stack([paint(w[0]) for w in styles]), styles, noise)
    for length, w, y in zip(lengths, styles, noise, strict=True):
        exact = jacobian(paint, w[0]).flatten(0, 2).T @ y.flatten()
        torch.testing.assert_close(length, exact.norm() / 24**0.5)


def test_lengths_do_not_depend_on_the_resolution_and_grow_with_the_image():
    styles = torch.randn(400, 1, 5, requires_grad=True)
    means = []
    for size, gain in ((SIZE, 1), ((16, 12), 1), (SIZE, 3)):
        image = gain * styles[:, 0, :3, None, None].expand(-1, -1, *size)
        means.append(path_length(image, styles, torch.randn(image.shape)).mean())
    torch.testing.assert_close(means[1], means[0], rtol=0.1, atol=0)
    torch.testing.assert_close(means[2], 3 * means[0], rtol=0.1, atol=0)


def test_the_penalty_is_the_mean_squared_distance_from_the_running_mean():
    lengths, mean = torch.tensor([1.0, 2.0, 6.0]), torch.tensor(2.0, requires_grad=True)
    penalty = path_length_penalty(lengths.requires_grad_(), mean)
    assert penalty.item() == pytest.approx((1 + 0 + 16) / 3)
    penalty.backward()
    assert mean.grad is None


def test_the_penalty_trains_the_generator_and_survives_crops_without_a_person():
    generator = UNetStyleGAN(GeneratorConfig(base_channels=2, latent_dim=4, style_dim=8, co_modulation=True))
    styles = generator.styles_of(torch.randn(2, 4))
    images = generator.paint(torch.randn(2, 21, 16, 8), styles)
    images = images * torch.tensor([1.0, 0.0]).view(2, 1, 1, 1)
    lengths = path_length(images, styles, torch.randn(images.shape))
    assert lengths[0] > 1e-3 > lengths[1]
    path_length_penalty(lengths, torch.tensor(0.1)).backward()
    for parameters in (generator.mapping, generator.co_modulation, generator.decoder, generator.encoder):
        gradients = [p.grad for p in parameters.parameters() if p.grad is not None]
        assert all(g.isfinite().all() for g in gradients)
        assert any(g.any() for g in gradients)
