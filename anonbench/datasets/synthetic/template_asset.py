"""Build `anonbench/assets/template.safetensors`: python -m anonbench.datasets.synthetic.template_asset"""

from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from safetensors.torch import save_file
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import eigsh
from scipy.spatial import cKDTree
from torch import Tensor

from anonbench.cache import write_atomic
from anonbench.datasets.synthetic.body import Body, Floats, Ints, body
from anonbench.template import ASSET, EMBEDDING_SIZE, PARTS, VERTICES


def build(source: Body) -> dict[str, Tensor]:
    """The template's tensors, as `anonbench.template` documents them, from the body at rest."""
    rest = source.rest[:VERTICES].astype(np.float64)
    faces = source.faces[source.faces.max(1) < VERTICES]
    return {
        "position": torch.from_numpy(rest.astype(np.float32)),
        "embedding": torch.from_numpy(_embedding(rest, faces).astype(np.float16)),
        "mirror": torch.from_numpy(_mirror(rest).astype(np.int16)),
        "part": torch.from_numpy(_parts(source).astype(np.uint8)),
    }


def _embedding(rest: Floats, faces: Ints) -> Floats:
    """(VERTICES, 16) Laplace-Beltrami eigenvectors 1..16 of the largest connected piece of the surface.

    Cotangent stiffness and lumped mass (Pinkall and Polthier 1993; Levy 2006); the eigenvectors are scaled to unit
    variance over vertices, their signs fixed. Vertices of small separate
    pieces, such as the mouth's inside, take the value of the nearest vertex of the large one.
    """
    stiffness, mass = _laplacian(rest, faces)
    _, piece = connected_components(stiffness, directed=False)
    largest = np.flatnonzero(piece == np.bincount(piece).argmax())
    start = np.random.default_rng(0).normal(size=len(largest))
    _, vectors = eigsh(
        stiffness[largest][:, largest], EMBEDDING_SIZE + 1, sp.diags(mass[largest]), sigma=-1e-3, v0=start
    )
    vectors = vectors[:, 1:] / vectors[:, 1:].std(0)
    # Extremes of left-right antisymmetric vectors tie, so the sign is fixed by a random projection.
    vectors *= np.sign(np.random.default_rng(1).normal(size=len(largest)) @ vectors)
    nearest = cKDTree(rest[largest]).query(rest)[1]
    return np.asarray(vectors[nearest])


def _laplacian(rest: Floats, faces: Ints) -> tuple[Any, Floats]:
    """Cotangent stiffness (V, V) and lumped mass (V,) of a triangle mesh."""
    rows, columns, weights = [], [], []
    mass = np.zeros(len(rest))
    for k in range(3):
        i, j, opposite = (faces[:, (k + step) % 3] for step in (0, 1, 2))
        a, b = rest[i] - rest[opposite], rest[j] - rest[opposite]
        double_area = np.linalg.norm(np.cross(a, b), axis=1)
        rows.append(i)
        columns.append(j)
        weights.append(0.5 * (a * b).sum(1) / np.maximum(double_area, 1e-12))
        np.add.at(mass, i, double_area / 6)
    edges = (np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns)))
    adjacency = sp.coo_matrix(edges, (len(rest), len(rest))).tocsr()
    adjacency = adjacency + adjacency.T
    degree = np.asarray(adjacency.sum(1)).ravel()
    return (sp.diags(degree) - adjacency).tocsr(), np.maximum(mass, 1e-12)


def _mirror(rest: Floats) -> Ints:
    """(VERTICES,) the vertex nearest to each one's mirror image; kept where both agree, else itself."""
    nearest = np.asarray(cKDTree(rest).query(rest * [-1, 1, 1])[1])
    own = np.arange(len(rest))
    return np.where(nearest[nearest] == own, nearest, own)


def _parts(source: Body) -> Ints:
    """(VERTICES,) index into PARTS: the bone group of largest weight, the trunk by the side of its axis."""
    groups = {
        "upper_arm": ("upperarm",), "lower_arm": ("lowerarm",), "hand": ("wrist", "finger", "metacarpal"),
        "upper_leg": ("upperleg",), "lower_leg": ("lowerleg",), "foot": ("foot", "toe"),
    }  # fmt: skip
    limbs = np.stack([source.weight(*bones)[:VERTICES] for bones in groups.values()])
    head = source.weight("head", "eye", "neck02", "neck03")[:VERTICES]
    x, y, _ = source.rest[:VERTICES].T
    middle = source.rest_joints[source.bone["spine03"], 1]
    part = np.where(y < middle, PARTS.index("torso_front"), PARTS.index("torso_back"))
    part[head > 0.5] = PARTS.index("head")
    for name, weight in zip(groups, limbs, strict=True):
        strongest = (weight == limbs.max(0)) & (limbs.sum(0) > 0.5)
        part[strongest & (x > 0)] = PARTS.index(f"left_{name}")
        part[strongest & (x <= 0)] = PARTS.index(f"right_{name}")
    return part


def main() -> None:
    """Write the packaged file."""
    tensors = build(body())
    write_atomic(ASSET, lambda path: save_file(tensors, path))
    print(f"{ASSET.name}: {ASSET.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
