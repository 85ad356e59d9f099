from dataclasses import replace

import pytest
import torch

from anonbench.anonymizers.base import Reconstructing
from anonbench.anonymizers.generator import GeneratorAnonymizer, load_generator
from anonbench.anonymizers.naive import heavy_blur
from anonbench.anonymizers.registry import is_trained, load_anonymizer
from anonbench.cards import ModelCard, packaged_cards
from anonbench.crops import Outcome
from anonbench.errors import CardError, DataError, UsageError, WeightsError
from anonbench.generators.build import published_modules
from anonbench.generators.config import CHANNELS
from tests.anonymizers.random_generators import (
    ARCHITECTURE,
    GENERATOR,
    LARGER,
    NATIVE,
    people,
    publish_random,
)

TRAINED = [
    n for n, c in packaged_cards("models", ModelCard).items() if c.kind == "generator" and is_trained(c)
]


@pytest.fixture
def card(tmp_path) -> ModelCard:
    """A card whose checkpoint of random weights lies in tmp_path."""
    return publish_random(tmp_path, ARCHITECTURE)


@pytest.fixture
def model(card, tmp_path) -> GeneratorAnonymizer:
    return load_generator(card, tmp_path)


@pytest.mark.parametrize("size", [NATIVE, LARGER])
def test_pixels_outside_the_mask_come_back_bit_exact_and_inside_they_change(model, size):
    crops = people(5, size)
    result = model.anonymize(crops, torch.randn(5, 6))
    outside = ~crops.person_mask.expand(-1, 3, -1, -1)
    assert result.dtype == torch.uint8
    assert torch.equal(result[outside], crops.image[outside])
    assert (result != crops.image)[~outside].float().mean() > 0.5


@pytest.mark.parametrize("size", [NATIVE, LARGER])
def test_the_persons_pixels_do_not_reach_the_result(model, size):
    crops = people(3, size)
    repainted = crops.with_image(torch.where(crops.person_mask, 255 - crops.image, crops.image))
    latents = torch.randn(3, 6)
    first, second = (model.anonymize(c, latents) for c in (crops, repainted))
    assert torch.equal(first, second)


def test_only_crops_with_a_surface_are_synthesized(model):
    outcomes = torch.tensor([Outcome.SURFACE, Outcome.MASK_ONLY, Outcome.NONE])
    crops = replace(people(3, NATIVE), outcome=outcomes)
    result = model.anonymize(crops, torch.randn(3, 6))
    assert torch.equal(result[1:2], heavy_blur(crops.image[1:2], crops.person_mask[1:2]))
    assert torch.equal(result[2], crops.image[2])
    assert not torch.equal(result[0], crops.image[0])


def test_the_result_does_not_depend_on_the_batch_beyond_one_grey_level(model):
    crops, latents = people(70, NATIVE), torch.randn(70, 6)
    together = model.anonymize(crops, latents).int()
    alone = torch.cat([model.anonymize(crops.select([i]), latents[i : i + 1]) for i in (0, 33, 69)]).int()
    assert (together[[0, 33, 69]] - alone).abs().max() <= 1


def test_same_crops_and_latents_give_the_same_bytes(model):
    crops, latents = people(3, LARGER), torch.randn(3, 6)
    assert torch.equal(model.anonymize(crops, latents), model.anonymize(crops, latents))


def test_z_decides_and_full_truncation_is_the_zero_vector(model):
    crops, z = people(3, NATIVE), torch.randn(3, 6)
    assert not torch.equal(model.anonymize(crops, z), model.anonymize(crops, -z))
    at_zero = model.anonymize(crops, torch.zeros(3, 6))
    assert torch.equal(model.anonymize(crops, z, truncation=0.0), at_zero)
    assert torch.equal(model.anonymize(crops, -z, truncation=0.0), at_zero)
    halved = model.anonymize(crops, 0.5 * z)
    assert torch.equal(model.anonymize(crops, z, truncation=0.5), halved)


def test_latents_left_out_are_tied_to_the_sample_key(model):
    crops = people(3, NATIVE)
    together = model.anonymize(crops).int()
    assert (together[2:] - model.anonymize(crops.select([2])).int()).abs().max() <= 1


def test_latents_of_another_shape_are_refused(model):
    with pytest.raises(ValueError, match=r"latents must be \(3, 6\), got \(3, 5\)"):
        model.anonymize(people(3, NATIVE), torch.randn(3, 5))


def test_an_empty_batch_is_an_empty_result(model):
    crops = people(2, NATIVE).select([])
    assert model.anonymize(crops).shape == (0, 3, *NATIVE)
    assert model.encode(crops).shape == (0, 6)


def test_encoding_depends_on_the_person_and_not_on_the_background(model):
    assert isinstance(model, Reconstructing)
    crops = people(3, NATIVE)
    background = crops.with_image(torch.where(crops.person_mask, crops.image, 255 - crops.image))
    person = crops.with_image(torch.where(crops.person_mask, 255 - crops.image, crops.image))
    assert model.encode(crops).shape == (3, 6)
    assert torch.equal(model.encode(crops), model.encode(background))
    assert not torch.allclose(model.encode(crops), model.encode(person))


def test_a_model_without_mapper_cannot_encode(tmp_path):
    model = load_generator(publish_random(tmp_path, ARCHITECTURE | {"appearance_mapper": None}), tmp_path)
    with pytest.raises(UsageError, match="has no appearance mapper"):
        model.encode(people(1, NATIVE))


