"""Puts the averaged weights of a run beside its card: `python -m anonbench.training.publish NAME --run DIR`."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import click
import yaml

from anonbench.cache import write_atomic
from anonbench.cards import ModelCard, read_card, validate_section
from anonbench.errors import AnonbenchError, DataError
from anonbench.generators.config import ArchitectureConfig
from anonbench.resources import resource_dir
from anonbench.training.checkpoints import load_tensors
from anonbench.training.config import TrainingConfig, TrainingRecord
from anonbench.training.networks import Networks

LAST_LINES = 5
"""Log lines that the card's final values are means of."""


def publish(card_path: Path, run: Path, hardware: str) -> ModelCard:
    """Copies the weights of `run` beside the card and writes what came of the run into it.

    Returns the new card. Raises DataError if the run was not one of this card.
    """
    card = read_card(card_path, ModelCard)
    architecture = validate_section(ArchitectureConfig, card.architecture, f"{card_path}: architecture")
    training = validate_section(TrainingConfig, card.training, f"{card_path}: training")
    _check_run(run, architecture, training)
    source = run / "weights.safetensors"
    record = _record(run, hardware, Networks.build(architecture, training.seed).parameter_counts())
    content = yaml.safe_load(card_path.read_text())
    content["training"]["record"] = record.model_dump(mode="json")
    content["checkpoint"] = {
        "file": f"{card.name}.safetensors",
        "sha256": hashlib.sha256(source.read_bytes()).hexdigest(),
    }
    write_atomic(card_path.with_name(f"{card.name}.safetensors"), lambda path: _copy(source, path))
    write_atomic(card_path, lambda path: _write_yaml(path, content))
    return read_card(card_path, ModelCard)


def _check_run(run: Path, architecture: ArchitectureConfig, training: TrainingConfig) -> None:
    _, state = load_tensors(run / "checkpoint.safetensors")
    expected = {
        "architecture": architecture.model_dump(mode="json"),
        "training": training.model_dump(mode="json", exclude={"images", "record"}),
    }
    for name, value in expected.items():
        if state.get(name) != value:
            raise DataError(f"{run}: was trained with another `{name}` than the card's; name its own card")


def _record(run: Path, hardware: str, parameters: dict[str, int]) -> TrainingRecord:
    """From the lines of the log up to the checkpoint, whose weights these are."""
    _, state = load_tensors(run / "checkpoint.safetensors")
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    lines = [line for line in lines if line["images"] <= state["images_seen"]][-LAST_LINES:]
    names = [name for name in lines[-1] if name not in ("images", "seconds", "kl_weight")]
    return TrainingRecord(
        images=state["images_seen"],
        hardware=hardware,
        wall_hours=round(state["seconds"] / 3600, 2),
        parameters=parameters,
        final={name: round(sum(line[name] for line in lines) / len(lines), 4) for name in names},
    )


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)


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
        raise click.ClickException(str(error)) from error
    click.echo(f"{path}: {card.checkpoint.sha256 if card.checkpoint else ''}")


if __name__ == "__main__":
    main()
