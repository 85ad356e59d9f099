import pytest
import torch
from pydantic import ValidationError

from anonbench.generators.appearance_mapper import AppearanceMapper, pool_person, sample_latents
from anonbench.generators.build import build_anonymizer
from anonbench.generators.conditions import (
    conditions_of,
    discriminator_condition,
    generator_input,
    mapper_input,
)
from anonbench.generators.config import (
    AppearanceMapperConfig,
    ArchitectureConfig,
    DiscriminatorConfig,
    GeneratorConfig,
)
from anonbench.generators.discriminator import Discriminator, minibatch_deviation
from anonbench.generators.unet_stylegan import UNetStyleGAN

SMALL = GeneratorConfig(base_channels=2, latent_dim=6, style_dim=8)
SIZES = [(288, 160), (144, 80), (72, 40)]


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("co_modulation", [False, True])
def test_generator_paints_at_any_size_divisible_by_eight(random_crops, size, co_modulation):
    generator = UNetStyleGAN(SMALL.model_copy(update={"co_modulation": co_modulation}))
    image = generator(generator_input(conditions_of(random_crops(2, size))), torch.randn(2, 6))
    assert image.shape == (2, 3, *size)
    assert image.dtype == torch.float32
    assert image.isfinite().all()


@pytest.mark.parametrize("size", SIZES)
def test_mapper_and_discriminator_work_at_any_size_divisible_by_eight(random_crops, size):
    conditions = conditions_of(random_crops(4, size))
    mapper = AppearanceMapper(AppearanceMapperConfig(base_channels=2), latent_dim=6)
    mu, log_variance = mapper(mapper_input(conditions), conditions.person_mask)
    assert mu.shape == log_variance.shape == (4, 6)
    discriminator = Discriminator(DiscriminatorConfig(base_channels=2), size)
    condition = discriminator_condition(conditions, "person_mask", torch.Generator())
    logits, maps = discriminator(conditions.image, condition)
    assert logits.shape == (4,)
    heights = [size[0], size[0] // 2, size[0] // 4, size[0] // 8, size[0] // 8]
    assert [m.shape[2] for m in maps] == heights


def test_z_changes_the_person_and_not_the_background(random_crops):
    conditions = conditions_of(random_crops(2, (72, 40)))
    generator = UNetStyleGAN(SMALL)
    a, b = (conditions.composite(generator(generator_input(conditions), z)) for z in torch.randn(2, 2, 6))
    inside = conditions.person_mask.bool().expand(-1, 3, -1, -1)
    assert (a - b)[inside].abs().mean() > 0.01
    assert torch.equal(a[~inside], conditions.image[~inside])


def test_one_latent_per_layer_that_is_the_same_everywhere_equals_one_latent(random_crops):
    condition = generator_input(conditions_of(random_crops(2, (72, 40))))
    generator, z = UNetStyleGAN(SMALL), torch.randn(2, 6)
    layers = z[:, None].expand(-1, generator.style_layers, -1)
    torch.testing.assert_close(generator(condition, z), generator(condition, layers), rtol=1e-4, atol=1e-5)


def test_co_modulation_lets_the_condition_change_the_styles():
    config = SMALL.model_copy(update={"co_modulation": True})
    generator, z = UNetStyleGAN(config), torch.randn(2, 3, 6)
    coarsest = torch.randn(2, 16, 9, 5)
    merged = generator.co_modulation(coarsest, generator.mapping(z))
    assert merged.shape == (2, 3, 8)
    assert not torch.allclose(merged, generator.co_modulation(coarsest + 1, generator.mapping(z)))
    assert not torch.allclose(merged, generator.co_modulation(coarsest, generator.mapping(-z)))


def test_pooling_sees_the_person_only():
    x, mask = torch.randn(1, 4, 9, 5), torch.zeros(1, 1, 72, 40)
    mask[:, :, 16:56, 8:32] = 1
    elsewhere = x.clone()
    elsewhere[:, :, 0] = 100
    assert torch.equal(pool_person(x, mask), pool_person(elsewhere, mask))
    assert not pool_person(x, torch.zeros_like(mask)).any()


def test_sampled_latents_have_the_mean_and_variance_of_the_mapper():
    mu, log_variance = torch.tensor([[1.0, -2.0]]), torch.tensor([[0.0, -4.0]])
    z = sample_latents(mu.expand(20_000, 2), log_variance.expand(20_000, 2), torch.Generator().manual_seed(0))
    torch.testing.assert_close(z.mean(0), mu[0], atol=0.03, rtol=0)
    torch.testing.assert_close(z.var(0), log_variance.exp()[0], atol=0.03, rtol=0.03)


def test_minibatch_deviation_is_zero_for_copies_and_matches_two_opposite_samples():
    x = torch.randn(1, 3, 2, 2)
    assert minibatch_deviation(x.repeat(4, 1, 1, 1)).max() < 2e-4
    pair = torch.cat([x, -x])
    torch.testing.assert_close(minibatch_deviation(pair)[0, 0, 0, 0], x.abs().mean(), rtol=1e-4, atol=1e-4)


def test_discriminator_judges_groups_apart():
    discriminator = Discriminator(DiscriminatorConfig(base_channels=2), (16, 16))
    image, condition = torch.randn(8, 3, 16, 16), torch.randn(8, 4, 16, 16)
    logits, _ = discriminator(image, condition)
    # Samples 0, 2, 4, 6 form one group, the others another: each is judged beside its own group.
    alone, _ = discriminator(image[::2], condition[::2])
    torch.testing.assert_close(logits[::2], alone, rtol=1e-4, atol=1e-5)


def test_architecture_rejects_sizes_that_cannot_be_halved_three_times():
    with pytest.raises(ValidationError, match="multiples of 8"):
        ArchitectureConfig(resolution=(100, 40))


def test_baseline_has_no_mapper():
    generator, mapper = build_anonymizer(ArchitectureConfig(generator=SMALL))
    assert mapper is None
    assert generator.co_modulation is None
