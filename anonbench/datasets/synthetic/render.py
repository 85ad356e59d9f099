"""Render one sample: ray cast with Embree, shade, composite, photograph."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.ndimage import binary_dilation, gaussian_filter

from anonbench.crops import NO_VERTEX
from anonbench.datasets.synthetic import camera as cameras
from anonbench.datasets.synthetic import scene, shading
from anonbench.datasets.synthetic.body import Body, Bools, Floats, Ints, Posed
from anonbench.datasets.synthetic.keypoints import coco_keypoints
from anonbench.datasets.synthetic.outfit import Material, Mesh, dress
from anonbench.datasets.synthetic.poses import Pose, random_pose
from anonbench.datasets.synthetic.scene import Light
from anonbench.datasets.synthetic.splits import Plan
from anonbench.datasets.synthetic.wardrobe import Identity, Stream, identity, stream

SUPERSAMPLING = 2
COARSE_ROWS = 160
"""Images up to this height use the coarse topology."""
SHADOW_REACH = 3.0
"""Metres around the person within which the ground can be in their shadow."""
OCCLUDED_SHARE = 0.12


@dataclass(frozen=True)
class Sample:
    """One rendered crop. image, plate: uint8 (H, W, 3), the crop and the same shot without person and
    occluder; person_mask: bool (H, W), every pixel with any colour of the person; surface: int32 (H, W);
    keypoints: float32 (17, 3)."""

    image: Ints
    plate: Ints
    person_mask: Bools
    surface: Ints
    keypoints: Floats


def render(body: Body, seed: int, plans: Sequence[Plan], size: tuple[int, int]) -> list[Sample]:
    """The samples of these plans at `size` (H, W). Bytes do not depend on how plans are batched."""
    people = [identity(seed, p.person, p.dress_theme, p.correlation) for p in plans]
    poses = [random_pose(stream(seed, Stream.POSE, *p.pose), p.pose_kind) for p in plans]
    posed = body.pose([pose for _, pose in poses], [who.phenotype for who in people])
    return [
        _render(body, seed, plan, who, pose, body_pose, size)
        for plan, who, pose, body_pose in zip(plans, people, poses, posed, strict=True)
    ]


def _render(
    body: Body, seed: int, plan: Plan, who: Identity, pose: tuple[str, Pose], posed: Posed, size: tuple[int, int]
) -> Sample:
    mesh = dress(body, who, posed, sitting=pose[0] == "sit", coarse=size[0] <= COARSE_ROWS)
    camera = cameras.frame(stream(seed, Stream.VIEW, *plan.view), mesh.vertices[mesh.person], size, plan.azimuth)
    tracer = Tracer(mesh, camera)
    light = scene.random_light(stream(seed, Stream.LIGHT, *plan.light), plan.light_theme)
    layer = _person(body, seed, who, mesh, camera, tracer, light, size)
    plate, ground = _plate(seed, plan, camera, mesh, size)
    shaded = plate
    if plan.ground_shadow:
        shaded = plate * (1 - _ground_shadow(tracer, camera, light, ground))[..., None]
    image = shaded * (1 - layer.coverage[..., None]) + layer.radiance
    surface, person = layer.surface, layer.person
    cover = _occluder(stream(seed, Stream.OCCLUDER, *plan.shot), size) if plan.occluders else None
    if cover is not None:
        hidden = cover[..., 3] > 0
        image = np.where(hidden[..., None], cover[..., :3] * light.level, image)
        surface, person = np.where(hidden, NO_VERTEX, surface), np.where(hidden, 0, person)
    develop = cameras.response(seed, plan.camera, plan.shot, size)
    hidden = np.zeros(size, bool) if cover is None else cover[..., 3] > 0
    return Sample(
        image=develop(_display(image)),
        plate=develop(_display(plate)),
        person_mask=grown(person > 0),
        surface=surface.astype(np.int32),
        keypoints=coco_keypoints(body, posed, camera, tracer.first_hit, hidden),
    )


def grown(covered: Bools) -> Bools:
    """The mask dilated by one pixel per 144 rows (at least one): blur spreads the person's colour that far."""
    return np.asarray(binary_dilation(covered, np.ones((3, 3), bool), iterations=max(1, round(len(covered) / 144))))


def _display(radiance: Floats) -> Floats:
    return np.asarray(np.clip(radiance, 0, None) ** (1 / shading.GAMMA))


