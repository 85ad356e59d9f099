"""Exponential moving average of the generator's weights (thesis Equation 2.5)."""

import copy
from typing import TypeVar

import torch
from torch import nn

Module = TypeVar("Module", bound=nn.Module)


def averaged_copy(module: Module) -> Module:
    """A frozen copy of `module` in evaluation mode, to be moved by `update_average`."""
    average = copy.deepcopy(module).eval()
    return average.requires_grad_(False)


def ema_decay(batch_size: int, images_seen: int, half_life: float, ramp_up: float) -> float:
    """The beta of Equation 2.5 for one step of `batch_size` images.

    half_life: images after which a weight's share in the average has halved; independent of the batch size.
    ramp_up: at the start the half-life is at most this fraction of the images seen so far, so that the
    average does not remember the initialisation (official code of Karras et al. 2020, arXiv:2006.06676).
    """
    effective = min(half_life, ramp_up * images_seen)
    return float(0.5 ** (batch_size / effective)) if effective > 0 else 0.0


@torch.no_grad()
def update_average(average: nn.Module, module: nn.Module, decay: float) -> None:
    """average <- decay * average + (1 - decay) * module, parameters; buffers are copied."""
    torch._foreach_lerp_(list(average.parameters()), list(module.parameters()), 1 - decay)
    for old, new in zip(average.buffers(), module.buffers(), strict=True):
        old.copy_(new)