def test_cards_that_contradict_their_architecture_are_refused(card, tmp_path):
    for change, message in (
        ({"latent_dim": 7}, "key 'latent_dim' is 7"),
        ({"can_reconstruct": False}, "key 'can_reconstruct'"),
        ({"checkpoint": None}, "has no checkpoint"),
        ({"architecture": ARCHITECTURE | {"layers": 3}}, "'layers': unknown key"),
    ):
        with pytest.raises(CardError, match=message):
            load_generator(card.model_copy(update=change), tmp_path)


def test_absent_changed_or_foreign_checkpoints_are_refused(card, tmp_path):
    path = tmp_path / "random.safetensors"
    larger = card.model_copy(update={"architecture": ARCHITECTURE | {"generator": {"latent_dim": 6}}})
    with pytest.raises(WeightsError, match="not the weights of this network"):
        load_generator(larger, tmp_path)
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(WeightsError, match="sha256"):
        load_generator(card, tmp_path)
    path.unlink()
    with pytest.raises(WeightsError, match="not found"):
        load_generator(card, tmp_path)


def test_checkpoints_of_half_precision_compute_in_single_precision(tmp_path):
    card = publish_random(tmp_path, ARCHITECTURE, torch.float16)
    model = load_generator(card, tmp_path)
    assert {p.dtype for p in model._generator.parameters()} == {torch.float32}
    assert {p.dtype for p in model._mapper.parameters()} == {torch.float32}
    crops, z = people(3, NATIVE), torch.randn(3, 6)
    half = model.anonymize(crops, z)
    single = load_generator(publish_random(tmp_path, ARCHITECTURE), tmp_path).anonymize(crops, z)
    assert (half.int() - single.int()).abs().max() <= 2
    assert model.encode(crops).dtype == torch.float32


@pytest.fixture
def on_other_template(tmp_path) -> ModelCard:
    architecture = ARCHITECTURE | {"surface_template": "other"}
    return publish_random(tmp_path, architecture, template__embedding=torch.randn(50, 16).half())


def test_a_model_carries_its_body_template_and_refuses_surfaces_of_another(on_other_template, tmp_path):
    model = load_generator(on_other_template, tmp_path)
    crops = replace(people(3, NATIVE, vertices=50), template="other")
    outside = ~crops.person_mask.expand(-1, 3, -1, -1)
    assert torch.equal(model.anonymize(crops)[outside], crops.image[outside])
    assert model.encode(crops).shape == (3, 6)
    for use in (model.anonymize, model.encode):
        with pytest.raises(DataError, match="template 'makehuman_13380', not to 'other'"):
            use(people(3, NATIVE))


def test_a_model_on_the_packaged_template_refuses_surfaces_of_another(model):
    with pytest.raises(DataError, match="template 'other', not to 'makehuman_13380'"):
        model.anonymize(replace(people(3, NATIVE), template="other"))


def test_a_body_template_that_the_checkpoint_lacks_is_named(tmp_path):
    card = publish_random(tmp_path, ARCHITECTURE | {"surface_template": "other"})
    with pytest.raises(WeightsError, match="lacks 'template/embedding'.* template 'other'"):
        load_generator(card, tmp_path)


def test_tables_of_another_width_are_refused(tmp_path):
    card = publish_random(tmp_path, ARCHITECTURE, truncation__centres=torch.zeros(4, 9))
    with pytest.raises(WeightsError, match=r"'truncation/centres' must have 8 columns, has shape \(4, 9\)"):
        load_generator(card, tmp_path)


def with_conditions(folder, *names) -> GeneratorAnonymizer:
    architecture = ARCHITECTURE | {"generator": GENERATOR | {"conditions": list(names)}}
    return load_generator(publish_random(folder, architecture), folder)


def test_a_model_of_keypoints_sees_joints_and_no_surface(tmp_path):
    model = with_conditions(tmp_path, "background", "person_mask", "keypoints")
    crops, z = people(3, NATIVE), torch.randn(3, 6)
    other_surface = replace(crops, surface=crops.surface.clamp(max=0), template="other")
    moved = replace(crops, keypoints=crops.keypoints.flip(1))
    assert torch.equal(model.anonymize(crops, z), model.anonymize(other_surface, z))
    assert torch.equal(model.encode(crops), model.encode(other_surface))
    assert not torch.equal(model.anonymize(crops, z), model.anonymize(moved, z))
    assert not torch.equal(model.encode(crops), model.encode(moved))


@pytest.mark.parametrize("hidden", ["background", "surface_embedding", "keypoints"])
def test_what_the_conditions_leave_out_does_not_reach_the_person(tmp_path, hidden):
    model = with_conditions(tmp_path, *(name for name in CHANNELS if name != hidden))
    everything = with_conditions(tmp_path, *CHANNELS)
    crops, z = people(3, NATIVE), torch.randn(3, 6)
    changed = {
        "background": crops.with_image(torch.where(crops.person_mask, crops.image, 255 - crops.image)),
        "surface_embedding": replace(crops, surface=torch.where(crops.surface < 0, -1, 7).int()),
        "keypoints": replace(crops, keypoints=crops.keypoints.flip(1)),
    }[hidden]
    inside = crops.person_mask.expand(-1, 3, -1, -1)
    assert torch.equal(model.anonymize(crops, z)[inside], model.anonymize(changed, z)[inside])
    assert not torch.equal(everything.anonymize(crops, z)[inside], everything.anonymize(changed, z)[inside])


@pytest.mark.parametrize("name", TRAINED)
def test_packaged_models_load_and_have_the_parameters_that_their_cards_state(name):
    model = load_anonymizer(name)
    built = {
        key: sum(p.numel() for p in module.parameters())
        for key, module in published_modules(model._generator, model._mapper).items()
    }
    assert built.items() <= model.card.training["record"]["parameters"].items()
