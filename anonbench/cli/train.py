"""`anonbench train`: a generator from its card."""

from collections.abc import Callable, Mapping
from pathlib import Path

import click

from anonbench.cli import options


@click.command("train")
@click.argument("model", metavar="NAME|CARD.yaml")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the run.")
@click.option(
    "--data", metavar="NAME=PATH", help="fdh=PATH, market1501=PATH or folder=PATH; default: the card's."
)
@click.option("--keep", type=click.Path(path_type=Path, dir_okay=False), help="Crops that data filter kept.")
@click.option("--images", type=click.IntRange(min=1), help="Images shown in all; default: the card's.")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE",
              help="Another value in the card: training.losses.kl=0.001; may be repeated.")  # fmt: skip
@click.option("--precision", type=click.Choice(["bf16", "fp32"]), help="Default: the card's.")
@click.option("--accelerator", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option("--devices", default="auto", show_default=True, metavar="N|auto", help="Devices per node.")
@click.option("--nodes", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--accumulate", type=click.IntRange(min=1), default=1, show_default=True,
              help="Micro-batches per device and update; the batch stays the card's.")  # fmt: skip
@click.option("--workers", type=click.IntRange(min=0),
              help="Processes that read ahead; 0: all crops in memory. Default: memory where they fit.")  # fmt: skip
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads per process.")
@click.option("--log-every", type=click.IntRange(min=1), default=1_600, show_default=True, help="Images.")
@click.option(
    "--checkpoint-every", type=click.IntRange(min=1), default=9_600, show_default=True, help="Images."
)
@click.option("--samples-every", type=click.IntRange(min=1), default=9_600, show_default=True, help="Images.")
@click.option("--protocol", "-p", "protocols", multiple=True, metavar="NAME",
              help="Measure the model in between; may be repeated.")  # fmt: skip
@click.option(
    "--protocol-every", type=click.IntRange(min=1), default=96_000, show_default=True, help="Images."
)
@click.option("--protocol-preset", type=options.PRESETS, default="smoke",
              show_default=True)  # fmt: skip
def command(
    model: str,
    out: Path,
    data: str | None,
    keep: Path | None,
    images: int | None,
    changes: tuple[str, ...],
    precision: str | None,
    accelerator: str,
    devices: str,
    nodes: int,
    accumulate: int,
    workers: int | None,
    threads: int | None,
    log_every: int,
    checkpoint_every: int,
    samples_every: int,
    protocols: tuple[str, ...],
    protocol_every: int,
    protocol_preset: str,
) -> None:
    """Train a generator, or go on with a run that was stopped.

    \b
    anonbench train final --out runs/final
    anonbench train final --out runs/fdh --data fdh=PATH --set training.batch_size=32 --devices 4
    anonbench run reid --model runs/final/final.yaml
    """
    from anonbench.training.run import Intervals
    from anonbench.training.start import TrainingRequest, train

    request = TrainingRequest(
        model=model, out=out, data=data, keep=keep, images=images, changes=changes, precision=precision,
        accelerator=accelerator, devices=_count(devices), nodes=nodes, accumulate=accumulate, workers=workers,
        threads=threads, intervals=Intervals(log_every, checkpoint_every, samples_every, protocol_every),
    )  # fmt: skip
    train(request, _measuring(protocols, protocol_preset, data or "synthetic") if protocols else None)


def _count(devices: str) -> int | str:
    """A number, or "auto"."""
    if devices == "auto":
        return devices
    if not devices.isdigit() or devices == "0":
        raise click.BadParameter(f"{devices} is neither a number from 1 on nor auto", param_hint="--devices")
    return int(devices)


def _measuring(names: tuple[str, ...], preset: str, data: str) -> Callable[[Path], Mapping[str, float]]:
    """From a card to the values of protocols on it. Whatever they lack but the model shows now."""
    from anonbench.protocols.runner import Plan, Request, resolve, run

    line = options.command_line()

    def plans(model: str) -> list[Plan]:
        return [resolve(Request(name, model, data, preset, command=line)) for name in names]

    def measure(card: Path) -> dict[str, float]:
        records = [run(plan)[0] for plan in plans(str(card))]
        return {key: metric.value for record in records for key, metric in record.metrics.items()}

    plans("original")
    return measure
