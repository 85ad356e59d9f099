"""PersonCrops -> the tensors that the networks see."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Literal

import torch
from torch import Tensor

from anonbench.crops import KEYPOINTS, NO_VERTEX, PersonCrops
from anonbench.errors import DataError
from anonbench.generators.config import SURFACES, ConditionName, beside_background
from anonbench.template import SurfaceTemplate, body_template

_MIRRORED_KEYPOINTS = [
    KEYPOINTS.index(
        name.replace("left_", "right_") if name.startswith("left_") else name.replace("right_", "left_")
    )
    for name in KEYPOINTS
]

KEYPOINT_SIGMA = 1 / 48
"""Standard deviation of a joint's blob, in heights of the crop: 1.5 pixels at 72x40, 6 at 288x160."""


@dataclass(frozen=True)
class Conditions:
    """A batch as float32 tensors, images in [-1, 1], masks in {0, 1}.

    image: (B, 3, H, W); person_mask: (B, 1, H, W); embedding: (B, 16, H, W), zero where there is no
    surface; surface_mask: (B, 1, H, W); keypoints: (B, 17, 3) as in `PersonCrops`.
    """

    image: Tensor
    person_mask: Tensor
    embedding: Tensor
    surface_mask: Tensor
    keypoints: Tensor

    @property
    def background(self) -> Tensor:
        """B = I * (1 - M), (B, 3, H, W)."""
        return self.image * (1 - self.person_mask)

    @property
    def person(self) -> Tensor:
        """I * M, (B, 3, H, W)."""
        return self.image * self.person_mask

    @property
    def keypoint_maps(self) -> Tensor:
        """One Gaussian blob of height 1 per joint, zero where it is not known: (B, 17, H, W).

        A joint is known if its visibility is positive: hidden behind something, but not outside the image.
        """
        size = (self.image.shape[2], self.image.shape[3])
        known = torch.cat([self.keypoints[..., :2], (self.keypoints[..., 2:] > 0).float()], dim=2)
        return keypoint_heat(known, size, KEYPOINT_SIGMA * size[0])

    def to(self, device: torch.device | str) -> "Conditions":
        """The same on another device."""
        return Conditions(**{field.name: getattr(self, field.name).to(device) for field in fields(self)})

    def composite(self, generated: Tensor) -> Tensor:
        """`generated` (B, 3, H, W) inside the person mask, the image outside."""
        return torch.where(self.person_mask > 0, generated, self.image)


def conditions_of(crops: PersonCrops, template: SurfaceTemplate | None = None) -> Conditions:
    """The crops as network inputs. template: what their surfaces refer to; None: the packaged one.

    The surface is cut to the person mask: what is outside is not painted, and a surface map that reaches
    beyond the mask would show pose where the image itself is visible.
    Raises DataError if the crops refer to another template.
    """
    template = _template_for(crops, template)
    surface_mask = crops.surface_mask & crops.person_mask
    surface = torch.where(surface_mask[:, 0], crops.surface, NO_VERTEX)
    return Conditions(
        image=crops.image.float() / 127.5 - 1,
        person_mask=crops.person_mask.float(),
        embedding=template.embed(surface),
        surface_mask=surface_mask.float(),
        keypoints=crops.keypoints,
    )


def generator_input(conditions: Conditions, names: Sequence[ConditionName] = SURFACES) -> Tensor:
    """What the generator's encoder sees: the named conditions (B, C, H, W), channels last (thesis 4.4).

    names: `conditions` of the generator's configuration.
    """
    return _stack([_CONDITIONS[name](conditions) for name in names])


def mapper_input(conditions: Conditions, names: Sequence[ConditionName] = SURFACES) -> Tensor:
    """What the appearance mapper sees: the person's pixels and what the generator knows beside the background.

    names: `conditions` of the generator's configuration. Returns (B, C, H, W), channels last (thesis 4.7).
    """
    return _stack([conditions.person, *(_CONDITIONS[name](conditions) for name in beside_background(names))])


