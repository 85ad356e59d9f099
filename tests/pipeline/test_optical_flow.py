"""Estimated flow: finds shifts, admits what it cannot find, and depends on the two images alone."""

import numpy as np
import pytest
import torch
from torch import Tensor

from anonbench.metrics.temporal import warping_error
from anonbench.pipeline.optical_flow import backward_flow


def texture(seed: int, size: tuple[int, int]) -> Tensor:
    rng = np.random.default_rng(seed)
    coarse = torch.from_numpy(rng.uniform(0, 255, (1, 3, size[0] // 5, size[1] // 5)).astype(np.float32))
    return torch.nn.functional.interpolate(coarse, size, mode="bicubic").clamp(0, 255).to(torch.uint8)


@pytest.mark.parametrize("size", [(72, 40), (144, 80)])
def test_a_shift_is_found_to_a_fraction_of_a_pixel(size: tuple[int, int]) -> None:
    before = texture(0, size)
    now = torch.roll(before, shifts=(2, -3), dims=(2, 3))
    flow, valid = backward_flow(now, before)
    assert flow.shape == (1, 2, *size)
    assert valid.float().mean() > 0.6
    found = flow[0][:, valid[0, 0]]
    assert (found - torch.tensor([[3.0], [-2.0]])).abs().median() < 0.15


def test_along_the_flow_less_remains_than_without() -> None:
    before = texture(1, (72, 40))
    now = torch.roll(before, shifts=(1, 2), dims=(2, 3))
    flow, valid = backward_flow(now, before)
    along = warping_error(now, before, flow, valid)
    assert along < 0.4 * warping_error(now, before, torch.zeros_like(flow), valid)


def test_where_going_there_and_back_ends_elsewhere_nothing_is_known() -> None:
    _, valid = backward_flow(texture(2, (72, 40)), texture(3, (72, 40)))
    assert valid.float().mean() < 0.4


def test_an_image_does_not_move_against_itself() -> None:
    image = texture(4, (72, 40))
    flow, valid = backward_flow(image, image)
    assert flow.abs().max() < 0.05
    assert valid.all()


def test_images_of_a_batch_do_not_mix() -> None:
    now, before = (
        torch.cat([texture(5, (72, 40)), texture(6, (72, 40))]),
        torch.cat([texture(6, (72, 40))] * 2),
    )
    flow, valid = backward_flow(now, before)
    alone, alone_valid = backward_flow(now[1:], before[1:])
    assert torch.equal(flow[1:], alone)
    assert torch.equal(valid[1:], alone_valid)
