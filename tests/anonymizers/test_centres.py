"""Multimodal truncation: centres in W, and people pulled towards them."""

import pytest
import torch
import yaml
from safetensors import safe_open
from safetensors.torch import load_file

from anonbench.anonymizers.centres import find_centres, store_centres
from anonbench.anonymizers.generator import load_generator
from anonbench.anonymizers.registry import load_anonymizer
from anonbench.cards import ModelCard, read_card
from anonbench.errors import CardError, UsageError, WeightsError
from anonbench.generators.config import GeneratorConfig
from anonbench.generators.unet_stylegan import UNetStyleGAN
from anonbench.latents import latents_for
from tests.anonymizers.random_generators import ARCHITECTURE, NATIVE, people, publish_random

MULTIMODAL = {"truncation": "multimodal"}


@pytest.fixture
def generator() -> UNetStyleGAN:
    torch.manual_seed(0)
    return UNetStyleGAN(GeneratorConfig(base_channels=1, latent_dim=6, style_dim=8))


@pytest.fixture
def path(tmp_path):
    """A card file with a comment, and its checkpoint beside it."""
    card = publish_random(tmp_path, ARCHITECTURE, torch.float16)
    path = tmp_path / "random.yaml"
    path.write_text("# mine\n" + yaml.safe_dump(card.model_dump(mode="json", exclude_defaults=True)))
    return path


def test_centres_are_the_means_of_the_w_that_are_nearest_to_them(generator):
    found = find_centres(generator, count=5, samples=400, seed=0)
    assert found.points.shape == (5, 8)
    assert found.points.dtype == torch.float32
    again, other = (find_centres(generator, 5, 400, seed) for seed in (0, 1))
    assert torch.equal(found.points, again.points)
    assert not torch.equal(found.points, other.points)
    w = generator.mapping(latents_for(0, [f"centre/{i}" for i in range(400)], 6)).detach()
    nearest = torch.cdist(w, found.points).argmin(1)
    for index, centre in enumerate(found.points):
        torch.testing.assert_close(w[nearest == index].mean(0), centre, rtol=0.02, atol=0.02)


def test_one_centre_is_the_mean_and_more_leave_less_variance(generator):
    shares = [find_centres(generator, count, 400, seed=0).left for count in (1, 4, 16)]
    assert shares[0] == pytest.approx(1)
    assert shares[0] > shares[1] > shares[2] > 0


def test_too_many_centres_are_refused(generator):
    with pytest.raises(UsageError, match="9 centres of 8 samples"):
        find_centres(generator, count=9, samples=8, seed=0)
    for layer in generator.mapping.layers:
        torch.nn.init.zeros_(layer.weight)
    with pytest.raises(UsageError, match="fewer centres"):
        find_centres(generator, count=4, samples=50, seed=0)


def test_storing_centres_changes_the_checkpoint_by_them_and_the_card_by_its_hash(path):
    before, text = read_card(path, ModelCard), path.read_text()
    checkpoint = path.with_suffix(".safetensors")
    weights = load_file(checkpoint)
    found = store_centres(path, count=4, samples=100, seed=0)
    after, stored = read_card(path, ModelCard), load_file(checkpoint)
    assert after.checkpoint.sha256 != before.checkpoint.sha256
    assert path.read_text() == text.replace(before.checkpoint.sha256, after.checkpoint.sha256)
    assert torch.equal(stored.pop("truncation/centres"), found.points)
    assert stored.keys() == weights.keys()
    assert all(
        torch.equal(stored[name], weights[name]) and weights[name].dtype == stored[name].dtype
        for name in stored
    )
    with safe_open(checkpoint, framework="pt") as file:
        assert "by a test" in file.metadata()["state"]
    store_centres(path, count=6, samples=100, seed=1)
    assert load_file(checkpoint)["truncation/centres"].shape == (6, 8)
    assert len(list(path.parent.iterdir())) == 2


def test_centres_of_a_changed_checkpoint_or_of_none_are_refused(path):
    checkpoint = path.with_suffix(".safetensors")
    checkpoint.write_bytes(checkpoint.read_bytes() + b"x")
    with pytest.raises(WeightsError, match="sha256"):
        store_centres(path, count=4, samples=100, seed=0)
    path.write_text("name: bare\nkind: generator\ndescription: d\n")
    with pytest.raises(CardError, match="'bare' has no checkpoint; train it with: anonbench train bare"):
        store_centres(path, count=4, samples=100, seed=0)


@pytest.fixture
def models(path):
    """The same weights with plain and with multimodal truncation."""
    store_centres(path, count=4, samples=400, seed=0)
    return load_anonymizer(str(path)), load_anonymizer(str(path), MULTIMODAL)


def test_without_truncation_both_modes_are_the_same(models):
    crops, z = people(3, NATIVE), torch.randn(3, 6)
    plain, multimodal = (model.anonymize(crops, z) for model in models)
    assert (plain.int() - multimodal.int()).abs().max() <= 1


def test_full_truncation_leaves_one_person_per_centre_whatever_the_crop_and_batch(models):
    _, model = models
    crops, z = people(40, NATIVE), torch.randn(40, 6)
    same_crop = crops.select([0] * 40)
    styles = model._styles(z, 0.0)
    assert torch.equal(styles, torch.cat([model._styles(one[None], 0.0) for one in z]))
    people_seen = {image.numpy().tobytes() for image in model.anonymize(same_crop, z, truncation=0.0)}
    centres = {style.numpy().tobytes() for style in styles[:, 0]}
    assert 2 <= len(centres) <= 4
    assert len(people_seen) == len(centres)


def test_half_truncation_lies_between_w_and_its_centre(models):
    _, model = models
    z = torch.randn(5, 6)
    full, half, none = (model._styles(z, t) for t in (0.0, 0.5, 1.0))
    torch.testing.assert_close(half, (full + none) / 2)


def test_multimodal_truncation_without_centres_names_the_command(path):
    with pytest.raises(CardError, match=r"no centres .* anonbench models centres CARD\.yaml"):
        load_anonymizer(str(path), MULTIMODAL)


def test_an_unknown_mode_is_refused(path):
    with pytest.raises(CardError, match="options: key 'truncation'"):
        load_anonymizer(str(path), {"truncation": "bimodal"})


def test_the_mode_is_part_of_the_card_and_plain_where_it_says_nothing(models, path):
    plain, multimodal = models
    assert plain.card == read_card(path, ModelCard)
    assert multimodal.card.digest != plain.card.digest
    card = plain.card.model_copy(update={"options": MULTIMODAL})
    crops, z = people(3, NATIVE), torch.randn(3, 6)
    chosen = load_generator(card, path.parent).anonymize(crops, z, truncation=0.3)
    assert torch.equal(chosen, multimodal.anonymize(crops, z, truncation=0.3))
    assert not torch.equal(chosen, plain.anonymize(crops, z, truncation=0.3))
