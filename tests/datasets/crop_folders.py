"""Tiny Market-1501-like folders for tests."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

NAMES = {
    "query": ["0001_c1s1_000001_00.jpg", "0002_c2s1_000005_00.jpg"],
    "bounding_box_test": [
        "-1_c1s1_000009_01.jpg",
        "0000_c3s2_000012_02.jpg",
        "0001_c2s1_000003_01.jpg",
        "0001_c3s1_000004_01.jpg",
        "0002_c6s1_000007_01.jpg",
    ],
}
MASKED = ("0001_c1s1_000001_00", "0001_c2s1_000003_01")
EMPTY_MASK = "0002_c2s1_000005_00"


def write_image(path: Path, seed: int = 0, size: tuple[int, int] = (128, 64)) -> None:
    """A noise image; size is (H, W)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def write_mask(path: Path, size: tuple[int, int] = (128, 64), filled: bool = True) -> None:
    """A mask that covers the middle of the image, or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = np.zeros(size, dtype=np.uint8)
    if filled:
        mask[size[0] // 4 : -size[0] // 4, size[1] // 4 : -size[1] // 4] = 255
    Image.fromarray(mask).save(path)


def write_market(root: Path, detections: bool = True) -> Path:
    """Two queries and five gallery images, of which one is junk and one a distractor."""
    names = [(folder, name) for folder, names in NAMES.items() for name in names]
    for seed, (folder, name) in enumerate(names):
        write_image(root / folder / name, seed)
    if detections:
        for stem in MASKED:
            write_mask(root / "masks" / f"{stem}.png")
        write_mask(root / "masks" / f"{EMPTY_MASK}.png", filled=False)
        keypoints = {f"{stem}.jpg": [[32.0, 4.0 + 7 * joint, 0.9] for joint in range(17)] for stem in MASKED}
        (root / "keypoints.json").write_text(json.dumps(keypoints))
    return root
