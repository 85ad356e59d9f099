"""The processes of a run, one per device, on Lightning Fabric, and what they tell one another."""

import logging
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, distributed, nn

from anonbench.errors import UsageError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

_FABRIC_PRECISION: dict[str, Literal["bf16-mixed", "32-true"]] = {"bf16": "bf16-mixed", "fp32": "32-true"}


def fabric_of(precision: str, accelerator: str = "cpu", devices: int | str = 1, nodes: int = 1) -> "Fabric":
    """The devices of a run, not yet launched.

    precision: "bf16" or "fp32"; accelerator: "auto", "cpu" or "cuda"; devices: per node, or "auto" for all.
    Raises UsageError where the machine has not what was asked for.
    """
    from lightning_fabric import Fabric
    from lightning_fabric.utilities.exceptions import MisconfigurationException

    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    try:
        return Fabric(
            accelerator=accelerator, devices=devices, num_nodes=nodes, precision=_FABRIC_PRECISION[precision]
        )
    except (MisconfigurationException, RuntimeError, ValueError) as error:
        raise UsageError(f"--accelerator {accelerator} --devices {devices}: {_first_line(error)}") from error


def launch(fabric: "Fabric") -> None:
    """Starts the run's processes, or joins those that torchrun or SLURM has started.

    A Fabric that starts processes itself runs the whole command again in each, with LOCAL_RANK set.
    Raises UsageError where as many processes were started as the options do not ask for.
    """
    try:
        fabric.launch()
    except ValueError as error:
        raise UsageError(f"--devices and --nodes: {_first_line(error)}") from error
    started = int(os.environ.get("WORLD_SIZE", fabric.world_size))
    if started != fabric.world_size:
        raise UsageError(
            f"{started} processes were started for {fabric.world_size} devices; name them: --devices, --nodes"
        )


def average_gradients(parameters: Sequence[nn.Parameter], fabric: "Fabric", micro_batches: int) -> None:
    """Turns gradients summed over this process' `micro_batches` into the mean over those of all processes.

    One all-reduce of all gradients together, as in StyleGAN2-ADA's official training loop (Karras et al. 2020,
    arXiv:2006.06676). DistributedDataParallel does not fit: the discriminator has two backward passes per
    step, R1 differentiates its gradient again, and the generator's gradient is taken with respect to images.
    """
    if fabric.world_size * micro_batches == 1:
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    if fabric.world_size > 1:
        distributed.all_reduce(flat)
    flat /= fabric.world_size * micro_batches
    for gradient, part in zip(gradients, torch.split(flat, [g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view(gradient.shape))


def mean_over_processes(values: dict[str, float], fabric: "Fabric") -> dict[str, float]:
    """The mean of each value over all processes; each must bring the same names."""
    if fabric.world_size == 1:
        return values
    together: Tensor = torch.tensor(list(values.values()), dtype=torch.float64, device=fabric.device)
    distributed.all_reduce(together)
    return dict(zip(values, (together / fabric.world_size).tolist(), strict=True))


def hardware(fabric: "Fabric") -> str:
    """What a run is trained on, for its card."""
    if fabric.device.type == "cuda":
        return f"{fabric.world_size} x {torch.cuda.get_device_name(fabric.device)}"
    threads = torch.get_num_threads()
    return f"CPU, {fabric.world_size} process(es) of {threads} thread(s) on {os.cpu_count()} cores"


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
