"""The parametric body: Anny on the MakeHuman base mesh (CC0), posed in float64 and rounded.

Anny (Bregier et al., "Human Mesh Modeling for Anny Body", 2025) keeps MakeHuman's helper geometry, which
gives skirts and long hair with skinning weights. Coordinates are metres: x towards the person's left,
y to the back, z up; the rest pose is MakeHuman's A-pose, facing -y.
"""

import gzip
import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from anonbench.cache import cache_dir
from anonbench.datasets.synthetic.poses import Pose
from anonbench.template import VERTICES

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]
Bools = NDArray[np.bool_]
Bytes = NDArray[np.uint8]

EYES = (14598, 14742)
MOUTH = (14992, 15128)
SKIRT = (18002, 18722)
HAIR = (18722, 19150)
PHENOTYPE = ("gender", "age", "muscle", "weight", "height", "proportions")

# float32 vertices change with the batch size; float64 rounded to 0.01 mm does not.
DECIMALS = 5


@dataclass(frozen=True)
class Posed:
    """One posed body. vertices (V, 3) float32 and joints (bones, 3) float64 in metres; head (4, 4) moves
    what is fixed to the head from its rest place, spine (4, 4) what is fixed to the chest; scalp and chest
    (2, 3) are their bounding boxes at rest."""

    vertices: Floats
    joints: Floats
    head: Floats
    spine: Floats
    scalp: Floats
    chest: Floats


