"""The geometry of a dressed person: clothes grown from the body, hair, bag, and the seat of a sitting one."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from anonbench.crops import NO_VERTEX
from anonbench.datasets.synthetic.body import EYES, SKIRT, Body, Bools, Floats, Ints, Posed, vertex_normals
from anonbench.datasets.synthetic.wardrobe import HAIR_VOLUME, Identity
from anonbench.template import VERTICES


class Material(IntEnum):
    """What a surface point is made of. BY_FIELDS: decided per pixel from the body's rest fields."""

    BY_FIELDS = 0
    SKIN = 1
    TOP = 2
    BOTTOM = 3
    SHOE = 4
    HAIR = 5
    HEADWEAR = 6
    EYE = 7
    SKIRT = 8
    BAG = 9
    SEAT = 10


@dataclass(frozen=True)
class Mesh:
    """vertices (V, 3) and normals float32, faces (T, 3) int32, material (T,) of each face, fields (V, 9) at
    rest (`Body.fields`), template_vertex (V,), -1 for what is not the person."""

    vertices: Floats
    normals: Floats
    faces: Ints
    material: Ints
    fields: Floats
    template_vertex: Ints

    @property
    def person(self) -> Bools:
        """(V,) vertices in use that belong to the person."""
        used = np.zeros(len(self.vertices), bool)
        used[self.faces[self.material != Material.SEAT].ravel()] = True
        return used


def garment(fields: Floats, who: Identity) -> Ints:
    """(N,) materials of body points from their rest fields (N, 9): borders are thresholds, hence sharp."""
    arm, along_arm, leg, along_leg, foot, scalp, x, y, z = fields.T
    material = np.full(len(fields), int(Material.SKIN))
    is_arm = arm > 0.5
    below = ~is_arm & (z < 0.1)
    material[below & ((along_leg < who.bottom.leg) | ((who.bottom.leg > 0) & (z > -0.06)))] = Material.BOTTOM
    material[~is_arm & (leg > 0.3) & ((foot > 0.5) | (along_leg > who.accessories.shoe_top))] = Material.SHOE
    off_neck = np.sqrt(x * x + (y + 0.02) ** 2 + (z - 0.60) ** 2) > who.top.collar
    hem = -0.1 if who.bottom.kind == "dress" else who.top.hem
    material[~is_arm & (z > hem) & (z < 0.60) & off_neck & (scalp < -0.9)] = Material.TOP
    material[is_arm & (along_arm < who.top.sleeve)] = Material.TOP
    if who.hair.style != "bald":
        material[scalp > 0] = Material.HAIR
    if who.accessories.headwear != "none":
        # Knitted caps reach over the ears and the forehead, peaked caps sit higher.
        material[scalp > (0.012 if who.accessories.headwear == "beanie" else 0.025)] = Material.HEADWEAR
    return material


def dress(body: Body, who: Identity, posed: Posed, sitting: bool, coarse: bool) -> Mesh:
    """The mesh of a dressed person; `coarse` takes the reduced topology for small images."""
    vertices = _clothe(body, who, posed.vertices)
    faces = body.coarse_faces if coarse else body.faces
    eyeball = faces[:, 0] >= EYES[0]
    parts = [(faces[~eyeball], Material.BY_FIELDS), (faces[eyeball], Material.EYE)]
    if who.bottom.skirted:
        skirt = body.skirt_faces
        drape = slice(*SKIRT)
        vertices[drape] += vertex_normals(vertices, skirt)[drape] * np.float32(0.02)
        parts.append((skirt[body.rest[skirt, 2].max(1) > who.bottom.skirt_hem], Material.SKIRT))
    if who.hair.style in ("bob", "long"):
        parts.append((_strands(body, who), Material.HAIR))
    return _assemble(body, vertices, parts, _attachments(body, who, posed, vertices, sitting))


