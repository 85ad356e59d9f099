"""Exact backward optical flow between two shots of one clip, and where it can be seen."""

import numpy as np

from anonbench.datasets.synthetic.body import Bools, Floats
from anonbench.datasets.synthetic.render import Motion, Shot

TOLERANCE = 0.01
"""Metres by which something may lie before a point that still counts as seen: cloth touches the body."""


def motion(shot: Shot, before: Shot) -> Motion:
    """Where each pixel's point was in the shot before.

    The centre of a pixel shows a point of a triangle; the same point of the same triangle is looked up in the
    mesh of the shot before. The place stands still and so does the camera: its points move with the crop alone.
    """
    y, x = np.mgrid[0 : shot.size[0], 0 : shot.size[1]] + 0.5
    rays = shot.camera.rays(x, y).reshape(-1, 3)
    points, person = _points_before(shot, before, rays)
    place = before.camera.pixels(points)
    height, width = shot.size
    inside = (place >= 0).all(1) & (place[:, 0] < width) & (place[:, 1] < height)
    visible = inside & _unobstructed(before, points, person)
    displacement = place - np.stack([x, y], -1).reshape(-1, 2)
    return Motion(
        flow=displacement.reshape(height, width, 2).astype(np.float32),
        visible=visible.reshape(height, width),
    )


def still(size: tuple[int, int]) -> Motion:
    """The motion of a first frame: nothing is known of the frame before."""
    return Motion(np.zeros((*size, 2), np.float32), np.zeros(size, bool))


def _points_before(shot: Shot, before: Shot, rays: Floats) -> tuple[Floats, Bools]:
    """(N, 3) places, in the shot before, of what the rays (N, 3) hit; and where that is the person."""
    hits = shot.tracer.from_camera(rays)
    person = hits["primID"] >= 0
    u, v = hits["u"][person], hits["v"][person]
    corners = before.mesh.vertices[before.mesh.faces[hits["primID"][person]]]
    points = before.camera.centre + rays  # any point of the ray: how far the place is does not matter
    points[person] = np.einsum("nk,nkc->nc", np.stack([1 - u - v, u, v], -1), corners)
    return points, person


def _unobstructed(before: Shot, points: Floats, person: Bools) -> Bools:
    """(N,) whether the camera sees the points: those of the person first, those of the place past the person."""
    first = before.tracer.first_hit(points)
    reach = np.linalg.norm(points - before.camera.centre, axis=1)
    return np.where(person, first * reach >= reach - TOLERANCE, np.isinf(first))
