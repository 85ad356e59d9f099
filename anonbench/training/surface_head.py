"""Train the packaged surface head on synthetic people, with the noise of detectors.

    python -m anonbench.training.surface_head --out DIR

writes `surface_head.safetensors` and its card, with errors measured on people of the `val` split, which
training never sees, for exact masks and keypoints and for disturbed ones.
"""

import hashlib
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click
import torch
import torch.nn.functional as F
import yaml
from pydantic import Field
from torch import Tensor

from anonbench.cache import write_atomic
from anonbench.cards import Strict
from anonbench.crops import Outcome, PersonCrops
from anonbench.detection.coordinates import coordinates, rest_positions
from anonbench.detection.surface_head import (
    NAME,
    SurfaceDetector,
    SurfaceHead,
    SurfaceHeadArchitecture,
    SurfaceHeadOptions,
    known_answer,
)
from anonbench.generators.conditions import flip
from anonbench.training.detector_noise import DetectorNoise, disturb

OPTIONS = SurfaceHeadOptions(min_visibility=0.3, min_keypoints=6, max_error=0.1)
"""No disturbed validation crop comes near this error (largest of 400: 0.07): beyond it the input is no person."""


class Placement(Strict):
    """How differently from the synthetic crops a person may stand in a crop."""

    scale: float = Field(default=1.3, ge=1, description="largest factor of the size, and its inverse")
    aspect: float = Field(
        default=1.15, ge=1, description="largest factor of width over height, and its inverse"
    )
    shift: float = Field(default=0.08, ge=0, description="of the crop height and width, each way")
    rotation: float = Field(default=12.0, ge=0, description="degrees, each way")


