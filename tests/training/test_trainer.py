import json
import math
from pathlib import Path

import pytest
import torch

from anonbench.errors import AnonbenchError, DataError
from anonbench.training.run import Intervals, train
from anonbench.training.trainer import InMemoryCrops, Trainer, stream
from tests.training.tiny_run import BASELINE, FINAL, crops, trainer, training


@pytest.mark.parametrize("architecture", [BASELINE, FINAL], ids=["baseline", "final"])
def test_a_resumed_run_equals_an_uninterrupted_one(architecture, tmp_path):
    whole, first, second = (trainer(architecture, style_mixing=0.5) for _ in range(3))
    uninterrupted = [whole.step() for _ in range(6)]
    for _ in range(3):
        first.step()
    first.save(tmp_path / "checkpoint.safetensors")
    second.resume(tmp_path / "checkpoint.safetensors")
    for expected in uninterrupted[3:]:
        assert {k: v.item() for k, v in second.step().items()} == {k: v.item() for k, v in expected.items()}
    for name, module in whole.networks.modules.items():
        for key, value in module.state_dict().items():
            assert torch.equal(value, second.networks.modules[name].state_dict()[key]), f"{name}/{key}"


def test_a_checkpoint_of_another_configuration_is_refused(tmp_path):
    trainer(BASELINE).save(tmp_path / "checkpoint.safetensors")
    with pytest.raises(DataError, match="another `training`"):
        trainer(BASELINE, learning_rate=1e-4).resume(tmp_path / "checkpoint.safetensors")
    with pytest.raises(DataError, match="another `architecture`"):
        trainer(FINAL).resume(tmp_path / "checkpoint.safetensors")


def test_a_truncated_checkpoint_is_named(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    trainer(BASELINE).save(path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DataError, match="checkpoint.safetensors: not a readable checkpoint"):
        trainer(BASELINE).resume(path)


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("feature_matching", {"feature_matching": 5.0, "kl": 0.0}),
        ("kl_nats", {"feature_matching": 0.0, "kl": 1.0, "kl_warmup_images": 0}),
    ],
)
def test_steps_on_one_batch_lower_the_loss_of_the_final_model(name, weights):
    run = trainer(FINAL, losses={**weights, "r1_interval": 2})
    run.source = FixedBatch()
    values = [run.step()[name].item() for _ in range(15)]
    assert sum(values[-5:]) < 0.98 * sum(values[:5])


def test_one_generator_step_lowers_the_adversarial_loss_and_leaves_the_discriminator_alone():
    run = trainer(BASELINE, learning_rate=1e-3)
    before = {k: v.clone() for k, v in run.networks.discriminator.state_dict().items()}
    logits, loss = [], []
    for _ in range(2):
        logits_, loss_ = generator_only_step(run)
        logits.append(logits_)
        loss.append(loss_)
    assert loss[1] < loss[0]
    assert all(p.grad is None for p in run.networks.discriminator.parameters())
    assert all(torch.equal(before[k], v) for k, v in run.networks.discriminator.state_dict().items())


def test_one_discriminator_step_lowers_its_loss():
    run = trainer(BASELINE, learning_rate=1e-3)
    conditions, condition, images = a_batch(run)
    losses = []
    for _ in range(2):
        real, _ = run.networks.discriminator(conditions.image, condition)
        fake, _ = run.networks.discriminator(images.detach(), condition)
        losses.append(run._update_discriminator(conditions, condition, real, fake)["discriminator"].item())
    assert losses[1] < losses[0]


def test_kl_weight_grows_linearly_to_lambda():
    run = trainer(FINAL)
    weights = []
    for seen in (0, 8, 16, 1000):
        run.images_seen = seen
        weights.append(run.kl_weight())
    assert weights == pytest.approx([0, 0.005, 0.01, 0.01])


def test_r1_is_computed_at_its_interval_only():
    run = trainer(BASELINE)
    assert ["r1" in run.step() for _ in range(4)] == [True, False, True, False]


