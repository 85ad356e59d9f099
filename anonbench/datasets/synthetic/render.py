"""Render one sample: ray cast with Embree, shade, composite, photograph."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.ndimage import binary_dilation, gaussian_filter

from anonbench.crops import NO_VERTEX
from anonbench.datasets.synthetic import scene, shading
from anonbench.datasets.synthetic.body import Body, Bools, Bytes, Floats, Ints, Posed
from anonbench.datasets.synthetic.camera import Camera, Response, frame, response
from anonbench.datasets.synthetic.keypoints import coco_keypoints
from anonbench.datasets.synthetic.outfit import Material, Mesh, dress
from anonbench.datasets.synthetic.poses import Pose, nudged, random_pose
from anonbench.datasets.synthetic.scene import Light
from anonbench.datasets.synthetic.splits import Plan
from anonbench.datasets.synthetic.streams import Stream, stream
from anonbench.datasets.synthetic.themes import THEMES
from anonbench.datasets.synthetic.wardrobe import Identity, identity

SUPERSAMPLING = 2
COARSE_ROWS = 160
"""Images up to this height use the coarse topology."""
SHADOW_REACH = 3.0
"""Metres around the person within which the ground can be in their shadow."""
OCCLUDED_SHARE = 0.12
POSE_STEP = 0.08
"""Radians by which a step of the pose turns a joint: a hand moves by some centimetres, a pixel or two at 72x40."""
BACKGROUND_STEP = 0.15
"""How far a step of the background goes towards another place: ten grey levels or so, which survive rounding."""


@dataclass(frozen=True)
class Motion:
    """Backward optical flow. flow: float32 (H, W, 2), x and y in pixels from each pixel's centre to where its
    point was in the frame before; visible: bool (H, W), where that frame shows the point."""

    flow: Floats
    visible: Bools


@dataclass(frozen=True)
class Sample:
    """One rendered crop. image, plate: uint8 (H, W, 3), the crop and the same shot without person and
    occluder; person_mask: bool (H, W), every pixel with any colour of the person; surface: int32 (H, W);
    keypoints: float32 (17, 3). motion: where everything was one frame before, in clips."""

    image: Bytes
    plate: Bytes
    person_mask: Bools
    surface: Ints
    keypoints: Floats
    motion: Motion | None = None


def render(body: Body, seed: int, plans: Sequence[Plan], size: tuple[int, int]) -> list[Sample]:
    """The samples of these plans at `size` (H, W). Bytes do not depend on how plans are batched."""
    people = [identity(seed, p.person, p.dress_theme, p.correlation) for p in plans]
    poses = [random_pose(stream(seed, Stream.POSE, *p.pose), p.pose_kind) for p in plans]
    shapes = [who.phenotype for who in people]
    framed = body.pose([pose for _, pose in poses], shapes)
    taken = [_taken(seed, plan, pose) for plan, (_, pose) in zip(plans, poses, strict=True)]
    posed = framed if not any(plan.step == "pose" for plan in plans) else body.pose(taken, shapes)
    return [
        _render(body, seed, plan, who, kind, body_pose, size, frame_of)
        for plan, who, (kind, _), body_pose, frame_of in zip(plans, people, poses, posed, framed, strict=True)
    ]


def _taken(seed: int, plan: Plan, pose: Pose) -> Pose:
    """The pose that is photographed: the plan's own, or a step from it."""
    return nudged(stream(seed, Stream.STEP, *plan.pose), pose, POSE_STEP) if plan.step == "pose" else pose


@dataclass(frozen=True)
class Shot:
    """A posed and dressed person before a camera."""

    body: Body
    seed: int
    plan: Plan
    who: Identity
    posed: Posed
    mesh: Mesh
    camera: Camera
    tracer: "Tracer"
    light: Light
    size: tuple[int, int]


def _render(
    body: Body,
    seed: int,
    plan: Plan,
    who: Identity,
    pose_kind: str,
    posed: Posed,
    size: tuple[int, int],
    framed: Posed,
) -> Sample:
    """framed: the pose for which the camera was put up, the photographed one or a step before."""

    def dressed(body_pose: Posed) -> Mesh:
        return dress(body, who, body_pose, sitting=pose_kind == "sit", coarse=size[0] <= COARSE_ROWS)

    mesh = dressed(posed)
    before = dressed(framed) if plan.step == "pose" else mesh
    camera = frame(stream(seed, Stream.VIEW, *plan.view), before.vertices[before.person], size, plan.azimuth)
    light = scene.random_light(stream(seed, Stream.LIGHT, *plan.light), plan.light_theme)
    shot = Shot(body, seed, plan, who, posed, mesh, camera, Tracer(mesh, camera), light, size)
    return photograph(shot, response(seed, plan.camera, plan.shot, size))


