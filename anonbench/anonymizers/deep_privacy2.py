"""The generators of DeepPrivacy2 (Hukkelas and Lindseth, WACV 2023; TriA-GAN, CVPRW 2023) as anonymizers.

The networks, their configurations and the drawing of joint maps are those of the package `dp2`
(github.com/hukkelas/deep_privacy2), which the user installs. Here is what they are fed with.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from anonbench.anonymizers.synthesis import (
    ToBytes,
    at_resolution,
    blurred,
    chunks_with,
    latents_of,
    put_back,
)
from anonbench.cards import ModelCard, Strict, validate_section
from anonbench.crops import Outcome, PersonCrops
from anonbench.datasets.smpl_template import EMBEDDING, smpl_template
from anonbench.errors import CardError, DataError, WeightsError
from anonbench.generators.conditions import conditions_of
from anonbench.template import SurfaceTemplate
from anonbench.weights import load_strictly, read_tensors, require_sha256

REPOSITORY = "https://github.com/hukkelas/deep_privacy2"
VISIBLE = 0.05
"""A keypoint counts as seen above this (`kp_vis_thr` of dp2's configs/anonymizers/FB_triagan.py)."""
CHUNK = 8
"""Crops per pass, which bounds memory: the public networks are large."""

Inputs = Literal["surface", "keypoints", "mask"]
Batch = dict[str, Tensor]


class DeepPrivacy2Architecture(Strict):
    """The `architecture:` section of a card."""

    config: str = Field(
        pattern=r"^configs/[A-Za-z0-9_/]+\.py$", description="training configuration, in dp2's repository"
    )
    inputs: Inputs = Field(description="what it is conditioned on beside background and person mask")
    resolution: tuple[int, int] = Field(description="height and width of its images")
    embed_map: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = Field(
        default=None, description="sha256 of FDH's embed_map.torch beside the card; with `surface` only"
    )
    generator: dict[str, Any] | None = Field(
        default=None, description="the generator section of the configuration; filled in, or checked against"
    )

    @model_validator(mode="after")
    def _embedded(self) -> "DeepPrivacy2Architecture":
        if (self.embed_map is not None) != (self.inputs == "surface"):
            raise ValueError("embed_map belongs to inputs: surface, and to nothing else")
        return self


class DeepPrivacy2Options(Strict):
    """The `options:` section of a card."""

    to_bytes: ToBytes = Field(default="round", description="truncate: as dp2 does where it measures FID")


class DeepPrivacy2:
    """A generator of DeepPrivacy2. Crops with a surface outcome are synthesized, mask-only crops blurred.

    The outcome decides as it does for every generator (thesis 5.3.5), so that results can be compared.
    """

    def __init__(
        self,
        card: ModelCard,
        generator: torch.nn.Module,
        architecture: DeepPrivacy2Architecture,
        template: SurfaceTemplate | None = None,
        draw_joints: Callable[[Batch], Batch] | None = None,
        to_bytes: ToBytes = "round",
    ) -> None:
        self.card = card
        self._generator: Any = generator.eval().requires_grad_(False)
        self._architecture = architecture
        self._template = template
        self._draw_joints = draw_joints
        self._to_bytes = to_bytes

    def anonymize(self, crops: PersonCrops, latents: Tensor | None = None, truncation: float = 1.0) -> Tensor:
        """Anonymized images, uint8 (B, 3, H, W); bit-exact outside the person masks.

        latents: float32 (B, latent_dim), or None for one per sample key.
        truncation: that of DeepPrivacy2, in W: 1 leaves w as it is, 0 is the mean w of training.
        Raises DataError for crops without what the generator is conditioned on.
        """
        latents = latents_of(crops, latents, int(self._generator.z_channels))
        result = blurred(crops)
        for index in chunks_with(crops, Outcome.SURFACE, CHUNK):
            result[index] = self._synthesize(crops.select(index), latents[index], truncation)
        return result

    def _synthesize(self, crops: PersonCrops, latents: Tensor, truncation: float) -> Tensor:
        seen = at_resolution(crops, self._architecture.resolution)
        batch = self._batch(seen)
        with torch.no_grad():
            generated = self._generator.sample(truncation_value=truncation, z=latents, **batch)["img"]
        image = seen.image.float() / 127.5 - 1
        return put_back(crops, torch.where(seen.person_mask, generated.float(), image), self._to_bytes)

    def _batch(self, crops: PersonCrops) -> Batch:
        """The crops as the configuration's inputs, under the names of dp2."""
        batch = background(crops)
        if self._architecture.inputs == "surface":
            conditions = conditions_of(crops, self._template)
            batch |= {"embedding": conditions.embedding, "E_mask": conditions.surface_mask}
        elif self._architecture.inputs == "keypoints":
            batch["keypoints"] = relative_keypoints(crops)
        return self._draw_joints(batch) if self._draw_joints else batch


def background(crops: PersonCrops) -> Batch:
    """What every generator of dp2 sees: the image without the person, and the mask, 1 where the image is known.

    `img` would hold the person too; no generator uses that part, so it is not handed over. Crops have one
    mask: it stands for the undilated mask of Mask R-CNN (`maskrcnn_mask`) as well.
    """
    known = (~crops.person_mask).float()
    image = (crops.image.float() / 127.5 - 1) * known
    return {"img": image, "condition": image, "mask": known, "maskrcnn_mask": known}


def relative_keypoints(crops: PersonCrops) -> Tensor:
    """float32 (B, 17, 3): x and y as shares of width and height, visibility 0 or 1; outside is not visible.

    Raises DataError for a crop whose keypoints are unknown.
    """
    unknown = (crops.keypoints == 0).flatten(1).all(dim=1).nonzero()[:, 0]
    if len(unknown):
        raise DataError(
            f"sample {crops.key[int(unknown[0])]}: has no keypoints, which the model needs; detect them, or use "
            "a model without"
        )
    height, width = crops.size
    position = crops.keypoints[..., :2] / torch.tensor([width, height])
    inside = ((position >= 0) & (position <= 1)).all(dim=2)
    visible = inside & (crops.keypoints[..., 2] > VISIBLE)
    return torch.cat([position, visible[..., None].float()], dim=2)


def load_deep_privacy2(card: ModelCard, folder: Path) -> DeepPrivacy2:
    """The anonymizer of a card whose checkpoint, converted to safetensors, lies in `folder`.

    Raises WeightsError where dp2 is not installed, or the checkpoint is absent, another or does not fit;
    CardError where the card contradicts the configuration.
    """
    options = validate_section(DeepPrivacy2Options, card.options, f"model '{card.name}': options")
    architecture = validate_section(
        DeepPrivacy2Architecture, card.architecture, f"model '{card.name}': architecture"
    )
    if card.checkpoint is None:
        raise CardError(
            f"model '{card.name}' has no checkpoint; convert a public one (docs/deep_privacy2.md)"
        )
    with _dp2(card.name):
        config = _read_config(card.name, architecture.config)
        instantiate = import_module("tops.config").instantiate
        generator, rename = instantiate(config.generator), instantiate(config.get("ckpt_mapper"))
        draw_joints = _joint_drawing(generator)
    content = _plain(config.generator)
    _check(card, architecture, generator, content)
    _load_weights(generator, folder / card.checkpoint.file, card.checkpoint.sha256, rename)
    template = _template(folder, architecture.embed_map)
    # What the configuration says belongs to the model's digest: the file can change under the same name.
    filled = architecture.model_copy(update={"generator": content}).model_dump(mode="json")
    card = card.model_copy(update={"architecture": filled})
    return DeepPrivacy2(card, generator, architecture, template, draw_joints, options.to_bytes)


@contextmanager
def _dp2(model: str) -> Iterator[None]:
    """Where dp2 is imported: what it prints goes to stderr, and what it lacks is told."""
    try:
        with redirect_stdout(sys.stderr):
            yield
    except ImportError as error:
        raise WeightsError(
            f"model '{model}' needs DeepPrivacy2, and '{error.name or error}' is not installed: clone "
            f"{REPOSITORY}, run 'pip install --no-deps -e .' there, and install what docs/deep_privacy2.md lists"
        ) from error


def _read_config(model: str, name: str) -> Any:
    """A configuration of dp2's repository. It is Python, and runs: only what is installed there is taken."""
    root = Path(str(import_module("dp2").__file__)).parents[1]
    path = root / name
    if not path.is_file():
        raise CardError(
            f"model '{model}': no {name} beside the package dp2 in {root}; install dp2 from a clone of "
            f"{REPOSITORY} with 'pip install --no-deps -e .'"
        )
    return import_module("tops.config").LazyConfig.load(str(path))


def _check(
    card: ModelCard, architecture: DeepPrivacy2Architecture, generator: Any, content: dict[str, Any]
) -> None:
    """What the card promises must be what the configuration builds."""
    claims = {
        "latent_dim": (card.latent_dim, int(generator.z_channels)),
        "can_reconstruct": (card.can_reconstruct, False),
        "architecture.resolution": (architecture.resolution, tuple(generator.imsize)),
        "architecture.inputs": (architecture.inputs, _inputs_of(generator)),
    }
    for key, (claimed, true) in claims.items():
        if claimed != true:
            raise CardError(
                f"model '{card.name}': key '{key}' is {claimed}, {architecture.config} has {true}"
            )
    if architecture.generator not in (None, content):
        raise CardError(
            f"model '{card.name}': the installed {architecture.config} builds another generator than key "
            "'architecture.generator'; install the revision that it is from"
        )


def _inputs_of(generator: Any) -> Inputs:
    if getattr(generator, "input_cse", False):
        return "surface"
    with_pose = getattr(generator, "input_keypoints", False) or getattr(generator, "input_joint", False)
    return "keypoints" if with_pose else "mask"


def _load_weights(
    generator: torch.nn.Module,
    path: Path,
    sha256: str,
    rename: Callable[[dict[str, Tensor]], dict[str, Tensor]] | None,
) -> None:
    """rename: the configuration's own map from the names in its public checkpoint to those in the network."""
    require_sha256(path, sha256)
    tensors = read_tensors(path)
    # The centres of multi-modal truncation are no part of the network, and not every checkpoint has them.
    centres = ("style_net.w_centers",)
    load_strictly(generator, rename(tensors) if rename else tensors, str(path), unused=centres)


def _template(folder: Path, embed_map: str | None) -> SurfaceTemplate | None:
    """SMPL's vertices as FDH embeds them, if the generator sees surfaces."""
    if embed_map is None:
        return None
    require_sha256(folder / EMBEDDING, embed_map)
    return smpl_template(folder)


def _joint_drawing(generator: Any) -> Callable[[Batch], Batch] | None:
    """dp2's own drawing of the skeleton, which adds `joint_map` to a batch, if the generator sees one."""
    if not getattr(generator, "input_joint", False):
        return None
    transforms = import_module("dp2.data.transforms.transforms")
    draw: Callable[[Batch], Batch] = transforms.InsertJointMap(imsize=tuple(generator.imsize))
    return draw


def _plain(value: Any) -> Any:
    """A section of a configuration as JSON can hold it; classes and functions by name."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items() if key != "_args_"}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(entry) for entry in value]
    return value if value is None or isinstance(value, bool | int | float | str) else _name(value)


def _name(value: Any) -> str:
    return f"{value.__module__}.{value.__qualname__}" if hasattr(value, "__qualname__") else str(value)
