"""What makes two commands the same run: settings that a checkpoint carries and that must not change."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from anonbench.errors import DataError
from anonbench.generators.config import ArchitectureConfig
from anonbench.training.config import TrainingConfig


def run_identity(architecture: ArchitectureConfig, training: TrainingConfig) -> dict[str, Any]:
    """The settings of a run as they stand in its checkpoints: all but its length.

    Without those that are the defaults, so that a checkpoint outlives the introduction of a new setting.
    """
    return {
        "architecture": architecture.model_dump(mode="json", exclude_defaults=True),
        "training": training.model_dump(mode="json", exclude_defaults=True, exclude={"images", "record"}),
    }


def require_same_run(
    path: Path, state: Mapping[str, Any], architecture: ArchitectureConfig, training: TrainingConfig
) -> None:
    """DataError, naming the first setting that differs, if the checkpoint at `path` is of another run."""
    try:
        stored = run_identity(
            ArchitectureConfig.model_validate(state["architecture"]),
            TrainingConfig.model_validate({**state["training"], "images": training.images}),
        )
    except (KeyError, TypeError, ValidationError) as error:
        raise DataError(f"{path}: not a checkpoint of this version; choose another folder") from error
    there, here = _flat(stored), _flat(run_identity(architecture, training))
    for name in sorted(there.keys() | here.keys()):
        if there.get(name) != here.get(name):
            raise DataError(
                f"{path}: is of another run: {name} was {_told(there, name)}, is now {_told(here, name)}; "
                "choose another folder"
            )


def _flat(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with dotted names."""
    result: dict[str, Any] = {}
    for key, value in content.items():
        name = f"{prefix}{key}"
        result |= _flat(value, f"{name}.") if isinstance(value, Mapping) else {name: value}
    return result


def _told(settings: Mapping[str, Any], name: str) -> str:
    return str(settings[name]) if name in settings else "the default"
