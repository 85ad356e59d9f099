"""Puts the averaged weights of a run beside its card: `python -m anonbench.training.publish NAME --run DIR`."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import yaml
from torch import Tensor

from anonbench.cache import write_atomic
from anonbench.cards import ModelCard, read_card, validate_section
from anonbench.errors import AnonbenchError, DataError
from anonbench.generators.config import ArchitectureConfig
from anonbench.resources import resource_dir
from anonbench.training.checkpoints import load_tensors, save_tensors
from anonbench.training.config import TrainingConfig, TrainingRecord
from anonbench.training.networks import Networks
from anonbench.training.run import CHECKPOINT, LOG
from anonbench.training.trainer import run_identity

LAST_LINES = 5
"""Log lines that the card's final values are means of."""


def publish(card_path: Path, run: Path, hardware: str) -> ModelCard:
    """Writes the averaged weights of `run` beside the card, and what came of the run into it.

    Returns the new card. Raises DataError if the run was not one of this card.
    """
    card = read_card(card_path, ModelCard)
    architecture = validate_section(ArchitectureConfig, card.architecture, f"{card_path}: architecture")
    training = validate_section(TrainingConfig, card.training, f"{card_path}: training")
    tensors, state = load_tensors(run / CHECKPOINT)
    if {key: state.get(key) for key in ("architecture", "training")} != run_identity(architecture, training):
        raise DataError(f"{run}: was trained with other settings than the card's; name its own card")
    weights = card_path.with_name(f"{card.name}.safetensors")
    save_tensors(weights, _averaged(tensors))
    content = yaml.safe_load(card_path.read_text())
    content["training"]["record"] = _record(run, state, hardware, architecture).model_dump(mode="json")
    content["checkpoint"] = {
        "file": weights.name,
        "sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
    }
    write_atomic(card_path, lambda path: _write_yaml(path, content))
    return read_card(card_path, ModelCard)


def _averaged(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The moving averages of a checkpoint, named as `anonbench.anonymizers.generator` expects them."""
    prefix = "average_"
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}


def _record(
    run: Path, state: Mapping[str, Any], hardware: str, architecture: ArchitectureConfig
) -> TrainingRecord:
    """From the lines of the log up to the checkpoint, whose weights these are."""
    lines = [json.loads(line) for line in (run / LOG).read_text().splitlines()]
    lines = [line for line in lines if line["images"] <= state["images_seen"]][-LAST_LINES:]
    names = [name for name in lines[-1] if name not in ("images", "seconds", "kl_weight")]
    return TrainingRecord(
        images=state["images_seen"],
        hardware=hardware,
        wall_hours=round(state["seconds"] / 3600, 2),
        parameters=Networks.build(architecture, seed=0).parameter_counts(),
        final={name: round(sum(line[name] for line in lines) / len(lines), 4) for name in names},
    )


def _write_yaml(path: Path, content: dict[str, Any]) -> None:
    path.write_text(yaml.safe_dump(content, sort_keys=False, width=110, default_flow_style=None))


@click.command()
@click.argument("model")
@click.option("--run", type=click.Path(path_type=Path, file_okay=False, exists=True), required=True)
@click.option("--hardware", required=True, help='What it was trained on, for the card: "2 CPU cores".')
def main(model: str, run: Path, hardware: str) -> None:
    """Publish the weights of a run to the card MODEL (a packaged name or a file)."""
    path = Path(model) if model.endswith(".yaml") else resource_dir("models") / f"{model}.yaml"
    try:
        card = publish(path, run, hardware)
    except AnonbenchError as error:
        click.echo(f"Error: {error}", err=True)
        raise SystemExit(error.exit_code) from error
    click.echo(f"{path}: {card.checkpoint.sha256 if card.checkpoint else ''}")


if __name__ == "__main__":
    main()
