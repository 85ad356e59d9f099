import math

import pytest
import torch
from torch.distributions import Normal
from torch.distributions import kl_divergence as reference_kl

from anonbench.training.losses import (
    discriminator_loss,
    epsilon_penalty,
    feature_matching_loss,
    generator_loss,
    kl_divergence,
    pooled_deviation,
    r1_penalty,
)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def test_adversarial_losses_are_the_cross_entropies_of_equation_4_1():
    real, fake = torch.randn(16), torch.randn(16)
    expected = -(torch.sigmoid(real).log() + (1 - torch.sigmoid(fake)).log()).mean()
    torch.testing.assert_close(discriminator_loss(real, fake), expected)
    torch.testing.assert_close(generator_loss(fake), -torch.sigmoid(fake).log().mean())


def test_an_undecided_discriminator_loses_twice_log_two():
    assert discriminator_loss(torch.zeros(3), torch.zeros(3)).item() == pytest.approx(2 * math.log(2))


def test_r1_of_a_linear_discriminator_is_its_squared_weight():
    weight = torch.randn(3, 4, 4, requires_grad=True)
    penalty = r1_penalty(lambda x: (x * weight).sum((1, 2, 3)), torch.randn(5, 3, 4, 4))
    torch.testing.assert_close(penalty, weight.square().sum())
    penalty.backward()
    torch.testing.assert_close(weight.grad, 2 * weight)


def test_r1_agrees_with_finite_differences():
    network = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(12, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1)
    )
    network.double()
    image = torch.randn(1, 3, 2, 2, dtype=torch.float64)
    steps = 1e-5 * torch.eye(12, dtype=torch.float64).reshape(12, 3, 2, 2)
    slopes = (network(image + steps) - network(image - steps)) / 2e-5
    penalty = r1_penalty(lambda x: network(x)[:, 0], image)
    torch.testing.assert_close(penalty, slopes.square().sum(), rtol=1e-6, atol=0)


def test_epsilon_penalty_is_the_mean_square():
    assert epsilon_penalty(torch.tensor([1.0, -3.0])).item() == 5


def test_kl_agrees_with_torch_distributions():
    mu, log_variance = torch.randn(7, 5), torch.randn(7, 5)
    distributions = Normal(mu, (0.5 * log_variance).exp())
    expected = reference_kl(distributions, Normal(0.0, 1.0)).sum(1).mean()
    torch.testing.assert_close(kl_divergence(mu, log_variance), expected)
    assert kl_divergence(torch.zeros(2, 5), torch.zeros(2, 5)) == 0


@pytest.mark.parametrize("normalized", [False, True])
def test_feature_matching_is_zero_for_equal_maps_and_blind_to_maps_not_chosen(normalized):
    real = [torch.randn(4, 3, 8, 8), torch.randn(4, 6, 4, 4)]
    other = [real[0], real[1] + 1]
    assert feature_matching_loss(real, real, (1, 2), normalized=normalized) == 0
    assert feature_matching_loss(real, other, (1,), normalized=normalized) == 0
    assert feature_matching_loss(real, other, (1, 2), normalized=normalized) > 0


def test_plain_feature_matching_is_the_sum_of_mean_absolute_differences():
    real, generated = [torch.zeros(2, 3, 4, 4), torch.zeros(2, 5, 2, 2)], [torch.ones(2, 3, 4, 4)]
    generated.append(-2 * torch.ones(2, 5, 2, 2))
    assert feature_matching_loss(real, generated, (1, 2), normalized=False).item() == pytest.approx(3)


def test_normalized_feature_matching_ignores_the_scale_of_each_channel():
    real, generated = torch.randn(4, 3, 8, 8), torch.randn(4, 3, 8, 8)
    scale = torch.tensor([0.1, 1.0, 30.0]).view(1, 3, 1, 1)
    plain = feature_matching_loss([real], [generated], (1,), normalized=True)
    scaled = feature_matching_loss([scale * real], [scale * generated], (1,), normalized=True)
    torch.testing.assert_close(plain, scaled, rtol=1e-3, atol=0)


def test_normalisation_pools_real_and_generated_statistics():
    a, b = torch.randn(4, 3, 8, 8), 2 + torch.randn(4, 3, 8, 8)
    expected = torch.cat([a, b]).std((0, 2, 3), unbiased=False)
    torch.testing.assert_close(pooled_deviation(a, b), expected, rtol=1e-4, atol=0)


def test_feature_matching_gives_real_maps_no_gradient():
    real, generated = (torch.randn(2, 3, 4, 4, requires_grad=True) for _ in range(2))
    feature_matching_loss([real], [generated], (1,), normalized=True).backward()
    assert real.grad is None
    assert generated.grad is not None