@lru_cache(maxsize=1)
def _device() -> Any:
    from embreex.rtcore import EmbreeDevice

    return EmbreeDevice()


class Tracer:
    """A mesh ready for rays. Coordinates are moved to the camera's target: Embree works in float32."""

    def __init__(self, mesh: Mesh, camera: cameras.Camera) -> None:
        from embreex.mesh_construction import TriangleMesh
        from embreex.rtcore_scene import EmbreeScene

        self._origin = camera.target
        self._camera = camera
        self._scene = EmbreeScene(_device())
        TriangleMesh(self._scene, (mesh.vertices - self._origin).astype(np.float32), mesh.faces)

    def from_camera(self, directions: Floats) -> dict[str, Any]:
        """First hits of rays (N, 3) from the camera: primID (-1 none), u, v, and tfar along the direction."""
        start = (self._camera.centre - self._origin).astype(np.float32)
        origins = np.broadcast_to(start, directions.shape).copy()
        hits: dict[str, Any] = self._scene.run(origins, directions.astype(np.float32), output=1)
        return hits

    def first_hit(self, points: Floats) -> Floats:
        """(N,) how far along the line from the camera to each point the first surface lies: 1 at the point."""
        hits = self.from_camera(points - self._camera.centre)
        return np.where(hits["primID"] >= 0, hits["tfar"], np.inf)

    def sunlit(self, points: Floats, direction: Floats) -> Bools:
        """(N,) whether nothing lies between the points and the sun."""
        towards = np.broadcast_to(direction.astype(np.float32), points.shape).copy()
        # Embree answers 0 for an occluded ray.
        free = self._scene.run((points - self._origin).astype(np.float32), towards, query="OCCLUDED")
        return np.asarray(free != 0)


@dataclass(frozen=True)
class _Layer:
    """Person and seat over the crop: premultiplied radiance (H, W, 3), coverage by both and by the person
    alone (H, W), template vertices (H, W)."""

    radiance: Floats
    coverage: Floats
    person: Floats
    surface: Ints


def _person(
    body: Body, seed: int, who: Identity, mesh: Mesh, camera: cameras.Camera, tracer: Tracer, light: Light,
    size: tuple[int, int],
) -> _Layer:  # fmt: skip
    """Cast SUPERSAMPLING^2 rays per pixel of the person's bounding box and average them."""
    low, high = _bounding_box(camera.pixels(mesh.vertices), size)
    rows, columns = high[1] - low[1], high[0] - low[0]
    n = SUPERSAMPLING
    y, x = np.mgrid[low[1] * n : high[1] * n, low[0] * n : high[0] * n]
    directions = camera.rays((x + 0.5) / n, (y + 0.5) / n).reshape(-1, 3)
    hits = tracer.from_camera(directions)
    hit = np.flatnonzero(hits["primID"] >= 0)
    face = hits["primID"][hit]
    u, v = hits["u"][hit], hits["v"][hit]
    barycentric = np.stack([1 - u - v, u, v], -1)
    radiance, material = _shade(body, seed, who, mesh, camera, tracer, light, face, barycentric, directions[hit])

    is_person = material != Material.SEAT
    samples = np.zeros((len(directions), 5))
    samples[hit, :3], samples[hit, 3], samples[hit, 4] = radiance, 1, is_person
    means = samples.reshape(rows, n, columns, n, 5).mean((1, 3))
    corner = mesh.faces[face, barycentric.argmax(1)]
    vertex = np.full(len(directions), NO_VERTEX)
    vertex[hit] = np.where(is_person, mesh.template_vertex[corner], NO_VERTEX)
    vertex = vertex.reshape(rows, n, columns, n).transpose(0, 2, 1, 3).reshape(rows, columns, n * n)
    first = np.take_along_axis(vertex, (vertex >= 0).argmax(-1)[..., None], -1)[..., 0]

    box = np.s_[low[1] : high[1], low[0] : high[0]]
    whole, surface = np.zeros((*size, 5)), np.full(size, NO_VERTEX)
    whole[box] = means
    surface[box] = np.where(means[..., 4] >= 0.5, first, NO_VERTEX)
    return _Layer(whole[..., :3], whole[..., 3], whole[..., 4], surface)


def _bounding_box(pixels: Floats, size: tuple[int, int]) -> tuple[Ints, Ints]:
    low = np.maximum(np.floor(pixels.min(0)).astype(int) - 1, 0)
    high = np.minimum(np.ceil(pixels.max(0)).astype(int) + 1, [size[1], size[0]])
    return low, high


