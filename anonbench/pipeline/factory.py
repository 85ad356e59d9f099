"""The data set factory: from images to shards in FDH's layout (thesis section 4.3.2, Figure 4.2)."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from anonbench.cache import write_text
from anonbench.datasets.fdh import SPLITS
from anonbench.datasets.shards import write_shards
from anonbench.detection.detectors import NamedDetector
from anonbench.errors import DataError, UsageError
from anonbench.pipeline.detected_crops import REASONS, CropRules, DetectedCrops, Found, find_people
from anonbench.pipeline.sources import ImageSource


@dataclass(frozen=True)
class Built:
    """What one split was built from.

    crops: people written, in so many shards. people_per_image: number of images by how many people were
    found in them. dropped: people by reason (`REASONS`). unreadable: files of the whole source that were left out.
    """

    split: str
    source: str
    detector: str
    detector_digest: str
    rules: CropRules
    crops: int
    shards: int
    images: int
    people: int
    people_per_image: Mapping[int, int]
    dropped: Mapping[str, int]
    unreadable: tuple[str, ...]


def build_shards(
    source: ImageSource,
    detector: NamedDetector,
    rules: CropRules,
    out: Path,
    split: str = "train",
    per_shard: int = 1000,
    workers: int = 1,
) -> list[Built]:
    """Find people, cut out those that `rules` keep, and write OUT/train/, OUT/val/ or both.

    split: "train", "val", or a share between 0 and 1 as text: the images that go to val, all others go to train.
    workers: processes that detect, each with its own copy of the detector.
    What was found is written to `build_report_path`. A killed run is continued by the next one. Raises
    UsageError for another split, DataError where nobody is left to write or `out` holds something else.
    """
    share = _share(split)
    detector.require()
    found = find_people(source, detector, rules, workers)
    parts = {split: found} if share is None else parted(found, share, source.successive)
    _require_people(source, parts)
    return [_write(source, detector, rules, part, out, name, per_shard) for name, part in parts.items()]


def parted(found: Found, share: float, successive: bool) -> dict[str, Found]:
    """The images in two splits, train and val, with about `share` of them in val.

    Everybody in an image is in one split. Photos are drawn by a hash of their names, so that more photos change
    no photo's split; of a video the end goes to val, since frames in succession are nearly the same.
    """
    names: pd.Series[str] = found.images["name"]
    if successive:
        held_out = pd.Series(np.arange(len(names)) >= round(len(names) * (1 - share)))
    else:
        held_out = names.map(lambda name: _uniform(str(name)) < share)
    return {"train": found.part(~held_out), "val": found.part(held_out)}


def build_report_path(root: Path, split: str) -> Path:
    """Where `build_shards` says what it found."""
    return root / f"build-{split}.json"


def _share(split: str) -> float | None:
    if split in SPLITS:
        return None
    try:
        share = float(split)
    except ValueError:
        share = 0.0
    if not 0 < share < 1:
        raise UsageError(f"--split {split}: train, val, or the share of images that go to val, such as 0.1")
    return share


def _uniform(name: str) -> float:
    """A number in [0, 1) that depends on the name alone."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") / 2**32


def _require_people(source: ImageSource, parts: Mapping[str, Found]) -> None:
    """Before the first shard is written."""
    for split, part in parts.items():
        if part.kept.empty:
            reasons = ", ".join(f"{count} {reason}" for reason, count in _dropped(part).items())
            raise DataError(
                f"{source.name}: nobody to write to {split}; {len(part.images)} images, {len(part.people)} people"
                + (f", dropped: {reasons}" if reasons else "")
            )


def _write(
    source: ImageSource,
    detector: NamedDetector,
    rules: CropRules,
    found: Found,
    out: Path,
    split: str,
    per_shard: int,
) -> Built:
    dataset = DetectedCrops(f"{source.name}/{split}", source, detector, found)
    shards = write_shards(dataset, out / split, per_shard)
    per_image = Counter(found.people["image"])
    built = Built(
        split=split,
        source=source.name,
        detector=detector.name,
        detector_digest=detector.digest,
        rules=rules,
        crops=len(dataset),
        shards=shards,
        images=len(found.images),
        people=len(found.people),
        people_per_image=dict(sorted(Counter(per_image[name] for name in found.images["name"]).items())),
        dropped=_dropped(found),
        unreadable=tuple(source.unreadable),
    )
    write_text(build_report_path(out, split), json.dumps(asdict(built), indent=1) + "\n")
    return built


def _dropped(found: Found) -> dict[str, int]:
    """People by the reason why they are dropped, those that occur."""
    counts = Counter(found.people["reason"])
    return {reason: counts[reason] for reason in REASONS if counts[reason]}