class SurfaceHeadTraining(Strict):
    """Every setting of a training."""

    images: int = Field(default=64_000, ge=1, description="crops seen in training")
    batch: int = Field(default=32, ge=1)
    learning_rate: float = Field(default=2e-3, gt=0, description="peak, see rate_at")
    weight_decay: float = Field(default=0.01, ge=0)
    seed: int = 0
    placement: Placement = Placement()
    noise: DetectorNoise = DetectorNoise()

    @property
    def steps(self) -> int:
        """Optimizer steps."""
        return max(1, self.images // self.batch)

    def rate_at(self, step: int) -> float:
        """Factor of the learning rate: linear over the first twentieth of the steps, then half a cosine to 0."""
        warm = (step + 1) / max(1, self.steps // 20)
        return min(warm, (1 + math.cos(math.pi * step / self.steps)) / 2)


class SurfaceErrors(Strict):
    """How far predicted vertices are off, over pixels that are inside mask and person.

    distance: between predicted and true vertex at rest, in half body extents.
    reprojection: pixels from where a vertex was predicted to where the crop shows it.
    """

    distance_median: float
    distance_p90: float
    reprojection_median: float
    reprojection_p90: float


Report = Callable[[int, float], None]


def train(
    crops: PersonCrops,
    architecture: SurfaceHeadArchitecture,
    config: SurfaceHeadTraining,
    report: Report | None = None,
) -> SurfaceHead:
    """A surface head in eval mode, trained on crops of the architecture's size with true surfaces.

    report: called after every 50 steps with the step and the mean loss since the last call.
    The same input gives the same network on one machine.
    """
    torch.manual_seed(config.seed)
    generator = torch.Generator().manual_seed(config.seed)
    head = SurfaceHead(architecture).train().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(head.parameters(), config.learning_rate, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, config.rate_at)
    running = 0.0
    for step in range(1, config.steps + 1):
        index = torch.randint(len(crops), (config.batch,), generator=generator)
        loss = _loss(head, _augment(crops.select(index), config, generator))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        running += float(loss.detach()) / 50
        if report is not None and step % 50 == 0:
            report(step, running)
            running = 0.0
    return head.eval()


def place(crops: PersonCrops, placement: Placement, generator: torch.Generator) -> PersonCrops:
    """The crops with mask, surface and keypoints moved, turned and scaled at random; images stay."""
    b, (h, w) = len(crops), crops.size
    spread = torch.rand((5, b), generator=generator) * 2 - 1
    zoom = placement.scale ** spread[0]
    stretch = placement.aspect ** (spread[1] / 2)
    angle = math.radians(placement.rotation) * spread[2]
    cos, sin = torch.cos(angle), torch.sin(angle)
    # From a pixel of the result, measured from its centre, to the pixel of the crop that it shows.
    matrix = torch.stack([torch.stack([cos / stretch, -sin], 1), torch.stack([sin, cos * stretch], 1)], 1)
    matrix = matrix / zoom[:, None, None]
    offset = torch.stack([spread[3] * w, spread[4] * h], 1) * placement.shift

    half = torch.tensor([w / 2, h / 2])
    theta = torch.cat([matrix * half / half[:, None], (offset / half)[..., None]], 2)
    grid = F.affine_grid(theta, [b, 2, h, w], align_corners=False)
    layers = torch.cat([crops.person_mask.float(), crops.surface[:, None].float() + 1], 1)
    moved = F.grid_sample(layers, grid, mode="nearest", align_corners=False)
    points = torch.linalg.solve(matrix, (crops.keypoints[..., :2] - half - offset[:, None]).mT).mT + half
    inside = ((points >= 0) & (points < 2 * half)).all(dim=2)
    return replace(
        crops,
        person_mask=moved[:, :1] > 0.5,
        surface=(moved[:, 1] - 1).round().to(torch.int32),
        keypoints=torch.cat([points, (crops.keypoints[..., 2] * inside)[..., None]], 2),
    )


def measure(detector: SurfaceDetector, crops: PersonCrops, seen: PersonCrops) -> SurfaceErrors:
    """Errors on `crops` with true surfaces when the detector is shown the masks and keypoints of `seen`."""
    shown = replace(
        seen,
        surface=torch.full_like(seen.surface, -1),
        outcome=torch.full_like(seen.outcome, int(Outcome.MASK_ONLY)),
    )
    found = detector.fill_surfaces(shown).surface
    pairs = [_crop_errors(p, t) for p, t in zip(found, crops.surface, strict=True)]
    distance, pixels = (torch.cat(values) for values in zip(*pairs, strict=True))
    return SurfaceErrors(
        distance_median=_quantile(distance, 0.5),
        distance_p90=_quantile(distance, 0.9),
        reprojection_median=_quantile(pixels, 0.5),
        reprojection_p90=_quantile(pixels, 0.9),
    )


def write_detector(
    folder: Path, head: SurfaceHead, options: SurfaceHeadOptions, training: dict[str, object]
) -> Path:
    """Write checkpoint and card of the packaged surface head. Returns the card's path.

    training: what the card says about data, settings and results.
    """
    from safetensors.torch import save

    kept = {name: value.contiguous() for name, value in head.state_dict().items()}
    content = save(kept)
    checkpoint = f"{NAME}.safetensors"
    card = {
        "name": NAME,
        "kind": NAME,
        "description": "Person mask and 17 keypoints to template vertices, trained on synthetic people only",
        "checkpoint": {"file": checkpoint, "sha256": hashlib.sha256(content).hexdigest()},
        "architecture": head.architecture.model_dump(mode="json"),
        "options": options.model_dump(mode="json"),
        "known_answer": known_answer(head).model_dump(mode="json"),
        "training": training,
    }
    write_atomic(folder / checkpoint, lambda path: _write(path, content))
    text = yaml.safe_dump(card, sort_keys=False, width=110)
    write_atomic(folder / f"{NAME}.yaml", lambda path: _write(path, text.encode()))
    return folder / f"{NAME}.yaml"


def _augment(crops: PersonCrops, config: SurfaceHeadTraining, generator: torch.Generator) -> PersonCrops:
    crops = flip(crops, torch.rand(len(crops), generator=generator) < 0.5)
    return disturb(place(crops, config.placement, generator), config.noise, generator)


def _loss(head: SurfaceHead, crops: PersonCrops) -> Tensor:
    """Negative log-likelihood of a Laplace distribution whose width is the expected error of the pixel."""
    with torch.autocast("cpu", torch.bfloat16):
        predicted, expected = head(crops.person_mask.float(), crops.keypoints)
    known = crops.person_mask[:, 0] & (crops.surface >= 0)
    true = coordinates()[crops.surface[known].long()]
    error = (predicted.permute(0, 2, 3, 1)[known] - true).abs().mean(dim=1)
    width = expected[:, 0][known]
    loss: Tensor = (error / width + width.log()).mean()
    return loss


def _crop_errors(predicted: Tensor, true: Tensor) -> tuple[Tensor, Tensor]:
    """Rest distances and reprojection errors of one crop's pixels; surfaces int32 (H, W)."""
    both = (predicted >= 0) & (true >= 0)
    guess, truth = predicted[both].long(), true[both].long()
    distance = (rest_positions()[guess] - rest_positions()[truth]).norm(dim=1)
    shown = (true >= 0).nonzero()
    if not len(guess):
        return distance, distance
    where = torch.cdist(coordinates()[guess], coordinates()[true[true >= 0].long()]).argmin(dim=1)
    return distance, (both.nonzero() - shown[where]).double().norm(dim=1).float()


def _quantile(values: Tensor, q: float) -> float:
    return round(float(values.double().sort().values[int(q * (len(values) - 1))]), 4)


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


@click.command()
@click.option(
    "--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="folder to write to"
)
@click.option(
    "--images", default=SurfaceHeadTraining().images, show_default=True, help="crops seen in training"
)
@click.option("--people", default=12_000, show_default=True, help="synthetic training people")
@click.option("--channels", default=32, show_default=True, help="feature maps of a 2x2 cell")
def main(out: Path, images: int, people: int, channels: int) -> None:
    """Train the packaged surface head and measure it on unseen synthetic people."""
    from anonbench.datasets.synthetic.dataset import SyntheticDataset

    config = SurfaceHeadTraining(images=images)
    architecture = SurfaceHeadArchitecture(size=(72, 40), channels=channels, heat_sigma=2.0)
    data = SyntheticDataset("train", size=architecture.size, count=people)
    head = train(data.load(range(len(data))), architecture, config, _echo)
    unseen = SyntheticDataset("val", size=architecture.size)
    crops = unseen.load(range(min(1000, len(unseen))))
    detector = SurfaceDetector(
        head, OPTIONS.model_copy(update={"min_keypoints": 0, "max_error": math.inf}), torch.device("cpu")
    )
    noisy = disturb(crops, config.noise, torch.Generator().manual_seed(1))
    facts: dict[str, object] = {
        "data": {"name": data.name, "digest": data.digest, "crops": len(data)},
        "settings": config.model_dump(mode="json"),
        "results": {
            "units": "distance: half body extents at rest; reprojection: pixels at 72x40; one value per pixel",
            "data": {"name": unseen.name, "digest": unseen.digest, "crops": len(crops)},
            "exact_input": measure(detector, crops, crops).model_dump(),
            "disturbed_input": measure(detector, crops, noisy).model_dump(),
        },
    }
    click.echo(write_detector(out, head, OPTIONS, facts))


def _echo(step: int, loss: float) -> None:
    click.echo(f"step {step}  loss {loss:.3f}", err=True)


if __name__ == "__main__":
    main()