def _clothe(body: Body, who: Identity, posed: Floats) -> Floats:
    """Posed vertices with cloth smoothed and pushed 1-3 cm outwards."""
    vertices = posed.copy()
    material = garment(body.fields[:VERTICES], who)
    cloth = (material == Material.TOP) | (material == Material.BOTTOM)
    smooth = np.minimum(body.neighbours @ cloth.astype(np.float32), cloth)[:, None] * np.float32(0.8)
    skin = vertices[:VERTICES]
    for _ in range(5):
        skin += smooth * (body.neighbours @ skin - skin)
    offset = _thickness(body, who, material)
    offset = (0.5 * (offset + body.neighbours @ offset)).astype(np.float32)
    skin += offset[:, None] * vertex_normals(vertices, body.faces)[:VERTICES]
    return vertices


def _thickness(body: Body, who: Identity, material: Ints) -> Floats:
    """(VERTICES,) metres between skin and the outside of what covers it."""
    arm, along_arm = body.arm[:VERTICES], body.along_arm[:VERTICES]
    along_leg, z = body.along_leg[:VERTICES], body.rest[:VERTICES, 2]
    weight = {"tshirt": 1.0, "long": 1.1, "jacket": 2.2}[who.top.kind] * who.top.looseness
    sleeve = (0.010 + 0.006 * along_arm) * (1.4 if who.top.kind == "tshirt" else 1.2)
    trunk = 0.010 + 0.012 * np.clip((0.3 - z) / 0.4, 0, 1)
    legs = (0.008 + 0.009 * np.clip(along_leg - 0.3, 0, 1.6)) * (1.2 if who.bottom.kind == "shorts" else 1)
    hair = HAIR_VOLUME.get(who.hair.style, 0.01) * (0.35 + 0.65 * np.clip(body.scalp[:VERTICES] / 0.05, 0, 1))
    by_material = {
        Material.TOP: np.where(arm > 0.5, sleeve, trunk) * weight,
        Material.BOTTOM: legs * who.top.looseness,
        Material.SHOE: np.full(VERTICES, 0.010),
        Material.HAIR: hair,
        Material.HEADWEAR: np.full(VERTICES, 0.016),
    }
    offset = np.zeros(VERTICES)
    for kind, thickness in by_material.items():
        np.copyto(offset, thickness, where=material == kind)
    return offset


def _strands(body: Body, who: Identity) -> Ints:
    """Faces of the long-hair helper, cut at the neck or the back, without strands over the face."""
    corners = body.rest[body.hair_faces]
    long_enough = corners[..., 2].max(1) > (0.60 if who.hair.style == "bob" else 0.36)
    over_face = (corners[..., 1].min(1) < -0.075) & (corners[..., 2].min(1) < 0.765)
    return np.asarray(body.hair_faces[long_enough & ~over_face])


EVERY = 4
"""Solids look for the nearest among every fourth body vertex: exact enough, and faster."""

Attachment = tuple[Floats, Ints, Material]


def _attachments(
    body: Body, who: Identity, posed: Posed, vertices: Floats, sitting: bool
) -> list[Attachment]:
    """Separate solids: bun, pony tail, cap peak, bag, seat."""
    low, high = posed.scalp
    centre, extent = (low + high) / 2, high - low

    def on_head(back: float, up: float, radii: Floats, material: Material) -> Attachment:
        points, faces = _ellipsoid(centre + np.array([0, back, up]) * extent, radii)
        return _moved(points, posed.head), faces, material

    parts: list[Attachment] = []
    if who.hair.style == "bun" and who.accessories.headwear == "none":
        parts.append(on_head(0.42, 0.42, np.full(3, 0.052), Material.HAIR))
    if who.hair.style == "pony":
        for k in range(6):
            radii = np.full(3, 0.04 - 0.003 * k)
            parts.append(on_head(0.52 + 0.02 * k - 0.012 * k * k, 0.15 - 0.22 * k, radii, Material.HAIR))
    if who.accessories.headwear == "cap":
        parts.append(on_head(-0.52, 0.06, np.array([0.065, 0.075, 0.008]), Material.HEADWEAR))
    if who.accessories.bag:
        low, high = posed.chest
        middle = np.array([0, high[1] + 0.045, (low[2] + high[2]) / 2 + 0.03])
        points, faces = _ellipsoid(middle, np.array([0.15, 0.10, 0.21]), roundness=0.5)
        parts.append((_moved(points, posed.spine), faces, Material.BAG))
    if sitting:
        hips = posed.joints[body.bone["root"]]
        floor = vertices[:VERTICES, 2].min()
        low = np.array([hips[0] - 0.25, hips[1] - 0.22, floor])
        high = hips + np.array([0.25, 0.25, -0.13])
        parts.append((*_box(low, high), Material.SEAT))
    return parts