def _shade(
    body: Body, seed: int, who: Identity, mesh: Mesh, camera: cameras.Camera, tracer: Tracer, light: Light,
    face: Ints, barycentric: Floats, directions: Floats,
) -> tuple[Floats, Ints]:  # fmt: skip
    """Radiance (N, 3) and material (N,) of hits."""
    corners = mesh.faces[face]

    def interpolate(values: Floats) -> Floats:
        return np.asarray(np.einsum("nk,nkc->nc", barycentric, values[corners]))

    fields, normals, points = interpolate(mesh.fields), interpolate(mesh.normals), interpolate(mesh.vertices)
    material = shading.materials(fields, mesh.material[face], who)
    normals[np.einsum("nc,nc->n", normals, directions) > 0] *= -1
    normals = shading.wrinkled(normals, fields[:, 6:9], material, seed, who)
    towards_eye = -directions / np.linalg.norm(directions, axis=1, keepdims=True)
    sunlit = tracer.sunlit(points + normals * 0.012, light.direction)
    reflectance = shading.albedo(body, who, fields, material)
    return shading.lit(reflectance, normals, towards_eye, sunlit, light), material


def _plate(
    seed: int, plan: Plan, camera: cameras.Camera, mesh: Mesh, size: tuple[int, int]
) -> tuple[Floats, Floats]:
    """The lit scene without the person, linear (H, W, 3), and its ground distance (H, W)."""
    floor = float(mesh.vertices[:, 2].min())
    if plan.fixed_scene_camera:
        camera = cameras.frame(stream(seed, Stream.VIEW, *plan.scene), np.array(STANDING), size)
        floor = STANDING[0][2]
    light = scene.random_light(stream(seed, Stream.LIGHT, *plan.scene_light), plan.light_theme)
    colours, ground = scene.background(stream(seed, Stream.SCENE, *plan.scene), plan.scene_theme, camera, floor, size)
    return colours**shading.GAMMA * light.level * light.colour, ground


STANDING = ((-0.3, -0.2, -0.95), (0.3, 0.2, 0.78))
"""Bounding box of somebody standing, metres: frames scenes that must not depend on the person."""


def _ground_shadow(tracer: Tracer, camera: cameras.Camera, light: Light, ground: Floats) -> Floats:
    """(H, W) share of light that the person keeps from the ground."""
    near = np.isfinite(ground)
    y, x = np.nonzero(near)
    points = camera.centre + ground[near][:, None] * camera.rays(x + 0.5, y + 0.5)
    close = np.linalg.norm((points - camera.target)[:, :2], axis=1) < SHADOW_REACH
    dark = np.zeros(len(points))
    dark[close] = ~tracer.sunlit(points[close] + [0, 0, 0.003], light.direction)
    shadow = np.zeros(ground.shape)
    shadow[near] = dark
    direct = light.sun * light.direction[2]
    share = 0.9 * direct / (0.8 * light.ambient + direct)
    return np.asarray(gaussian_filter(shadow, len(ground) / 288) * share)


def _occluder(rng: np.random.Generator, size: tuple[int, int]) -> Floats | None:
    """Something in front of the person in OCCLUDED_SHARE of the shots: (H, W, 4) reflectance and coverage."""
    if rng.random() >= OCCLUDED_SHARE:
        return None
    height, width = size
    h, w = rng.uniform(0.15, 0.45) * height, rng.uniform(0.15, 0.5) * width
    from_ground, pole = rng.random() < 0.6, rng.random() < 0.2
    left, top = rng.uniform(-0.1, 0.8) * width, rng.uniform(0.2, 0.6) * height
    if from_ground:
        top = height - h
    if pole:
        top, h, w = 0.0, float(height), rng.uniform(0.06, 0.14) * width
    y, x = np.mgrid[0:height, 0:width] + 0.5
    round_off = rng.choice([2.0, 6.0, 40.0])
    distance = np.abs((x - left - w / 2) / (w / 2)) ** round_off + np.abs((y - top - h / 2) / (h / 2)) ** round_off
    inside = (distance < 1) if not pole else np.abs(x - left - w / 2) < w / 2
    colours = rng.uniform(0.03, 0.6, 3) * (0.8 + 0.4 * scene.noise(rng, size, 4)[..., None])
    return np.concatenate([colours, inside[..., None]], -1)