def photograph(shot: Shot, develop: Response) -> Sample:
    """The sample that a shot gives: person, shadow and place composed and developed, with the ground truth."""
    plan, size = shot.plan, shot.size
    layer = _person(shot)
    plate, ground = _plate(shot)
    shadow = _ground_shadow(shot, ground) if plan.ground_shadow else np.zeros(size)
    image = plate * (1 - shadow)[..., None] * (1 - layer.coverage[..., None]) + layer.radiance
    cover = occluder(stream(shot.seed, Stream.OCCLUDER, *plan.shot), size) if plan.occluders else None
    hidden = np.zeros(size, bool)
    if cover is not None:
        reflectance, hidden = cover
        image = np.where(hidden[..., None], reflectance * shot.light.level, image)
    return Sample(
        image=develop(_display(image)),
        plate=develop(_display(plate)),
        person_mask=grown((layer.person > 0) & ~hidden),
        surface=np.where(hidden, NO_VERTEX, layer.surface).astype(np.int32),
        keypoints=coco_keypoints(shot.body, shot.posed, shot.camera, shot.tracer.first_hit, hidden),
    )


def grown(covered: Bools) -> Bools:
    """The mask dilated by one pixel per 144 rows (at least one): blur spreads the person's colour that far."""
    pixels = max(1, round(len(covered) / 144))
    return np.asarray(binary_dilation(covered, np.ones((3, 3), bool), iterations=pixels))


def _display(radiance: Floats) -> Floats:
    return np.asarray(np.clip(radiance, 0, None) ** (1 / shading.GAMMA))


@lru_cache(maxsize=1)
def _device() -> Any:
    from embreex.rtcore import EmbreeDevice

    return EmbreeDevice()


class Tracer:
    """A mesh ready for rays. Coordinates are moved to the camera's target: Embree works in float32."""

    def __init__(self, mesh: Mesh, camera: Camera) -> None:
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


def _person(shot: Shot) -> _Layer:
    """Cast SUPERSAMPLING^2 rays per pixel of the person's bounding box and average them."""
    low, high = _bounding_box(shot.camera.pixels(shot.mesh.vertices), shot.size)
    rows, columns = high[1] - low[1], high[0] - low[0]
    n = SUPERSAMPLING
    y, x = np.mgrid[low[1] * n : high[1] * n, low[0] * n : high[0] * n]
    directions = shot.camera.rays((x + 0.5) / n, (y + 0.5) / n).reshape(-1, 3)
    hits = shot.tracer.from_camera(directions)
    hit = np.flatnonzero(hits["primID"] >= 0)
    face = hits["primID"][hit]
    u, v = hits["u"][hit], hits["v"][hit]
    barycentric = np.stack([1 - u - v, u, v], -1)
    radiance, material = _shade(shot, face, barycentric, directions[hit])

    is_person = material != Material.SEAT
    rays = np.zeros((len(directions), 5))
    rays[hit, :3], rays[hit, 3], rays[hit, 4] = radiance, 1, is_person
    means = rays.reshape(rows, n, columns, n, 5).mean((1, 3))
    corner = shot.mesh.faces[face, barycentric.argmax(1)]
    vertex = np.full(len(directions), NO_VERTEX)
    vertex[hit] = np.where(is_person, shot.mesh.template_vertex[corner], NO_VERTEX)
    of_pixel = vertex.reshape(rows, n, columns, n).transpose(0, 2, 1, 3).reshape(rows, columns, n * n)
    first = np.take_along_axis(of_pixel, (of_pixel >= 0).argmax(-1)[..., None], -1)[..., 0]

    box = np.s_[low[1] : high[1], low[0] : high[0]]
    whole, surface = np.zeros((*shot.size, 5)), np.full(shot.size, NO_VERTEX)
    whole[box] = means
    surface[box] = np.where(means[..., 4] >= 0.5, first, NO_VERTEX)
    return _Layer(whole[..., :3], whole[..., 3], whole[..., 4], surface)


