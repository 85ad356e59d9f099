from dataclasses import replace

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
    SURFACES,
    AppearanceMapperConfig,
    ArchitectureConfig,
    DiscriminatorConfig,
    GeneratorConfig,
)
from anonbench.generators.discriminator import Discriminator, minibatch_deviation
from anonbench.generators.layers import pyramid_channels
from anonbench.generators.unet_stylegan import UNetStyleGAN
from anonbench.training.networks import Networks

SMALL = GeneratorConfig(base_channels=2, latent_dim=6, style_dim=8)
SIZES = [(288, 160), (144, 80), (72, 40)]
JOINTS = ("background", "person_mask", "keypoints")
SWITCHES = [
    {},
    {"co_modulation": True},
    {"noise": False},
    {"skip_generator": False},
    {"conditions": JOINTS},
    {"conditions": ("surface_mask",)},
]


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("switch", SWITCHES, ids=str)
def test_generator_and_mapper_work_at_any_size_divisible_by_eight(random_crops, size, switch):
    config = SMALL.model_copy(update=switch)
    conditions = conditions_of(random_crops(2, size))
    image = UNetStyleGAN(config)(generator_input(conditions, config.conditions), torch.randn(2, 6))
    assert image.shape == (2, 3, *size)
    assert image.dtype == torch.float32
    assert image.isfinite().all()
    mapper = AppearanceMapper(AppearanceMapperConfig(base_channels=2), 6, config.conditions)
    mu, log_variance = mapper(mapper_input(conditions, config.conditions), conditions.person_mask)
    assert mu.shape == log_variance.shape == (2, 6)


@pytest.mark.parametrize("size", SIZES)
def test_discriminator_works_at_any_size_divisible_by_eight(random_crops, size):
    conditions = conditions_of(random_crops(4, size))
    discriminator = Discriminator(DiscriminatorConfig(base_channels=2), size)
    condition = discriminator_condition(conditions, "person_mask", torch.Generator())
    logits, maps = discriminator(conditions.image, condition)
    assert logits.shape == (4,)
    heights = [size[0], size[0] // 2, size[0] // 4, size[0] // 8, size[0] // 8]
    assert [m.shape[2] for m in maps] == heights


def test_six_levels_end_as_small_at_288x160_as_four_at_72x40(random_crops):
    large = ArchitectureConfig(
        resolution=(288, 160),
        levels=6,
        generator=SMALL,
        appearance_mapper=AppearanceMapperConfig(base_channels=2),
        discriminator=DiscriminatorConfig(base_channels=2),
    )
    conditions = conditions_of(random_crops(2, (288, 160)))
    generator, mapper = build_anonymizer(large)
    assert mapper is not None
    assert generator.style_layers == 12
    z, _ = mapper(mapper_input(conditions), conditions.person_mask)
    assert generator(generator_input(conditions), z).shape == (2, 3, 288, 160)
    discriminator = Networks.build(large, seed=0).discriminator
    condition = discriminator_condition(conditions, "person_mask", torch.Generator())
    _, maps = discriminator(conditions.image, condition)
    assert [tuple(m.shape[2:]) for m in maps][-2:] == [(9, 5), (9, 5)]
    assert len(maps) == large.levels + 1


def test_a_resolution_that_the_levels_cannot_halve_is_refused():
    with pytest.raises(ValueError, match="multiples of 32 with 6 levels"):
        ArchitectureConfig(resolution=(72, 40), levels=6)


def test_channels_double_up_to_the_limit_of_stylegan2():
    assert pyramid_channels(64, 6) == [64, 128, 256, 512, 512, 512]
    assert pyramid_channels(16, 4) == [16, 32, 64, 128]


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


@pytest.mark.parametrize("switch", SWITCHES, ids=str)
def test_painting_with_the_styles_of_z_is_generating_from_z(random_crops, switch):
    config = SMALL.model_copy(update=switch)
    generator, z = UNetStyleGAN(config), torch.randn(2, 6)
    condition = generator_input(conditions_of(random_crops(2, (72, 40))), config.conditions)
    styles = generator.styles_of(z)
    assert styles.shape == (2, generator.style_layers, config.style_dim)
    assert torch.equal(generator.paint(condition, styles), generator(condition, z))
    assert not torch.allclose(generator.paint(condition, styles + 1), generator(condition, z))


def test_without_skip_generator_only_the_finest_map_becomes_rgb(random_crops):
    summed, finest = (UNetStyleGAN(SMALL.model_copy(update={"skip_generator": s})) for s in (True, False))
    assert [block.to_rgb is not None for block in summed.decoder] == [True] * 4
    assert [block.to_rgb is not None for block in finest.decoder] == [False] * 3 + [True]
    torch.nn.init.zeros_(finest.decoder[-1].to_rgb.conv.weight)
    torch.nn.init.zeros_(summed.decoder[-1].to_rgb.conv.weight)
    condition, z = generator_input(conditions_of(random_crops(2, (72, 40)))), torch.randn(2, 6)
    assert not finest(condition, z).any()
    assert summed(condition, z).any()


@pytest.mark.parametrize("hidden", SURFACES)
def test_what_the_conditions_leave_out_changes_nothing(random_crops, hidden):
    shown = tuple(name for name in SURFACES if name != hidden)
    if hidden == "person_mask":
        shown = ("surface_embedding", "surface_mask")  # a background would show its hole
    conditions = conditions_of(random_crops(2, (16, 16)))
    field = {"background": "image", "surface_embedding": "embedding"}.get(hidden, hidden)
    changed = replace(conditions, **{field: 1 - getattr(conditions, field)})
    generator, z = UNetStyleGAN(SMALL.model_copy(update={"conditions": shown})), torch.randn(2, 6)
    images = [generator(generator_input(c, shown), z) for c in (conditions, changed)]
    assert torch.equal(*images)
    everything = UNetStyleGAN(SMALL)
    images = [everything(generator_input(c), z) for c in (conditions, changed)]
    assert not torch.allclose(*images)


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


@pytest.mark.parametrize("names", [("background", "background"), (), ("background", "silhouette")])
def test_conditions_are_some_of_the_known_ones_each_once(names):
    with pytest.raises(ValidationError, match="conditions"):
        GeneratorConfig(conditions=names)


def test_baseline_has_no_mapper():
    generator, mapper = build_anonymizer(ArchitectureConfig(generator=SMALL))
    assert mapper is None
    assert generator.co_modulation is None
