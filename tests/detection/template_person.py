"""A person drawn from the body template itself: exact mask, surface and keypoints without a renderer."""

import math

import torch

from anonbench import template
from anonbench.crops import NO_VERTEX, Outcome, PersonCrops

LIMBS = {
    "shoulder": ("upper_arm", "torso_front"),
    "elbow": ("upper_arm", "lower_arm"),
    "wrist": ("hand", "lower_arm"),
    "hip": ("upper_leg", "torso_front"),
    "knee": ("upper_leg", "lower_leg"),
    "ankle": ("foot", "lower_leg"),
}


def template_person(size: tuple[int, int] = (144, 80), turn: float = 0.0) -> PersonCrops:
    """The template at rest seen from the front, or turned by `turn` degrees about the vertical axis."""
    h, w = size
    points = _turned(template.positions(), turn)
    scale = 0.85 * h / (points[:, 2].max() - points[:, 2].min())
    middle = (points.amax(dim=0) + points.amin(dim=0)) / 2

    def pixels(p):
        return torch.stack(
            [w / 2 + (p[..., 0] - middle[0]) * scale, h / 2 - (p[..., 2] - middle[2]) * scale], -1
        )

    surface = torch.full((h, w), NO_VERTEX, dtype=torch.int32)
    place = pixels(points).floor().long()
    for vertex in torch.argsort(points[:, 1], descending=True).tolist():
        x, y = place[vertex].tolist()
        if 0 <= x < w and 0 <= y < h:
            surface[y, x] = vertex
    seen = (surface >= 0)[None, None].float()
    closed = -torch.nn.functional.max_pool2d(-torch.nn.functional.max_pool2d(seen, 5, 1, 2), 5, 1, 2) > 0
    joints = pixels(_turned(_joints(), turn))
    return PersonCrops(
        image=torch.zeros(1, 3, h, w, dtype=torch.uint8),
        person_mask=closed,
        surface=surface[None],
        keypoints=torch.cat([joints, torch.ones(17, 1)], 1)[None].float(),
        person_id=torch.tensor([1]),
        camera_id=torch.tensor([1]),
        outcome=torch.tensor([int(Outcome.SURFACE)]),
        key=(f"template/{turn:.0f}",),
    )


def _turned(points, degrees):
    a = math.radians(degrees)
    turn = torch.tensor([[math.cos(a), -math.sin(a), 0], [math.sin(a), math.cos(a), 0], [0, 0, 1.0]])
    return points @ turn.T


def _joints():
    """Rest positions (17, 3) of the COCO keypoints, from where the body parts meet."""
    head = _part("head")
    nose = head[head[:, 1].argmin()]
    face = [nose]
    for x, back in ((0.03, 0.02), (0.075, 0.1)):
        face += [nose + torch.tensor([side * x, back, 0.03]) for side in (1, -1)]
    body = [_meeting(a, b, side) for a, b in LIMBS.values() for side in ("left", "right")]
    return torch.stack(face + body)


def _meeting(first, second, side):
    """The middle of the vertices of one part that lie nearest to another part."""
    a, b = _part(f"{side}_{first}"), _part(second if second == "torso_front" else f"{side}_{second}")
    near = torch.cdist(a, b).amin(dim=1).argsort()[: max(8, len(a) // 12)]
    return (a[near].amin(dim=0) + a[near].amax(dim=0)) / 2


def _part(name):
    return template.positions()[template.part_of_vertex() == template.PARTS.index(name)]