def _bounding_box(pixels: Floats, size: tuple[int, int]) -> tuple[Ints, Ints]:
    low = np.maximum(np.floor(pixels.min(0)).astype(int) - 1, 0)
    high = np.minimum(np.ceil(pixels.max(0)).astype(int) + 1, [size[1], size[0]])
    return low, high


def _shade(shot: Shot, face: Ints, barycentric: Floats, directions: Floats) -> tuple[Floats, Ints]:
    """Radiance (N, 3) and material (N,) of hits."""
    mesh, who, light = shot.mesh, shot.who, shot.light
    corners = mesh.faces[face]

    def interpolate(values: Floats) -> Floats:
        return np.asarray(np.einsum("nk,nkc->nc", barycentric, values[corners]))

    fields, normals, points = interpolate(mesh.fields), interpolate(mesh.normals), interpolate(mesh.vertices)
    material = shading.materials(fields, mesh.material[face], who)
    normals[np.einsum("nc,nc->n", normals, directions) > 0] *= -1
    normals = shading.wrinkled(normals, fields[:, 6:9], material, shot.seed, who)
    towards_eye = -directions / np.linalg.norm(directions, axis=1, keepdims=True)
    sunlit = shot.tracer.sunlit(points + normals * 0.012, light.direction)
    reflectance = shading.albedo(shot.body, who, fields, material)
    return shading.lit(reflectance, normals, towards_eye, sunlit, light), material


STANDING = np.array([[-0.3, -0.2, -0.95], [0.3, 0.2, 0.78]])
"""Bounding box of somebody standing, metres: frames places that must not depend on the person."""


def _plate(shot: Shot) -> tuple[Floats, Floats]:
    """The lit place without the person, linear (H, W, 3), and the distance to its ground (H, W)."""
    plan, seed, camera = shot.plan, shot.seed, shot.camera
    floor = float(shot.mesh.vertices[:, 2].min())
    if plan.fixed_scene_camera:
        camera = frame(stream(seed, Stream.VIEW, *plan.scene), STANDING, shot.size)
        floor = float(STANDING[0, 2])
    light = scene.random_light(stream(seed, Stream.LIGHT, *plan.scene_light), plan.light_theme)
    rng = stream(seed, Stream.SCENE, *plan.scene)
    colours, ground = scene.background(rng, plan.scene_theme, camera, floor, shot.size)
    if plan.step == "background":
        elsewhere = (plan.scene_theme + 1) % len(THEMES)
        rng = stream(seed, Stream.STEP, *plan.scene)
        other, _ = scene.background(rng, elsewhere, camera, floor, shot.size)
        colours += BACKGROUND_STEP * (other - colours)
    return colours**shading.GAMMA * light.level * light.colour, ground


def _ground_shadow(shot: Shot, ground: Floats) -> Floats:
    """(H, W) share of light that the person keeps from the ground, given its distance along each ray."""
    camera, light = shot.camera, shot.light
    near = np.isfinite(ground)
    y, x = np.nonzero(near)
    points = camera.centre + ground[near][:, None] * camera.rays(x + 0.5, y + 0.5)
    close = np.linalg.norm((points - camera.target)[:, :2], axis=1) < SHADOW_REACH
    dark = np.zeros(len(points))
    dark[close] = ~shot.tracer.sunlit(points[close] + [0, 0, 0.003], light.direction)
    shadow = np.zeros(ground.shape)
    shadow[near] = dark
    direct = light.sun * light.direction[2]
    share = 0.9 * direct / (0.8 * light.ambient + direct)
    return np.asarray(gaussian_filter(shadow, len(ground) / 288) * share)


def occluder(rng: np.random.Generator, size: tuple[int, int]) -> tuple[Floats, Bools] | None:
    """Something in front of the person in OCCLUDED_SHARE of the shots: reflectance (H, W, 3), where (H, W)."""
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
    across, down = np.abs((x - left - w / 2) / (w / 2)), np.abs((y - top - h / 2) / (h / 2))
    inside = across < 1 if pole else across**round_off + down**round_off < 1
    colours = rng.uniform(0.03, 0.6, 3) * (0.8 + 0.4 * scene.noise(rng, size, 4)[..., None])
    return colours, inside
