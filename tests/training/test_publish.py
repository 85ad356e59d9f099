import hashlib
import json

import pytest
import yaml
from click.testing import CliRunner

from anonbench.anonymizers.generator import load_generator
from anonbench.cards import ModelCard
from anonbench.errors import DataError
from anonbench.training.publish import publish
from anonbench.training.run import Intervals, train
from anonbench.training.run import main as run_command
from tests.training.tiny_run import FINAL, crops, trainer, training


@pytest.fixture
def card_path(tmp_path):
    return write_card(tmp_path, training(images=8))


@pytest.fixture
def run(tmp_path):
    train(trainer(FINAL, images=8), tmp_path / "run", Intervals(4, 4, 8), crops().select([0]))
    return tmp_path / "run"


def write_card(folder, config):
    content = {
        "name": "tiny",
        "kind": "generator",
        "description": "A test.",
        "latent_dim": 4,
        "can_reconstruct": True,
        "architecture": FINAL.model_dump(mode="json"),
        "training": config.model_dump(mode="json", exclude={"record"}),
    }
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_a_published_card_states_what_was_trained_and_its_weights_load(card_path, run):
    card = publish(card_path, run, hardware="a test machine")
    record = card.training["record"]
    assert record["images"] == 8
    assert record["hardware"] == "a test machine"
    assert {"kl_nats", "mu_squared", "sigma_squared"} <= set(record["final"])
    assert record["parameters"].keys() == {"generator", "mapper", "discriminator"}
    weights = card_path.with_name("tiny.safetensors")
    assert card.checkpoint.sha256 == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert load_generator(card, card_path.parent).encode(crops(2)).shape == (2, 4)


def test_publishing_twice_gives_the_same_card(card_path, run):
    assert publish(card_path, run, "x") == publish(card_path, run, "x")


def test_a_run_of_another_card_is_refused(tmp_path, run):
    other = write_card(tmp_path, training(images=8, learning_rate=1e-4))
    with pytest.raises(DataError, match="other settings than the card's"):
        publish(other, run, "x")


def test_final_values_are_of_the_weights_and_not_of_later_steps(card_path, run):
    expected = publish(card_path, run, "x")
    with (run / "log.jsonl").open("a") as log:
        log.write(json.dumps({"images": 12, "seconds": 1, "kl_weight": 0, "kl_nats": 999}) + "\n")
    assert publish(card_path, run, "x") == expected
    assert isinstance(expected, ModelCard)


def test_training_data_of_another_version_is_refused(tmp_path):
    data = {"version": 999, "count": 4, "context_correlation": 0.7}
    path = write_card(tmp_path, training(images=8, data=data))
    result = CliRunner().invoke(run_command, [str(path), "--out", str(tmp_path / "run")])
    assert result.exit_code == DataError.exit_code
    assert "the card asks for 999" in result.output
