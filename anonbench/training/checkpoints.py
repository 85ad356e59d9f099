"""Checkpoints: one safetensors file each, with the run's state as JSON in its header; no pickle.

One file, written beside its final name and renamed, so that tensors and state can never disagree.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from anonbench.cache import write_atomic
from anonbench.errors import DataError

_STATE = "state"


def save_tensors(path: Path, tensors: Mapping[str, Tensor], state: Mapping[str, Any] | None = None) -> None:
    """Writes tensors and a JSON-serialisable state to `path`, atomically."""
    contiguous = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    header = {_STATE: json.dumps(dict(state or {}))}
    write_atomic(path, lambda partial: save_file(contiguous, partial, header))


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and state of a file of `save_tensors`; DataError where it is not one."""
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            names = file.keys()
            return {name: file.get_tensor(name) for name in names}, json.loads(header.get(_STATE, "{}"))
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        raise DataError(f"{path}: not a readable checkpoint ({error}); delete it to start afresh") from error


def optimizer_tensors(optimizers: Mapping[str, torch.optim.Optimizer]) -> dict[str, Tensor]:
    """Per-parameter state of named optimizers, as `name/parameter index/entry`."""
    return {
        f"{name}/{index}/{entry}": value
        for name, optimizer in optimizers.items()
        for index, entries in optimizer.state_dict()["state"].items()
        for entry, value in entries.items()
    }


def load_optimizers(optimizers: Mapping[str, torch.optim.Optimizer], tensors: Mapping[str, Tensor]) -> None:
    """Restores optimizers from tensors of `optimizer_tensors`; hyperparameters stay as constructed."""
    for name, optimizer in optimizers.items():
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            if key.startswith(f"{name}/"):
                _, index, entry = key.split("/")
                state.setdefault(int(index), {})[entry] = _laid_out_like(parameters[int(index)], value)
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _laid_out_like(parameter: Tensor, value: Tensor) -> Tensor:
    """`value` in the memory layout of its parameter.

    The fused Adam walks both in memory order: a channels-last weight with contiguous moments would be moved
    by the moments of other weights.
    """
    if value.shape != parameter.shape:
        return value
    return torch.empty_like(parameter, memory_format=torch.preserve_format).copy_(value).detach()
