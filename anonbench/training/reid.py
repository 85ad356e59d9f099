"""Train the packaged re-identification network on synthetic people.

    python -m anonbench.training.reid --out DIR

writes `osnet_synthetic.safetensors` and its card, with mAP measured on identities of the `reid` split, which
training never sees. Two losses are usual: softmax over identities and contrast within the batch. A third makes
training from random weights possible in minutes: a linear head has to name the mean colour of each body part
of the person, which synthetic people know exactly (attributes beside identities: Lin et al. 2019). The head is
thrown away.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
import torch.nn.functional as F
import yaml
from pydantic import Field
from torch import Tensor, nn

from anonbench.cache import write_atomic, write_text
from anonbench.cards import Strict
from anonbench.features.osnet import Width, osnet, synthetic_answer, synthetic_input
from anonbench.metrics.ranking import cmc, euclidean_distances, mean_average_precision, rank
from anonbench.training.reid_augmentation import Augmentation
from anonbench.training.reid_losses import PartColours, part_colours, supervised_contrastive

NAME = "osnet_synthetic"
FEATURES = 512
"""Dimensions of an OSNet feature, at every width."""

EVALUATION_SIZES = ((72, 40), (128, 64))
"""(H, W) of the held-out crops: the size of the demo, and the usual one of re-identification."""


class ReidTraining(Strict):
    """Every setting of a training."""

    width: Width = "osnet_x0_25"
    instance_norm: bool = False
    input_size: tuple[int, int] = (96, 48)
    render_size: tuple[int, int] = Field(default=(128, 64), description="(H, W) of the crops trained on")
    identities: int = Field(default=1000, ge=2)
    images: int = Field(default=256_000, ge=1, description="images seen in training")
    persons_per_batch: int = Field(default=16, ge=2)
    images_per_person: int = Field(default=4, ge=2)
    learning_rate: float = Field(default=3e-3, gt=0, description="peak of a one-cycle cosine schedule")
    weight_decay: float = Field(default=5e-4, ge=0)
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    temperature: float = Field(default=0.1, gt=0, description="of the contrastive loss")
    softmax_weight: float = Field(default=0.5, ge=0)
    colour_weight: float = Field(default=2.0, ge=0, description="of the auxiliary part colours")
    seed: int = 0
    augmentation: Augmentation = Augmentation()

    @property
    def steps(self) -> int:
        """Optimizer steps."""
        return max(1, self.images // (self.persons_per_batch * self.images_per_person))


class Retrieval(Strict):
    """How well original images find each other, in percent, under the Market-1501 rules."""

    map: float
    rank1: float


Report = Callable[[int, dict[str, float]], None]


def train(
    images: Tensor,
    persons: Tensor,
    colours: PartColours,
    config: ReidTraining,
    report: Report | None = None,
) -> nn.Module:
    """An OSNet in eval mode that tells `persons` apart.

    images: uint8 (N, 3, H, W). persons: int64 (N,), any integers. colours: rows in ascending order of persons.
    report: called after every 50 steps with the step and the mean losses since the last call. The same input
    gives the same network on one machine.
    """
    torch.manual_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    labels = torch.unique(persons, return_inverse=True)[1]
    # torchreid's "triplet" makes the network return features beside the logits.
    network = osnet(config.width, int(labels.max()) + 1, "triplet", config.instance_norm).train()
    network = network.to(memory_format=torch.channels_last)
    head = nn.Linear(FEATURES, colours.value.shape[1])
    parameters = [*network.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=config.learning_rate, total_steps=config.steps, pct_start=0.1
    )
    normalize = synthetic_input(config.input_size)
    batches = identity_batches(labels.numpy(), config.persons_per_batch, config.images_per_person, rng)
    running: dict[str, float] = {}
    for step in range(1, config.steps + 1):
        index = torch.from_numpy(next(batches))
        batch = normalize(config.augmentation(images[index], config.input_size, rng))
        with torch.autocast("cpu", torch.bfloat16):
            logits, features = network(batch)
        losses = _losses(logits.float(), features.float(), head, labels[index], colours, config)
        optimizer.zero_grad(set_to_none=True)
        sum(losses.values(), torch.zeros(())).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        for name, loss in losses.items():
            running[name] = running.get(name, 0.0) + float(loss.detach()) / 50
        if report is not None and step % 50 == 0:
            report(step, running)
            running = {}
    return network.eval()


def identity_batches(
    labels: np.ndarray[Any, Any], persons: int, images_per_person: int, rng: np.random.Generator
) -> Iterator[np.ndarray[Any, Any]]:
    """Endless batches of positions: `persons` different labels with `images_per_person` images each.

    All labels are visited before one returns. A label with fewer images repeats some.
    """
    members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    persons = min(persons, len(members))
    while True:
        order = rng.permutation(len(members))
        for start in range(0, len(order) - persons + 1, persons):
            chosen = [
                rng.choice(members[i], images_per_person, replace=len(members[i]) < images_per_person)
                for i in order[start : start + persons]
            ]
            yield np.concatenate(chosen)


def evaluate(
    features: Callable[[Tensor], Tensor],
    images: Tensor,
    persons: Tensor,
    cameras: Tensor,
    role: list[str],
) -> Retrieval:
    """mAP and rank-1 of queries against the gallery. role: "query" or "gallery" for each image."""
    vectors = features(images).numpy()
    is_query = np.array([r == "query" for r in role])
    person, camera = persons.numpy(), cameras.numpy()
    result = rank(
        euclidean_distances(vectors[is_query], vectors[~is_query]),
        person[is_query],
        person[~is_query],
        camera[is_query],
        camera[~is_query],
    )
    return Retrieval(map=100 * mean_average_precision(result), rank1=100 * cmc(result, 1))


def write_extractor(
    folder: Path, network: nn.Module, config: ReidTraining, training: Mapping[str, object]
) -> Path:
    """Write checkpoint and card of the packaged extractor. Returns the card's path.

    training: what the card says about data and results beside the settings.
    """
    from safetensors.torch import save

    state = network.state_dict()
    kept = {k: v.contiguous() for k, v in state.items() if not k.startswith("classifier.")}
    content = save(kept)
    checkpoint = f"{NAME}.safetensors"
    card = {
        "name": NAME,
        "kind": "reid",
        "description": "OSNet trained on synthetic people only; euclidean distance on its 512-d features",
        "checkpoint": {"file": checkpoint, "sha256": hashlib.sha256(content).hexdigest()},
        "architecture": {
            "width": config.width,
            "identities": len(state["classifier.weight"]),
            "instance_norm": config.instance_norm,
        },
        "options": {"input_size": list(config.input_size)},
        "known_answer": synthetic_answer(network, config.input_size).model_dump(mode="json"),
        "training": {"settings": config.model_dump(mode="json"), **training},
    }
    write_atomic(folder / checkpoint, lambda path: _write_bytes(path, content))
    text = yaml.safe_dump(card, sort_keys=False, width=110)
    write_text(folder / f"{NAME}.yaml", text)
    return folder / f"{NAME}.yaml"


def _losses(
    logits: Tensor,
    features: Tensor,
    head: nn.Module,
    labels: Tensor,
    colours: PartColours,
    config: ReidTraining,
) -> dict[str, Tensor]:
    """The three losses, weighted.

    Contrast, not batch-hard triplets, the usual choice: those drew all features into one point, twice.
    """
    softmax = F.cross_entropy(logits, labels, label_smoothing=config.label_smoothing)
    known = colours.known[labels]
    colour = ((head(features) - colours.value[labels]).square() * known).sum() / known.sum().clamp(min=1)
    return {
        "softmax": config.softmax_weight * softmax,
        "contrastive": supervised_contrastive(features, labels, config.temperature),
        "colour": config.colour_weight * colour,
    }


def _write_bytes(path: Path, content: bytes) -> None:
    path.write_bytes(content)


@click.command()
@click.option(
    "--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="folder to write to"
)
@click.option(
    "--identities", default=ReidTraining().identities, show_default=True, help="training identities"
)
@click.option("--images", default=ReidTraining().images, show_default=True, help="images seen in training")
@click.option("--width", default=ReidTraining().width, show_default=True, help="osnet_x0_25 to osnet_x1_0")
def main(out: Path, identities: int, images: int, width: Width) -> None:
    """Train the packaged re-identification network and measure it on unseen identities."""
    from anonbench.datasets.synthetic.dataset import SyntheticDataset

    config = ReidTraining(identities=identities, images=images, width=width)
    data = SyntheticDataset("reid_train", size=config.render_size, count=config.identities)
    crops = data.load(range(len(data)))
    colours = part_colours(crops.image, crops.surface, crops.person_id)
    network = train(crops.image, crops.person_id, colours, config, _echo)
    results: dict[str, object] = {}
    for size in EVALUATION_SIZES:
        unseen = SyntheticDataset("reid", size=size)
        held_out = unseen.load(range(len(unseen)))
        retrieval = evaluate(
            lambda batch: _features(network, config, batch),
            held_out.image,
            held_out.person_id,
            held_out.camera_id,
            list(unseen.samples["role"]),
        )
        results[f"{unseen.name} {size[0]}x{size[1]}"] = {
            "map": round(retrieval.map, 1),
            "rank1": round(retrieval.rank1, 1),
            "data_digest": unseen.digest,
        }
    facts = {"data": {"name": data.name, "digest": data.digest, "images": len(data)}, "results": results}
    click.echo(write_extractor(out, network, config, facts))


def _features(network: nn.Module, config: ReidTraining, images: Tensor) -> Tensor:
    normalize = synthetic_input(config.input_size)
    with torch.inference_mode():
        features = [network(normalize(batch)) for batch in torch.split(images, 32)]
        return F.normalize(torch.cat(features), dim=1)


def _echo(step: int, losses: dict[str, float]) -> None:
    shown = "  ".join(f"{name} {loss:.3f}" for name, loss in losses.items())
    click.echo(f"step {step}  {shown}", err=True)


if __name__ == "__main__":
    main()
