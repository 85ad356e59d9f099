"""Checkpoints of other projects to safetensors: on purpose, checked against a hash, without running their code."""

import json
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from anonbench.cache import write_atomic
from anonbench.errors import UsageError, WeightsError
from anonbench.weights import WrongHashError, file_sha256

HEADER = "source"
"""The one entry of the safetensors header: JSON with the file name, sha256 and key that the tensors are from.

One, since safetensors writes several in an order that changes from run to run, and with it the file's sha256.
"""

_DEPTH = 3
"""How deep state dictionaries are looked for, to name them to the user."""


@dataclass(frozen=True)
class Conversion:
    """What was written. `left_out`: entries of the checkpoint that are not in it."""

    path: Path
    sha256: str
    tensors: int
    left_out: tuple[str, ...]


def convert_checkpoint(source: Path, target: Path, sha256: str | None, key: str | None = None) -> Conversion:
    """Write the tensors of a PyTorch checkpoint as safetensors, atomically.

    sha256: of the source, lower case hex; whoever gives it says that they know where the file is from.
    key: which state dictionary, for example "EMA_generator" or "model.state_dict"; None takes the whole file,
    which must then hold one and nothing else. A file that is a single tensor is stored under its stem.
    Raises UsageError for a bad target or an absent hash, WrongHashError for another one, WeightsError where
    the file holds something else than tensors, and CacheError where the target cannot be written.
    """
    _check_target(target)
    _check_source(source, sha256)
    content = _read(source)
    tensors, left_out = _pick(content, key, source)
    # Tensors that share memory would be refused: each gets its own.
    own = {name: t.detach().clone(memory_format=torch.contiguous_format) for name, t in tensors.items()}
    origin = {"file": source.name, "sha256": sha256, "key": key}
    header = {HEADER: json.dumps(origin, sort_keys=True)}
    write_atomic(target, lambda partial: save_file(own, partial, header))
    return Conversion(target, file_sha256(target), len(own), left_out)


def _check_target(target: Path) -> None:
    if target.suffix != ".safetensors":
        raise UsageError(f"{target}: the output must end in .safetensors")
    if target.exists():
        raise UsageError(f"{target}: exists already; delete it or choose another name")


def _check_source(source: Path, sha256: str | None) -> None:
    if not source.is_file():
        raise WeightsError(f"{source}: not found; check the path")
    found = file_sha256(source)
    if sha256 is None:
        raise UsageError(
            f"{source}: its sha256 is {found}; if that is the file you mean, give --sha256 {found}"
        )
    if found != sha256.lower():
        raise WrongHashError(
            f"{source}: sha256 is {found}, not {sha256}; get the file again, or give --sha256 {found} if "
            "that is the file you mean"
        )


def _read(source: Path) -> object:
    """The content of a checkpoint, from which no code was run."""
    # DeepPrivacy2 keeps the progress of a run in an EasyDict, a dictionary without behaviour of its own.
    known: list[object] = [(OrderedDict, "easydict.EasyDict")]
    try:
        with torch.serialization.safe_globals(known):  # type: ignore[arg-type]
            return torch.load(source, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises a different type for each way in which a file can be wrong
        foreign = re.search(r"nsupported (?:global: )?GLOBAL (\S+)", str(error))
        if foreign is None:
            reason = "not a PyTorch checkpoint, or a damaged one; get it again"
        else:
            reason = f"holds a {foreign[1]}, and reading that would run code; save its tensors without it"
        raise WeightsError(f"{source}: {reason}") from error


def _pick(content: object, key: str | None, source: Path) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The tensors that `key` names, and the entries beside them."""
    if isinstance(content, Tensor):
        if key is not None:
            raise WeightsError(f"{source}: is a single tensor and has no '{key}'; leave --key out")
        return {source.stem: content}, ()
    if not isinstance(content, Mapping):
        raise WeightsError(f"{source}: holds a {type(content).__name__}, no dictionary of tensors")
    key = _only_dictionary(content) if key is None else key
    picked, left_out = _descend(content, key) if key else (content, [])
    if not isinstance(picked, Mapping):
        raise WeightsError(f"{source}: has no dictionary '{key}'; {_advice(content)}")
    return _tensors(picked, source, _advice(content)), tuple(left_out)


def _only_dictionary(content: Mapping[object, object]) -> str:
    """The dotted key of a state dictionary with nothing beside it, empty if it is not wrapped."""
    if len(content) == 1:
        ((name, value),) = content.items()
        if isinstance(value, Mapping):
            return ".".join(filter(None, (str(name), _only_dictionary(value))))
    return ""


def _descend(content: Mapping[object, object], key: str) -> tuple[object, list[str]]:
    """The value at a dotted key, None where there is none, and the keys beside its path.

    Names may hold dots themselves.
    """
    for name, value in content.items():
        others = [str(other) for other in content if other != name]
        if name == key:
            return value, others
        if isinstance(value, Mapping) and key.startswith(f"{name}."):
            found, beside = _descend(value, key.removeprefix(f"{name}."))
            if found is not None:
                return found, others + [f"{name}.{other}" for other in beside]
    return None, []


def _tensors(content: Mapping[object, object], source: Path, advice: str) -> dict[str, Tensor]:
    """`content` as what safetensors can hold. WeightsError listing the entries that it cannot."""
    others = [
        f"{name} ({type(value).__name__})" for name, value in content.items() if not _storable(name, value)
    ]
    if others:
        raise WeightsError(f"{source}: entries that are not tensors: {_few(others)}; {advice}")
    if not content:
        raise WeightsError(f"{source}: holds no tensors")
    return {str(name): value for name, value in content.items() if isinstance(value, Tensor)}


def _storable(name: object, value: object) -> bool:
    return isinstance(name, str) and isinstance(value, Tensor) and value.layout == torch.strided


def _advice(content: Mapping[object, object]) -> str:
    """What --key could be."""
    found = _state_dicts(content)
    return f"choose with --key: {_few(found, 12)}" if found else "there is no dictionary of tensors in it"


def _state_dicts(content: Mapping[object, object], prefix: str = "", depth: int = _DEPTH) -> list[str]:
    """Dotted keys of the dictionaries that hold tensors only."""
    found: list[str] = []
    for name, value in content.items():
        if not isinstance(value, Mapping) or not isinstance(name, str):
            continue
        if value and all(_storable(*item) for item in value.items()):
            found.append(prefix + name)
        elif depth > 1:
            found += _state_dicts(value, f"{prefix}{name}.", depth - 1)
    return found


def _few(names: list[str], limit: int = 5) -> str:
    return ", ".join(names[:limit]) + (f", ... ({len(names)} in all)" if len(names) > limit else "")