def test_style_mixing_joins_two_latents_at_one_layer():
    run = trainer(BASELINE, style_mixing=1.0)
    latents = run._drawn_latents(torch.Generator().manual_seed(0))
    changes = (latents[:, 1:] != latents[:, :-1]).any(dim=2).sum(dim=1)
    assert changes.tolist() == [1] * 4
    run = trainer(BASELINE, style_mixing=0.0)
    latents = run._drawn_latents(torch.Generator().manual_seed(0))
    assert torch.equal(latents[:, :1].expand_as(latents), latents)


def test_random_streams_differ_by_seed_and_step():
    draws = [torch.rand(4, generator=stream(*key)) for key in ((0, 0), (0, 16), (1, 0), (0, 0))]
    assert torch.equal(draws[0], draws[3])
    assert not torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_bf16_steps_are_finite():
    run = trainer(FINAL, precision="bf16")
    assert all(v.isfinite() for _ in range(2) for v in run.step().values())


def test_a_run_writes_checkpoint_log_and_pictures_and_goes_on_to_a_later_end(tmp_path):
    preview = crops().select([0, 1])
    train(trainer(FINAL, images=16), tmp_path, Intervals(log=8, checkpoint=16, samples=16), preview)
    train(trainer(FINAL, images=24), tmp_path, Intervals(log=8, checkpoint=16, samples=16), preview)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["images"] for line in lines] == [8, 16, 24]
    assert {"kl_nats", "mu_squared", "sigma_squared", "feature_matching", "r1"} <= set(lines[0])
    seconds = [line["seconds"] for line in lines]
    assert seconds == sorted(seconds)
    files = {path.relative_to(tmp_path) for path in tmp_path.rglob("*.*")}
    assert {
        Path("checkpoint.safetensors"),
        Path("samples/000000024.png"),
    } <= files


def test_a_diverged_run_stops_and_keeps_the_last_checkpoint(tmp_path):
    preview = crops().select([0])
    train(trainer(BASELINE, images=8), tmp_path, Intervals(log=8, checkpoint=8, samples=8), preview)
    kept = (tmp_path / "checkpoint.safetensors").read_bytes()
    broken = trainer(BASELINE, images=16)
    broken.step = lambda: _advance(broken)
    with pytest.raises(AnonbenchError, match="not finite after 12 images"):
        train(broken, tmp_path, Intervals(log=4, checkpoint=4, samples=8), preview)
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == kept


def _advance(run: Trainer) -> dict[str, torch.Tensor]:
    run.images_seen += 4
    return {"generator": torch.tensor(math.nan)}


class FixedBatch:
    """The same crops at every step."""

    def sample(self, count, generator):
        return crops(count)


def a_batch(run: Trainer):
    from anonbench.generators.conditions import discriminator_condition, generator_input

    conditions = run._batch(stream(0, 0))
    condition = discriminator_condition(conditions, "person_mask", stream(0, 0))
    latents = run._drawn_latents(stream(0, 0))
    images = conditions.composite(run.networks.generator(generator_input(conditions), latents))
    return conditions, condition, images


def generator_only_step(run: Trainer):
    from anonbench.training.trainer import Latents

    _, condition, images = a_batch(run)
    judged = images.detach().requires_grad_()
    logits, maps = run.networks.discriminator(judged, condition)
    log = run._update_generator(images, judged, Latents(torch.empty(0)), logits, maps, maps)
    return logits, log["generator"].item()


def test_in_memory_crops_draw_what_the_stream_says():
    source = InMemoryCrops(crops())
    assert source.sample(5, stream(0, 0)).key == source.sample(5, stream(0, 0)).key
    assert len(source.sample(20, stream(0, 16))) == 20


def test_configuration_of_a_run_round_trips_through_json():
    config = training(style_mixing=0.5)
    assert type(config).model_validate(json.loads(config.model_dump_json())) == config
