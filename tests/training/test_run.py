import hashlib
import json
import math
import os
import signal

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from anonbench.anonymizers.registry import load_anonymizer
from anonbench.cards import ModelCard, read_card
from anonbench.errors import AnonbenchError
from anonbench.training.checkpoints import load_tensors
from anonbench.training.run import Intervals
from tests.training.tiny_run import BASELINE, FINAL, crops, run_in, trainer

EVERY_8 = Intervals(log=8, checkpoint=8, samples=8, protocols=8)


def log_of(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def losses_of(folder):
    return [{k: v for k, v in line.items() if k != "seconds"} for line in log_of(folder)]


def test_a_run_writes_what_it_promises_and_goes_on_to_a_later_end(tmp_path):
    run_in(tmp_path, trainer(FINAL, images=16), Intervals(log=8, checkpoint=16, samples=16))
    run_in(tmp_path, trainer(FINAL, images=24), Intervals(log=8, checkpoint=16, samples=16))
    lines = log_of(tmp_path)
    assert [line["images"] for line in lines] == [8, 16, 24]
    assert {"kl_nats", "mu_squared", "sigma_squared", "feature_matching", "r1"} <= set(lines[0])
    seconds = [line["seconds"] for line in lines]
    assert seconds == sorted(seconds)
    names = {path.name for path in tmp_path.rglob("*.*")}
    assert {"checkpoint.safetensors", "tiny.yaml", "tiny.safetensors", "000000024.png"} <= names


def test_tensorboard_shows_losses_and_samples(tmp_path):
    run_in(tmp_path, trainer(FINAL, images=16), EVERY_8)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    points = events.Scalars("training/kl_nats")
    assert [point.step for point in points] == [8, 16]
    assert points[0].value == pytest.approx(log_of(tmp_path)[0]["kl_nats"], abs=1e-4)
    assert [image.step for image in events.Images("samples")] == [8, 16]


def test_the_model_in_the_folder_is_the_averaged_one_and_states_its_training(tmp_path):
    run = trainer(FINAL, images=16)
    run_in(tmp_path, run, EVERY_8)
    card = read_card(tmp_path / "tiny.yaml", ModelCard)
    record = card.training["record"]
    assert record["images"] == 16
    assert record["hardware"] == "a test machine"
    assert {"kl_nats", "mu_squared", "sigma_squared"} <= set(record["final"])
    assert record["parameters"].keys() == {"generator", "mapper", "discriminator"}
    weights = tmp_path / "tiny.safetensors"
    assert card.checkpoint.sha256 == hashlib.sha256(weights.read_bytes()).hexdigest()
    tensors, _ = load_tensors(weights)
    average = run.networks.average_mapper.head.weight
    assert torch.equal(tensors["mapper/head.weight"], average.half())
    encoded = load_anonymizer(str(tmp_path / "tiny.yaml")).encode(crops(2))
    assert encoded.shape == (2, 4)


def test_protocols_measure_the_model_at_their_interval(tmp_path):
    measured = []

    def evaluate(card):
        measured.append(read_card(card, ModelCard).training["record"]["images"])
        return {"fid.value.toy": 100.0 - measured[-1]}

    intervals = Intervals(log=8, checkpoint=100, samples=100, protocols=16)
    run_in(tmp_path, trainer(BASELINE, images=24), intervals, evaluate=evaluate)
    assert measured == [16, 24]
    protocols = [line for line in log_of(tmp_path) if "protocols" in line]
    assert protocols[0] == {"images": 16, "protocols": {"fid.value.toy": 84.0}}
    assert "protocols" not in read_card(tmp_path / "tiny.yaml", ModelCard).training["record"]["final"]


def test_a_run_stopped_between_reports_logs_what_an_uninterrupted_one_does(tmp_path):
    intervals = Intervals(log=12, checkpoint=16, samples=100)
    run_in(tmp_path / "whole", trainer(FINAL, images=24), intervals)
    stopped = trainer(FINAL, images=24)
    interrupt_after(stopped, steps=4)
    with pytest.raises(KeyboardInterrupt):
        run_in(tmp_path / "stopped", stopped, intervals)
    assert stopped.images_seen == 16
    run_in(tmp_path / "stopped", trainer(FINAL, images=24), intervals)
    assert losses_of(tmp_path / "stopped") == losses_of(tmp_path / "whole")


def interrupt_after(run, steps):
    """SIGTERM in the middle of a step."""
    take_step = run.step

    def step():
        if run.images_seen == 4 * (steps - 1):
            os.kill(os.getpid(), signal.SIGTERM)
        return take_step()

    run.step = step


def test_half_a_log_line_of_a_killed_run_is_dropped(tmp_path):
    run_in(tmp_path, trainer(BASELINE, images=8), EVERY_8)
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write('{"images": 12, "sec')
    run_in(tmp_path, trainer(BASELINE, images=16), EVERY_8)
    assert [line["images"] for line in log_of(tmp_path)] == [8, 16]


def test_a_model_torn_from_its_card_is_mended_by_the_same_command(tmp_path):
    run_in(tmp_path, trainer(BASELINE, images=8), EVERY_8)
    (tmp_path / "tiny.safetensors").write_bytes(b"killed in between")
    run_in(tmp_path, trainer(BASELINE, images=8), EVERY_8)
    assert load_anonymizer(str(tmp_path / "tiny.yaml")).card.name == "tiny"


def test_a_run_whose_loss_is_not_finite_stops_and_keeps_the_last_checkpoint(tmp_path):
    run_in(tmp_path, trainer(BASELINE, images=8), EVERY_8)
    kept = (tmp_path / "checkpoint.safetensors").read_bytes()
    broken = trainer(BASELINE, images=16)
    broken.step = lambda: _advance(broken)
    with pytest.raises(
        AnonbenchError, match=r"generator is not finite after 12 images.*training.learning_rate"
    ):
        run_in(tmp_path, broken, Intervals(log=4, checkpoint=4, samples=8))
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == kept


def _advance(run):
    run.images_seen += 4
    return {"generator": torch.tensor(math.nan)}


def test_weights_that_are_not_finite_are_never_saved(tmp_path):
    run = trainer(BASELINE, images=16)
    run.networks.generator.mapping.layers[0].bias.data[0] = math.nan
    with pytest.raises(AnonbenchError, match="a weight is not finite after 4 images; there is no checkpoint"):
        run_in(tmp_path, run, Intervals(log=100, checkpoint=4, samples=100))
    assert not (tmp_path / "checkpoint.safetensors").exists()
