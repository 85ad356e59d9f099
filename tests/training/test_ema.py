import pytest
import torch

from anonbench.training.ema import averaged_copy, ema_decay, update_average


def test_average_moves_by_equation_2_5():
    module = torch.nn.Linear(2, 2)
    average = averaged_copy(module)
    before = average.weight.clone()
    module.weight.data += 1
    update_average(average, module, decay=0.9)
    torch.testing.assert_close(average.weight, 0.9 * before + 0.1 * module.weight)


def test_average_takes_no_gradient_and_is_its_own_copy():
    module = torch.nn.Linear(2, 2)
    average = averaged_copy(module)
    assert not average.weight.requires_grad
    assert not average.training
    module.weight.data += 1
    assert not torch.equal(average.weight, module.weight)


def test_share_of_a_weight_halves_over_the_half_life_whatever_the_batch_size():
    for batch_size in (8, 32):
        steps = 6400 // batch_size
        decay = ema_decay(batch_size, images_seen=10**9, half_life=6400, ramp_up=0.05)
        assert decay**steps == pytest.approx(0.5)


def test_ramp_up_shortens_the_half_life_at_the_start():
    assert ema_decay(16, images_seen=0, half_life=6400, ramp_up=0.05) == 0
    assert ema_decay(16, images_seen=320, half_life=6400, ramp_up=0.05) == pytest.approx(0.5)
    decays = [ema_decay(16, seen, half_life=6400, ramp_up=0.05) for seen in (320, 3200, 32_000, 320_000)]
    assert decays == sorted(decays)
