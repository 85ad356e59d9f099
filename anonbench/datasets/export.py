"""Crops written as files that `folder=PATH` reads back: images, masks and keypoints."""

from pathlib import Path

from PIL import Image

from anonbench.crops import PersonCrops
from anonbench.datasets.base import CropDataset
from anonbench.records import write_json

BATCH = 64


def export_crops(dataset: CropDataset, out: Path) -> int:
    """Write KEY.png, masks/KEY.png and keypoints.json below `out`; returns how many crops were written."""
    keypoints: dict[str, list[list[float]]] = {}
    for start in range(0, len(dataset), BATCH):
        crops = dataset.load(range(start, min(start + BATCH, len(dataset))))
        keypoints |= _write_batch(crops, out)
    write_json(keypoints, out / "keypoints.json")
    return len(dataset)


def _write_batch(crops: PersonCrops, out: Path) -> dict[str, list[list[float]]]:
    keypoints = {}
    for i, key in enumerate(crops.key):
        image, mask = out / f"{key}.png", out / "masks" / f"{key}.png"
        image.parent.mkdir(parents=True, exist_ok=True)
        mask.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(crops.image[i].permute(1, 2, 0).numpy()).save(image)
        Image.fromarray(crops.person_mask[i, 0].numpy()).convert("L").save(mask)
        keypoints[f"{key}.png"] = [[round(v, 3) for v in point] for point in crops.keypoints[i].tolist()]
    return keypoints