def discriminator_condition(
    conditions: Conditions, kind: Literal["person_mask", "surface_mask"], generator: torch.Generator
) -> Tensor:
    """What the discriminator sees beside the image: (B, 4, H, W).

    `person_mask`: the background with a hole, and M (Equation 4.1). `surface_mask`: the background with the
    hole filled with uniform noise, and the surface mask, which hide the outline of clothes and hair (4.10).
    Real and generated images of a step must be judged under the same draw of the noise.
    """
    if kind == "person_mask":
        return torch.cat([conditions.background, conditions.person_mask], dim=1)
    noise = torch.rand(conditions.image.shape, generator=generator).to(conditions.image.device) * 2 - 1
    filled = torch.where(conditions.person_mask > 0, noise, conditions.image)
    return torch.cat([filled, conditions.surface_mask], dim=1)


def keypoint_heat(keypoints: Tensor, size: tuple[int, int], sigma: float) -> Tensor:
    """One Gaussian per keypoint, as high as it is visible: (B, 17, 3) in pixels -> (B, 17, H, W)."""
    x = torch.arange(size[1], device=keypoints.device) + 0.5
    y = torch.arange(size[0], device=keypoints.device) + 0.5
    across = torch.exp(-((x - keypoints[..., 0:1]) ** 2) / (2 * sigma**2))
    down = torch.exp(-((y - keypoints[..., 1:2]) ** 2) / (2 * sigma**2))
    return keypoints[..., 2, None, None] * down[..., :, None] * across[..., None, :]


def flip(crops: PersonCrops, which: Tensor, template: SurfaceTemplate | None = None) -> PersonCrops:
    """The crops with those of `which`, bool (B,), mirrored left to right.

    A mirrored left hand is a right hand: vertices and keypoints swap sides with the pixels.
    template: what the surfaces refer to; None: the packaged one. Raises DataError if the crops refer to
    another, or if any crop is to be mirrored and the template does not know its counterparts.
    """
    template = _template_for(crops, template)
    if not which.any():
        return crops
    keypoints = crops.keypoints[:, _MIRRORED_KEYPOINTS].clone()
    known = keypoints.any(dim=2)
    keypoints[..., 0] = torch.where(known, crops.size[1] - keypoints[..., 0], 0.0)
    return replace(
        crops,
        image=_choose(which, crops.image.flip(3), crops.image),
        person_mask=_choose(which, crops.person_mask.flip(3), crops.person_mask),
        surface=_choose(which, template.mirrored(crops.surface.flip(2)), crops.surface),
        keypoints=_choose(which, keypoints, crops.keypoints),
    )


def _template_for(crops: PersonCrops, template: SurfaceTemplate | None) -> SurfaceTemplate:
    """The template that was given or the packaged one; DataError if the crops refer to another."""
    template = template or body_template()
    if crops.template != template.name:
        raise DataError(
            f"the crops' surfaces refer to the body template '{crops.template}', not to '{template.name}', "
            "on whose vertices the model is trained; use data or a model of the same template"
        )
    return template


def _choose(which: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    """Samples of `yes` where `which` (B,) is true, else of `no`."""
    return torch.where(which.view(-1, *[1] * (yes.dim() - 1)), yes, no)


_CONDITIONS: dict[ConditionName, Callable[[Conditions], Tensor]] = {
    "background": lambda c: c.background,
    "person_mask": lambda c: c.person_mask,
    "surface_embedding": lambda c: c.embedding,
    "surface_mask": lambda c: c.surface_mask,
    "keypoints": lambda c: c.keypoint_maps,
}


def _stack(maps: Sequence[Tensor]) -> Tensor:
    """Along the channels, in the channels-last layout in which convolutions on a CPU are fastest."""
    return torch.cat([x.contiguous(memory_format=torch.channels_last) for x in maps], dim=1)
