"""Shards as FDH publishes them, made by hand: nothing here uses anonbench's own writer."""

import tarfile
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

SIZE = (24, 16)
VERTICES = 27554
PERSON = np.zeros(SIZE, bool)
PERSON[6:20, 4:12] = True
SURFACE = np.zeros(SIZE, bool)
SURFACE[8:18, 5:11] = True


def png(pixels: NDArray[Any]) -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def npy(array: NDArray[Any]) -> bytes:
    buffer = BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def image_of(seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (*SIZE, 3), dtype=np.uint8)


def vertices_of(seed: int) -> NDArray[np.int64]:
    return np.random.default_rng(seed).integers(0, VERTICES, SIZE)


def members(seed: int = 0, **changes: bytes | None) -> dict[str, bytes]:
    """One sample by extension. changes: other contents, dots as underscores; None leaves a member out."""
    keypoints = np.full((17, 3), 0.5, np.float32)
    keypoints[:, 2] = 1
    content: dict[str, bytes | None] = {
        "image.png": png(image_of(seed)),
        "mask.png": png(np.where(PERSON, 0, 255).astype(np.uint8)),
        "maskrcnn_mask.png": png(np.where(PERSON, 255, 0).astype(np.uint8)),
        "vertices.npy": npy(vertices_of(seed)),
        "e_mask.png": png(np.where(SURFACE, 255, 0).astype(np.uint8)),
        "keypoints.npy": npy(keypoints),
    }
    content |= {
        name.replace("_png", ".png").replace("_npy", ".npy"): value for name, value in changes.items()
    }
    return {name: value for name, value in content.items() if value is not None}


def write_tar(path: Path, samples: Mapping[str, Mapping[str, bytes]]) -> Path:
    """A tar file with the members KEY.EXTENSION, sample after sample."""
    flat = [(f"{key}.{name}", data) for key, content in samples.items() for name, data in content.items()]
    return write_members(path, flat)


def write_members(path: Path, named: Sequence[tuple[str, bytes]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, data in named:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, BytesIO(data))
    return path


def write_embedding(root: Path) -> None:
    root.mkdir(parents=True, exist_ok=True)
    torch.save(
        torch.arange(VERTICES * 16, dtype=torch.float32).reshape(VERTICES, 16), root / "embed_map.torch"
    )


def fdh(root: Path, samples: Mapping[str, Mapping[str, bytes]], split: str = "train") -> Path:
    """A data set of one shard with these samples; returns its root."""
    write_embedding(root)
    write_tar(root / split / "out-000000.tar", samples)
    return root
