from pathlib import Path

import pytest
import torch
from torch import Tensor

from anonbench import cards
from anonbench.cards import ExtractorCard, packaged_card
from anonbench.errors import CardError
from anonbench.features import osnet as module
from anonbench.features.extractors import load_extractor
from anonbench.features.osnet import osnet
from anonbench.training.reid import ReidTraining, write_extractor
from anonbench.weights import WrongHashError


@pytest.fixture
def packaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A random network in place of the packaged one, written by the training's own code."""
    folder = tmp_path / "extractors"
    torch.manual_seed(0)
    write_extractor(folder, osnet("osnet_x0_25", 5), ReidTraining(input_size=(32, 16)), {"results": {}})
    monkeypatch.setattr(module, "resource_dir", lambda name: tmp_path)
    monkeypatch.setattr(cards, "resource_dir", lambda name: tmp_path)
    cards.packaged_cards.cache_clear()
    yield folder
    cards.packaged_cards.cache_clear()


def test_what_training_writes_is_what_the_extractor_reads(packaged: Path, crops: Tensor) -> None:
    torch.manual_seed(0)
    network = osnet("osnet_x0_25", 5)
    with torch.no_grad():
        expected = torch.nn.functional.normalize(network(module.synthetic_input((32, 16))(crops)), dim=1)
    torch.testing.assert_close(
        load_extractor("osnet_synthetic").features(crops), expected, rtol=1e-4, atol=1e-5
    )


def test_a_changed_checkpoint_is_refused(packaged: Path) -> None:
    path = packaged / "osnet_synthetic.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(WrongHashError, match=r"osnet_synthetic\.safetensors"):
        load_extractor("osnet_synthetic")


def test_an_unknown_option_in_the_card_is_named(packaged: Path) -> None:
    path = packaged / "osnet_synthetic.yaml"
    path.write_text(path.read_text().replace("input_size:", "input_sise:", 1))
    with pytest.raises(CardError, match="input_s"):
        load_extractor("osnet_synthetic")


def test_another_input_size_has_another_digest(packaged: Path) -> None:
    before = load_extractor("osnet_synthetic").digest
    path = packaged / "osnet_synthetic.yaml"
    path.write_text(
        path.read_text().replace("options:\n  input_size:\n  - 32", "options:\n  input_size:\n  - 40")
    )
    cards.packaged_cards.cache_clear()
    assert load_extractor("osnet_synthetic").digest != before


def test_packaged_features_have_unit_length_and_do_not_depend_on_the_batch(crops: Tensor) -> None:
    extractor = load_extractor("osnet_synthetic")
    features = extractor.features(crops)
    torch.testing.assert_close(features.norm(dim=1), torch.ones(4))
    alone = torch.cat([extractor.features(crop[None]) for crop in crops])
    torch.testing.assert_close(features, alone, rtol=1e-3, atol=1e-4)


def test_the_packaged_card_states_how_it_was_trained_and_what_it_reaches() -> None:
    training = packaged_card("models/extractors", "osnet_synthetic", ExtractorCard).training
    assert training is not None
    ReidTraining.model_validate(training["settings"])
    assert training["data"]["name"] == "synthetic/reid_train"
    results = training["results"]
    assert all("synthetic/reid " in name for name in results)
    assert min(result["map"] for result in results.values()) >= 70
