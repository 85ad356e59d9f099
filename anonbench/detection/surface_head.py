"""The surface head: from person mask and keypoints to the body template's vertex under every pixel.

Masks and keypoints look alike on rendered and on real people, so a network that sees nothing else can be
trained on synthetic people alone, where every pixel's vertex is known (thesis section 7.2.3). It stands in
for Continuous Surface Embeddings (Neverova et al. 2020), which need pixels, official weights and detectron2.
"""

from dataclasses import replace
from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from anonbench.cards import DetectorCard, KnownAnswer, Strict, packaged_card, validate_section
from anonbench.crops import NO_VERTEX, Outcome, PersonCrops
from anonbench.detection.coordinates import CHANNELS, nearest_vertices
from anonbench.errors import WeightsError
from anonbench.generators.conditions import keypoint_heat
from anonbench.resources import resource_dir
from anonbench.weights import load_strictly, read_tensors, require_sha256
from anonbench.weights.known_answers import answer_of, probe, require_answer

NAME = "surface_head"
INPUTS = 1 + 17
"""Person mask and one heat map per COCO keypoint."""


class SurfaceHeadArchitecture(Strict):
    """`architecture` of the card."""

    size: tuple[int, int] = Field(description="(H, W) at which the network sees a crop, multiples of 8")
    channels: int = Field(ge=8, description="feature maps of a cell, doubled at every halving")
    heat_sigma: float = Field(
        gt=0, description="standard deviation of a keypoint's heat map, in pixels of `size`"
    )


class SurfaceHeadOptions(Strict):
    """`options` of the card: which crops get a surface. The others keep their outcome."""

    min_visibility: float = Field(ge=0, le=1, description="a keypoint counts as seen from here on")
    min_keypoints: int = Field(ge=0, le=17, description="seen keypoints that a crop needs")
    max_error: float = Field(
        gt=0, description="largest median error that the head may predict for its own map"
    )


class SurfaceHead(nn.Module):
    """A U-Net from mask and keypoints to surface coordinates with their expected error.

    It works on cells of 2x2 pixels: full resolution costs most of the time and adds little, since coordinates
    vary smoothly over the body.
    """

    def __init__(self, architecture: SurfaceHeadArchitecture) -> None:
        super().__init__()
        self.architecture = architecture
        c = architecture.channels
        self.down = nn.ModuleList([_block(4 * INPUTS, c), _block(c, 2 * c)])
        self.bottom = _block(2 * c, 4 * c)
        self.up = nn.ModuleList([_block(6 * c, 2 * c), _block(3 * c, c)])
        self.head = nn.Conv2d(c, 4 * (CHANNELS + 1), 1)

    def forward(self, mask: Tensor, keypoints: Tensor) -> tuple[Tensor, Tensor]:
        """Surface coordinates (B, 19, h, w) and their expected mean absolute error (B, 1, h, w).

        mask: float (B, 1, h, w) in [0, 1]; keypoints: float (B, 17, 3) in pixels of (h, w), with visibility.
        Both at the size of the architecture. Meaningful inside the mask only.
        """
        heat = keypoint_heat(keypoints, self.architecture.size, self.architecture.heat_sigma)
        x = F.pixel_unshuffle(torch.cat([mask, heat], dim=1), 2).contiguous(memory_format=torch.channels_last)
        skips = []
        for down in self.down:
            x = down(x)
            skips.append(x)
            x = F.max_pool2d(x, 2)
        x = self.bottom(x)
        for up, skip in zip(self.up, reversed(skips), strict=True):
            x = up(torch.cat([F.interpolate(x, scale_factor=2), skip], dim=1))
        out = F.pixel_shuffle(self.head(x).float(), 2)
        return out[:, :CHANNELS], F.softplus(out[:, CHANNELS:]) + 1e-3


