import hashlib
from dataclasses import replace

import pytest
import torch

from anonbench import template
from anonbench.anonymizers.base import Reconstructing
from anonbench.anonymizers.generator import GeneratorAnonymizer, load_generator
from anonbench.anonymizers.naive import heavy_blur
from anonbench.cards import ModelCard, packaged_card
from anonbench.crops import Outcome, PersonCrops
from anonbench.errors import CardError, UsageError, WeightsError
from anonbench.generators.build import build_anonymizer, module_tensors, published_modules
from anonbench.generators.config import ArchitectureConfig
from anonbench.resources import resource_dir
from anonbench.training.checkpoints import save_tensors
from tests.anonymizers.crop_batches import random_crops

ARCHITECTURE = {
    "resolution": [32, 16],
    "generator": {"base_channels": 2, "latent_dim": 6, "style_dim": 8, "co_modulation": True},
    "appearance_mapper": {"base_channels": 2},
}
NATIVE, LARGER = (32, 16), (64, 40)


@pytest.fixture
def card(tmp_path) -> ModelCard:
    """A card whose checkpoint of random weights lies in tmp_path."""
    return publish_random(tmp_path, ARCHITECTURE)


def publish_random(folder, architecture) -> ModelCard:
    torch.manual_seed(0)
    modules = published_modules(*build_anonymizer(ArchitectureConfig.model_validate(architecture)))
    save_tensors(folder / "random.safetensors", module_tensors(modules))
    sha256 = hashlib.sha256((folder / "random.safetensors").read_bytes()).hexdigest()
    return ModelCard(
        name="random",
        kind="generator",
        description="Random weights.",
        latent_dim=6,
        can_reconstruct=architecture.get("appearance_mapper") is not None,
        architecture=architecture,
        checkpoint={"file": "random.safetensors", "sha256": sha256},
    )


def people(count: int, size: tuple[int, int]) -> PersonCrops:
    """Random crops, all with a surface."""
    crops = random_crops(count, size)
    surface = torch.arange(count * size[0] * size[1]).reshape(count, *size) % template.VERTICES
    return replace(
        crops,
        surface=torch.where(crops.person_mask[:, 0], surface, -1).to(torch.int32),
        outcome=torch.full((count,), int(Outcome.SURFACE)),
    )


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


@pytest.mark.parametrize(
    ("name", "generator", "mapper"), [("baseline", 866_868, 0), ("final", 916_276, 280_144)]
)
def test_packaged_models_load_and_have_the_parameters_that_their_cards_state(name, generator, mapper):
    card = packaged_card("models", name, ModelCard)
    model = load_generator(card, resource_dir("models"))
    counts = {"generator": generator} | ({"mapper": mapper} if mapper else {})
    built = {
        key: sum(p.numel() for p in module.parameters())
        for key, module in published_modules(model._generator, model._mapper).items()
    }
    assert built == counts
    assert card.training is not None
    assert counts.items() <= card.training["record"]["parameters"].items()