class Body:
    """Anny with the topology, rest fields and neighbourhoods that clothes and shading need."""

    def __init__(self) -> None:
        self._model = _create_model()
        self.bones: list[str] = list(self._model.bone_labels)
        self.bone = {name: i for i, name in enumerate(self.bones)}
        faces = self._model.faces.numpy().astype(np.int32)
        inside_body = faces.max(1) < VERTICES
        eyeballs = (faces.min(1) >= EYES[0]) & (faces.max(1) < EYES[1])
        self.faces: Ints = faces[inside_body | eyeballs]
        self.skirt_faces, self.hair_faces = _helper_faces()
        pose = torch.eye(4, dtype=torch.float64).expand(1, self._model.bone_count, 4, 4)
        with torch.no_grad():
            rest = self._model(pose_parameters=pose, phenotype_kwargs={"age": 0.6})
        self.rest: Floats = np.round(rest["vertices"][0].numpy(), DECIMALS).astype(np.float32)
        self.rest_joints: Floats = np.round(rest["bone_poses"][0, :, :3, 3].numpy(), DECIMALS)
        self._weights = np.zeros((len(self.rest), len(self.bones)), np.float32)
        rows = np.arange(len(self.rest))[:, None]
        np.add.at(
            self._weights,
            (rows, self._model.vertex_bone_indices.numpy()),
            self._model.vertex_bone_weights.numpy(),
        )
        self._rest_fields()

    def weight(self, *prefixes: str) -> Floats:
        """(V,) summed skinning weight of the bones whose names start with one of `prefixes`."""
        columns = [i for i, name in enumerate(self.bones) if name.startswith(prefixes)]
        return np.asarray(self._weights[:, columns].sum(1))

    def _rest_fields(self) -> None:
        """Continuous per-vertex fields at rest: garment borders are thresholds on them."""
        x, y, z = self.rest.T
        self.arm = self.weight("upperarm", "lowerarm", "wrist", "finger", "metacarpal")
        self.leg = self.weight("upperleg", "lowerleg", "foot", "toe")
        self.foot = self.weight("foot", "toe")
        self.head = self.weight("head", "eye")
        self.along_arm = self._along_limb("upperarm01", "lowerarm01", "wrist")
        self.along_leg = self._along_limb("upperleg01", "lowerleg01", "foot")
        # Height over a hairline that falls from the forehead to the nape and spares the ears.
        over = z - (0.772 - 0.70 * (y + 0.13)) - 0.35 * ((np.abs(x) > 0.068) & (z < 0.70))
        self.scalp = np.where(self.head > 0.3, over, -1.0)
        eyes = self.rest[slice(*EYES)]
        self.eye_front, self.eye_height = float(eyes[:, 1].min()), float(eyes[:, 2].mean())
        self.mouth_height = float(self.rest[slice(*MOUTH), 2].mean())
        self.floor = float(self.rest[:VERTICES, 2].min())
        self.nose, self.ears = _face_landmarks(self.rest, self.head, self.eye_height, self.mouth_height)
        fields = (self.arm, self.along_arm, self.leg, self.along_leg, self.foot, self.scalp, x, y, z)
        self.fields: Floats = np.stack(fields, 1).astype(np.float32)

    def _along_limb(self, *bones: str) -> Floats:
        """Position along a two-bone limb: 0 at its root, 1 at the middle joint, 2 at its end."""
        best, along = np.full(len(self.rest), np.inf), np.zeros(len(self.rest))
        for suffix, side in ((".L", 1), (".R", -1)):
            joints = [self.rest_joints[self.bone[name + suffix]] for name in bones]
            for k, (start, end) in enumerate(pairwise(joints)):
                axis = end - start
                t = ((self.rest - start) @ axis) / (axis @ axis)
                distance = np.linalg.norm(self.rest - (start + np.clip(t, 0, 1)[:, None] * axis), axis=1)
                distance += 10 * (np.sign(self.rest[:, 0]) * side < 0)
                closer = distance < best
                best[closer] = distance[closer]
                along[closer] = (k + (np.clip(t, 0, 1) if k == 0 else np.maximum(t, 0)))[closer]
        return along

    @cached_property
    def neighbours(self) -> Any:
        """(VERTICES, VERTICES) row-stochastic mean over mesh neighbours, float32."""
        faces = self.faces[self.faces.max(1) < VERTICES]
        edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
        ones = np.ones(len(edges), np.float32)
        graph: Any = sp.coo_matrix((ones, (edges[:, 0], edges[:, 1])), (VERTICES, VERTICES)).tocsr()
        graph = (graph + graph.T).astype(bool).astype(np.float32)
        degree = np.maximum(np.asarray(graph.sum(1)).ravel(), 1)
        return (sp.diags(1 / degree) @ graph).tocsr().astype(np.float32)

    @cached_property
    def template_vertex(self) -> Ints:
        """(V,) template vertex of every mesh vertex: body vertices are their own, helpers take the nearest."""
        vertex = np.arange(len(self.rest))
        normals = vertex_normals(self.rest, np.concatenate([self.faces, self.skirt_faces]))
        # Skirts hang between the legs: the normal decides between the front of one and the inside of the other.
        oriented = np.concatenate([self.rest, 0.15 * normals], 1)
        trunk = np.flatnonzero((self.arm[:VERTICES] < 0.3) & (self.head[:VERTICES] < 0.3))
        vertex[slice(*SKIRT)] = trunk[cKDTree(oriented[trunk]).query(oriented[slice(*SKIRT)])[1]]
        vertex[slice(*EYES)] = cKDTree(self.rest[:VERTICES]).query(self.rest[slice(*EYES)])[1]
        no_arm = np.flatnonzero(self.arm[:VERTICES] < 0.3)
        vertex[slice(*HAIR)] = no_arm[cKDTree(self.rest[no_arm]).query(self.rest[slice(*HAIR)])[1]]
        return vertex

    @cached_property
    def coarse_faces(self) -> Ints:
        """`faces` with head, hands and feet clustered to about a third: for images up to 160 rows.

        Vertices merge into an existing vertex of the same bone and grid cell, so ids keep their meaning.
        Two thirds of MakeHuman's triangles lie in those parts, and each costs mesh upload and BVH time.
        """
        x = self.rest
        cell = np.full(len(x), 1e-4)
        hand = (self.arm > 0.5) & (self.along_arm > 1.95)
        cell[self.head > 0.5], cell[hand], cell[self.foot > 0.5] = 0.014, 0.012, 0.018
        grid = np.floor(x / cell[:, None]).astype(np.int64)
        owner = self._weights.argmax(1)
        group = np.searchsorted([VERTICES, *EYES], np.arange(len(x)), side="right")
        keys = np.concatenate([grid, owner[:, None], group[:, None]], 1)
        _, cluster = np.unique(keys, axis=0, return_inverse=True)
        size = np.bincount(cluster)
        centre = np.stack([np.bincount(cluster, x[:, k]) / size for k in range(3)], 1)
        order = np.lexsort((np.linalg.norm(x - centre[cluster], axis=1), cluster))
        first = np.r_[True, np.diff(cluster[order]) > 0]
        merged = order[first][cluster][self.faces]
        proper = (
            (merged[:, 0] != merged[:, 1]) & (merged[:, 1] != merged[:, 2]) & (merged[:, 0] != merged[:, 2])
        )
        return np.asarray(merged[proper].astype(np.int32))

    def pose(self, rotations: Sequence[Pose], phenotypes: Sequence[dict[str, float]]) -> list[Posed]:
        """Pose B bodies. rotations: per body, rotation vector (3,) by bone name, about world axes at rest.

        The same bytes for any batch size and thread count (`DECIMALS`).
        """
        transforms = np.tile(np.eye(4), (len(rotations), len(self.bones), 1, 1))
        for matrices, named in zip(transforms, rotations, strict=True):
            for name, vector in named.items():
                matrices[self.bone[name], :3, :3] = Rotation.from_rotvec(vector).as_matrix()
        kwargs = {k: torch.tensor([p[k] for p in phenotypes], dtype=torch.float64) for k in PHENOTYPE}
        with torch.no_grad():
            out = self._model(pose_parameters=torch.from_numpy(transforms), phenotype_kwargs=kwargs)
            moved = {
                name: out["bone_poses"][:, self.bone[name]]
                @ torch.linalg.inv(out["rest_bone_poses"][:, self.bone[name]])
                for name in ("head", "spine02")
            }
        vertices = _rounded(out["vertices"]).astype(np.float32)
        joints = _rounded(out["bone_poses"][:, :, :3, 3])
        rest = _rounded(out["rest_vertices"])
        heads, spines = _rounded(moved["head"]), _rounded(moved["spine02"])
        scalp = np.flatnonzero(self.scalp[:VERTICES] > 0)
        chest = self._chest
        return [
            Posed(
                vertices[k], joints[k], heads[k], spines[k], _bounds(rest[k, scalp]), _bounds(rest[k, chest])
            )
            for k in range(len(rotations))
        ]

    @cached_property
    def _chest(self) -> Ints:
        """Body vertices of the chest."""
        z = self.rest[:VERTICES, 2]
        trunk = (self.arm[:VERTICES] < 0.3) & (self.head[:VERTICES] < 0.3)
        return np.asarray(np.flatnonzero(trunk & (z > 0.15) & (z < 0.52)))


