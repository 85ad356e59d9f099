"""COCO keypoints of a posed body, with exact visibility."""

from collections.abc import Callable

import numpy as np

from anonbench.crops import KEYPOINTS
from anonbench.datasets.synthetic.body import EYES, Body, Bools, Floats, Posed
from anonbench.datasets.synthetic.camera import Camera

BONES = {
    "shoulder": "upperarm01", "elbow": "lowerarm01", "wrist": "wrist",
    "hip": "upperleg01", "knee": "lowerleg01", "ankle": "foot",
}  # fmt: skip
FLESH = {
    "nose": 0.03, "eye": 0.03, "ear": 0.04, "shoulder": 0.13, "elbow": 0.08, "wrist": 0.06,
    "hip": 0.18, "knee": 0.10, "ankle": 0.09,
}  # fmt: skip
"""Metres of body and cloth that may lie in front of a joint which still counts as visible."""

VISIBLE, OCCLUDED, OUTSIDE = 1.0, 0.5, 0.0


def coco_keypoints(
    body: Body, posed: Posed, camera: Camera, first_hit: Callable[[Floats], Floats], hidden: Bools
) -> Floats:
    """(17, 3) float32: x, y in pixels and visibility: 1 seen, 0.5 behind the person or an occluder, 0 outside.

    first_hit: where the line from the camera to each point first meets the person (1 = at the point);
    hidden: (H, W) pixels that an occluder covers.
    """
    points = _points(body, posed)
    pixels = camera.pixels(points)
    height, width = hidden.shape
    inside = (pixels >= 0).all(1) & (pixels[:, 0] < width) & (pixels[:, 1] < height)
    reach = np.linalg.norm(points - camera.centre, axis=1)
    flesh = np.array([FLESH[name.removeprefix("left_").removeprefix("right_")] for name in KEYPOINTS])
    seen = first_hit(points) * reach >= reach - flesh
    column = np.clip(pixels[:, 0].astype(int), 0, width - 1)
    row = np.clip(pixels[:, 1].astype(int), 0, height - 1)
    seen &= ~hidden[row, column]
    visibility = np.where(inside, np.where(seen, VISIBLE, OCCLUDED), OUTSIDE)
    return np.asarray(np.concatenate([pixels, visibility[:, None]], 1).astype(np.float32))


def _points(body: Body, posed: Posed) -> Floats:
    """(17, 3) world positions in COCO's order."""
    eyes = posed.vertices[slice(*EYES)]
    left = body.rest[slice(*EYES), 0] > 0
    named = {
        "nose": posed.vertices[body.nose],
        "left_eye": eyes[left].mean(0),
        "right_eye": eyes[~left].mean(0),
    }
    for side, suffix, ear in (("left_", ".L", body.ears[0]), ("right_", ".R", body.ears[1])):
        named[side + "ear"] = posed.vertices[ear]
        for joint, bone in BONES.items():
            named[side + joint] = posed.joints[body.bone[bone + suffix]]
    return np.asarray(np.stack([named[name] for name in KEYPOINTS]).astype(np.float64))