def _assemble(
    body: Body, vertices: Floats, parts: list[tuple[Ints, Material]], attachments: list[Attachment]
) -> Mesh:
    """One mesh over the vertices in use. Attached solids take the template vertex of the nearest body point."""
    faces = [f for f, _ in parts]
    material = [np.full(len(f), int(m)) for f, m in parts]
    points, template = [vertices], [body.template_vertex]
    count = len(vertices)
    nearest = cKDTree(vertices[:VERTICES:EVERY]) if attachments else None
    for solid, triangles, kind in attachments:
        faces.append(triangles + count)
        material.append(np.full(len(triangles), int(kind)))
        points.append(solid.astype(np.float32))
        count += len(solid)
        template.append(_carrier(nearest, solid) if kind != Material.SEAT else np.full(len(solid), NO_VERTEX))
    everything, all_faces = np.concatenate(points), np.concatenate(faces)
    used = np.zeros(count, bool)
    used[all_faces.ravel()] = True
    position = np.cumsum(used) - 1
    fields = np.zeros((count, body.fields.shape[1]), np.float32)
    fields[: len(vertices)] = body.fields
    compact = position[all_faces].astype(np.int32)
    return Mesh(
        vertices=everything[used],
        normals=vertex_normals(everything[used], compact),
        faces=compact,
        material=np.concatenate(material),
        fields=fields[used],
        template_vertex=np.concatenate(template)[used],
    )


def _carrier(nearest: Any, solid: Floats) -> Ints:
    """Template vertices of the body points that carry a solid."""
    return np.asarray(EVERY * nearest.query(solid)[1])


def _moved(points: Floats, transform: Floats) -> Floats:
    return np.asarray(points @ transform[:3, :3].T + transform[:3, 3])


def _ellipsoid(centre: Floats, radii: Floats, rings: int = 8, roundness: float = 1.0) -> tuple[Floats, Ints]:
    """A superellipsoid: `roundness` 1 is an ellipsoid, towards 0 a box."""
    around = np.linspace(0, 2 * np.pi, rings + 1)[:-1]
    u, v = np.meshgrid(around, np.linspace(0, np.pi, rings), indexing="xy")

    def power(values: Floats) -> Floats:
        return np.asarray(np.sign(values) * np.abs(values) ** roundness)

    unit = np.stack(
        [power(np.cos(u)) * power(np.sin(v)), power(np.sin(u)) * power(np.sin(v)), power(np.cos(v))], -1
    )
    i, j = np.meshgrid(np.arange(rings), np.arange(rings - 1))
    here, right = j * rings + i, j * rings + (i + 1) % rings
    faces = np.concatenate(
        [
            np.stack([here, here + rings, right], -1).reshape(-1, 3),
            np.stack([right, here + rings, right + rings], -1).reshape(-1, 3),
        ]
    )
    return unit.reshape(-1, 3) * radii + centre, faces


def _box(low: Floats, high: Floats) -> tuple[Floats, Ints]:
    corners = np.array(
        [[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])]
    )
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = [[q[0], *q[k : k + 2]] for q in quads for k in (1, 2)]
    return corners, np.array(faces)