def _rounded(tensor: torch.Tensor) -> Floats:
    return np.round(tensor.numpy(), DECIMALS)


def _bounds(points: Floats) -> Floats:
    return np.stack([points.min(0), points.max(0)])


def vertex_normals(vertices: Floats, faces: Ints) -> Floats:
    """(V, 3) area-weighted unit normals; zero for vertices without a face."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    face_normals = np.cross(b - a, c - a)
    normals = np.empty_like(vertices)
    for k in range(3):
        normals[:, k] = np.bincount(faces.ravel(), np.repeat(face_normals[:, k], 3), len(vertices))
    return np.asarray(normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12))


@lru_cache(maxsize=1)
def body() -> Body:
    """The body of this process; building it takes about a second, fifteen the first time on a machine."""
    return Body()


def _face_landmarks(
    rest: Floats, head: Floats, eye_height: float, mouth_height: float
) -> tuple[int, tuple[int, int]]:
    """Vertices of the tip of the nose and of the (left, right) ears of a body at rest, facing -y."""
    x, y, z = rest[:VERTICES].T
    middle = (head[:VERTICES] > 0.3) & (np.abs(x) < 0.01) & (z < eye_height) & (z > mouth_height)
    nose = int(np.flatnonzero(middle)[y[middle].argmin()])
    level = (head[:VERTICES] > 0.3) & (np.abs(z - eye_height) < 0.03)
    candidates = np.flatnonzero(level)
    return nose, (int(candidates[x[level].argmax()]), int(candidates[x[level].argmin()]))


def _create_model() -> Any:
    # anny reads its cache folder from the environment when it is first imported.
    os.environ.setdefault("ANNY_CACHE_DIR", str(cache_dir() / "anny"))
    import warp

    warp.config.log_level = warp.LOG_ERROR  # it greets on stdout, which belongs to the caller
    import anny
    import anny.models.full_model as full_model
    from anny.models.model_data import TopologyConfig

    full_model.load_blend_shape = _load_blend_shape
    # "makehuman" is the CC0 topology; anny's SMPL topologies would download a non-commercial file.
    topology = TopologyConfig("makehuman", nudity_edits=True, remove_unattached_vertices=False)
    return anny.Anny(topology=topology).to(torch.float64).eval()


def _load_blend_shape(
    filename: str, vertices_count: int, world_transformation: Any, dtype: torch.dtype
) -> Any:
    """anny's loader of one gzipped target, parsed by NumPy: the first start takes 15 s instead of 43 s."""
    with gzip.open(filename, "rb") as archive:
        table = np.array(archive.read().split(), dtype=np.float64).reshape(-1, 4)
    offsets = np.zeros((vertices_count, 3))
    offsets[table[:, 0].astype(int)] = table[:, 1:]
    return world_transformation.apply(torch.from_numpy(offsets).to(dtype))


def _helper_faces() -> tuple[Ints, Ints]:
    """Triangles of MakeHuman's skirt and hair helpers, which anny poses but does not list as faces."""
    from anny.paths import get_anny_root_dir

    triangles: dict[str, list[list[int]]] = defaultdict(list)
    group = ""
    with open(get_anny_root_dir() / "data/mpfb2/3dobjs/base.obj") as lines:
        for line in lines:
            if line.startswith("g "):
                group = line.split()[1]
            elif line.startswith("f ") and group in ("helper-skirt", "helper-hair"):
                corners = [int(word.split("/")[0]) - 1 for word in line.split()[1:]]
                triangles[group] += [[corners[0], *corners[k : k + 2]] for k in range(1, len(corners) - 1)]
    return np.array(triangles["helper-skirt"], np.int32), np.array(triangles["helper-hair"], np.int32)