class SurfaceDetector:
    """Adds surface maps to crops that have a mask and keypoints."""

    def __init__(self, head: SurfaceHead, options: SurfaceHeadOptions, device: torch.device) -> None:
        self.head = head.to(device).eval()
        self.options = options
        self.device = device

    def fill_surfaces(self, crops: PersonCrops, batch: int = 32) -> PersonCrops:
        """The crops, those with outcome MASK_ONLY and enough keypoints now with a surface inside their mask.

        Outcomes NONE and SURFACE stay as they are. A crop keeps MASK_ONLY, and is blurred later, when fewer
        than `min_keypoints` keypoints are seen or the head expects a median error above `max_error`.
        """
        candidates = self._candidates(crops)
        if not len(candidates):
            return crops
        surface, outcome = crops.surface.clone(), crops.outcome.clone()
        for index in torch.split(candidates, batch):
            vertices, error = self._predict(crops.select(index))
            good = error <= self.options.max_error
            surface[index[good]] = vertices[good]
            outcome[index[good]] = int(Outcome.SURFACE)
        return replace(crops, surface=surface, outcome=outcome)

    def _candidates(self, crops: PersonCrops) -> Tensor:
        seen = (crops.keypoints[..., 2] >= self.options.min_visibility).sum(dim=1)
        filled = crops.person_mask.flatten(1).any(dim=1)
        return (
            (crops.outcome == Outcome.MASK_ONLY) & filled & (seen >= self.options.min_keypoints)
        ).nonzero()[:, 0]

    @torch.inference_mode()
    def _predict(self, crops: PersonCrops) -> tuple[Tensor, Tensor]:
        """Vertices int32 (B, H, W), -1 outside the mask, and each crop's median expected error (B,)."""
        coordinates, error = predict(self.head, crops, self.device)
        mask = crops.person_mask[:, 0].to(self.device)
        vertices = torch.full(mask.shape, NO_VERTEX, dtype=torch.int32, device=self.device)
        vertices[mask] = nearest_vertices(coordinates.permute(0, 2, 3, 1)[mask])
        medians = torch.stack([e[m].median() for e, m in zip(error[:, 0], mask, strict=True)])
        return vertices.cpu(), medians.cpu()


def predict(head: SurfaceHead, crops: PersonCrops, device: torch.device) -> tuple[Tensor, Tensor]:
    """`SurfaceHead.forward` for crops of any size: both outputs at the crops' own resolution."""
    size = head.architecture.size
    scale = torch.tensor([size[1] / crops.size[1], size[0] / crops.size[0], 1.0])
    mask = F.interpolate(
        crops.person_mask.float(), size, mode="bilinear", antialias=True, align_corners=False
    )
    coordinates, error = head(mask.to(device), (crops.keypoints * scale).to(device))
    return (
        F.interpolate(coordinates, crops.size, mode="bilinear", align_corners=False),
        F.interpolate(error, crops.size, mode="bilinear", align_corners=False),
    )


def surface_head_digest() -> str:
    """What decides the surfaces that the packaged head finds."""
    return packaged_card("models/detectors", NAME, DetectorCard).digest


@cache
def load_surface_detector(device: str = "cpu") -> SurfaceDetector:
    """The packaged surface head. Raises WeightsError when its checkpoint is absent or another file."""
    card = packaged_card("models/detectors", NAME, DetectorCard)
    return build_surface_detector(card, resource_dir("models") / "detectors", torch.device(device))


def build_surface_detector(card: DetectorCard, folder: Path, device: torch.device) -> SurfaceDetector:
    """The surface head that a card in `folder` describes. Raises CardError or WeightsError."""
    where = f"{folder / card.name}.yaml"
    architecture = validate_section(SurfaceHeadArchitecture, card.architecture, where)
    options = validate_section(SurfaceHeadOptions, card.options, where)
    if card.checkpoint is None:
        raise WeightsError(f"{where}: key 'checkpoint' is missing")
    path = folder / card.checkpoint.file
    require_sha256(path, card.checkpoint.sha256)
    head = SurfaceHead(architecture)
    load_strictly(head, read_tensors(path), str(path))
    head.eval()
    require_answer(lambda mask: _coordinates(head, mask), _question(head), card.known_answer, str(path))
    return SurfaceDetector(head, options, device)


def known_answer(head: SurfaceHead) -> KnownAnswer:
    """What a card of the head states that it answers."""
    return answer_of(_coordinates(head.eval(), _question(head)))


def fill_surfaces(crops: PersonCrops, device: str = "cpu") -> PersonCrops:
    """Surface maps from the packaged head; see `SurfaceDetector.fill_surfaces`."""
    return load_surface_detector(device).fill_surfaces(crops)


def _question(head: SurfaceHead) -> Tensor:
    """A mask of which no part is certain, float (1, 1, h, w)."""
    return probe(head.architecture.size)[:1, :1].float() / 255


@torch.inference_mode()
def _coordinates(head: SurfaceHead, mask: Tensor) -> Tensor:
    """The coordinates for keypoints all over the mask."""
    h, w = head.architecture.size
    steps = (torch.arange(17) + 0.5) / 17
    keypoints = torch.stack([(steps * 5 % 1) * w, steps * h, torch.ones(17)], dim=1)[None]
    coordinates, error = head(mask, keypoints)
    return torch.cat([coordinates, error], dim=1)


def _block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
        nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )
