"""Claims about how a name becomes an anonymizer."""

import sys
from pathlib import Path

import pytest
import torch

from anonbench.anonymizers.registry import anonymizer_names, load_anonymizer
from anonbench.cards import ModelCard, packaged_cards, packaged_paths
from anonbench.errors import CardError, UsageError
from tests.anonymizers.crop_batches import random_crops

NAIVE = {"original", "blackout", "noise", "gaussian_blur", "pixelate"}


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Puts a fake distribution with an anonymizer on the path."""

    def install(name, entry="white", value="{module}:White", version="1.0", body=None):
        site = tmp_path / name
        info = site / f"{name}-{version}.dist-info"
        info.mkdir(parents=True)
        module = f"{name}_module"
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        target = value.format(module=module)
        (info / "entry_points.txt").write_text(f"[anonbench.anonymizers]\n{entry} = {target}\n")
        (site / f"{module}.py").write_text(body or WHITE)
        monkeypatch.syspath_prepend(str(site))
        monkeypatch.delitem(sys.modules, module, raising=False)

    return install


WHITE = """
class White:
    def __init__(self, card):
        self.card = card

    def anonymize(self, crops, latents=None, truncation=1.0):
        return crops.image.masked_fill(crops.person_mask, 255)
"""


def test_every_naive_kind_is_packaged_under_its_own_name():
    assert set(anonymizer_names()) >= NAIVE
    cards = packaged_cards("models", ModelCard)
    for name in NAIVE:
        card = load_anonymizer(name).card
        assert card.name == card.kind == name
        assert card.digest == cards[name].digest
        assert card.latent_dim is None


def test_cards_without_checkpoint_are_known_but_cannot_be_run(monkeypatch):
    card = ModelCard(name="new", kind="generator", description="d", architecture={}, latent_dim=64)
    cards = packaged_cards("models", ModelCard) | {"new": card}
    monkeypatch.setattr("anonbench.anonymizers.registry.packaged_cards", lambda *_: cards)
    paths = packaged_paths("models") | {"new": Path("new.yaml")}
    monkeypatch.setattr("anonbench.anonymizers.registry.packaged_paths", lambda _: paths)
    assert "new" not in anonymizer_names()
    with pytest.raises(CardError, match="'new' has no checkpoint; train it with: anonbench train new"):
        load_anonymizer("new")


def test_options_replace_those_of_the_card(tmp_path):
    path = tmp_path / "soft.yaml"
    path.write_text("name: soft\nkind: gaussian_blur\ndescription: d\noptions: {sigma: 0.01}\n")
    model = load_anonymizer(str(path), {"sigma": 0.02})
    assert model.options.sigma == 0.02
    assert model.card.options == {"sigma": 0.02}


def test_an_unknown_name_lists_the_valid_ones():
    with pytest.raises(
        UsageError, match=r"no model 'bluor'; there are: .*gaussian_blur.*card file.*folder=PATH"
    ):
        load_anonymizer("bluor")


def test_a_card_file_is_loaded_by_its_path(tmp_path):
    path = tmp_path / "soft.yaml"
    path.write_text("name: soft\nkind: gaussian_blur\ndescription: d\noptions: {sigma: 0.01}\n")
    assert load_anonymizer(str(path)).options.sigma == 0.01


def test_an_unknown_key_in_a_card_file_is_named_with_its_line(tmp_path):
    path = tmp_path / "soft.yaml"
    path.write_text("name: soft\nkind: gaussian_blur\ndescription: d\nsigma: 0.01\n")
    with pytest.raises(CardError, match=r"soft\.yaml:4: key 'sigma': unknown key"):
        load_anonymizer(str(path))


def test_an_absent_card_file_is_named(tmp_path):
    with pytest.raises(CardError, match=r"gone\.yaml: cannot read the card"):
        load_anonymizer(str(tmp_path / "gone.yaml"))


def test_an_unknown_kind_lists_the_kinds(tmp_path):
    path = tmp_path / "odd.yaml"
    path.write_text("name: odd\nkind: sorcery\ndescription: d\n")
    with pytest.raises(CardError, match="unknown kind 'sorcery'; there are: original, blackout"):
        load_anonymizer(str(path))


def test_an_installed_class_is_a_model_by_name_and_a_kind_in_cards(install, tmp_path):
    install("whitewash", version="2.1")
    crops = random_crops(2, (16, 8))
    model = load_anonymizer("white")
    assert "white" in anonymizer_names()
    assert "whitewash 2.1" in model.card.description
    assert torch.equal(model.anonymize(crops), crops.image.masked_fill(crops.person_mask, 255))
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\nkind: white\ndescription: d\noptions: {shade: 3}\n")
    assert load_anonymizer(str(path)).card.options == {"shade": 3}


def test_two_packages_with_one_name_are_an_error_that_names_both(install):
    install("whitewash")
    install("chalk")
    with pytest.raises(
        UsageError, match=r"'white' comes from .*(whitewash|chalk) 1\.0 and (whitewash|chalk) 1\.0"
    ):
        load_anonymizer("white")


def test_a_package_cannot_take_the_name_of_a_built_in_kind(install):
    install("whitewash", entry="pixelate")
    with pytest.raises(UsageError, match=r"whitewash 1\.0: 'pixelate' is a kind of anonbench itself"):
        load_anonymizer("white")


@pytest.mark.parametrize(
    ("value", "body"),
    [("{module}:Absent", None), ("{module}:White", "import a_module_that_is_not_there\n")],
    ids=["class", "import"],
)
def test_a_package_that_cannot_be_imported_is_named(install, value, body):
    install("whitewash", value=value, body=body)
    with pytest.raises(UsageError, match=r"'white' of whitewash 1\.0 cannot be imported"):
        load_anonymizer("white")
