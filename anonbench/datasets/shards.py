"""Crops written as shards in FDH's layout, which `FDHDataset` and DeepPrivacy2 read."""

import tarfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

from anonbench.cards import read_card
from anonbench.crops import UNKNOWN_ID, Outcome, PersonCrops
from anonbench.datasets.base import CropDataset, template_of
from anonbench.datasets.fdh import MANIFEST, Manifest
from anonbench.datasets.fdh_format import Sample, encode
from anonbench.errors import DataError, UsageError
from anonbench.progress import track

BATCH = 64


def write_shards(dataset: CropDataset, folder: Path, per_shard: int) -> int:
    """Write all crops to FOLDER/out-000000.tar and following; returns the number of shards.

    Every crop needs a surface; identities are not part of the layout, so nobody may occur twice. Equal data sets
    give equal bytes. A killed run leaves whole shards and is continued by the next one. Raises UsageError for
    crops that do not fit the layout, DataError where `folder` holds something else.
    """
    _require_fitting(dataset)
    manifest = Manifest(
        template=template_of(dataset).name,
        size=dataset.size,
        count=len(dataset),
        per_shard=per_shard,
        source=dataset.name,
        source_digest=dataset.digest,
    )
    _claim(folder, manifest)
    starts = range(0, len(dataset), per_shard)
    for number, start in enumerate(track(starts, f"writing {dataset.name}", len(starts))):
        shard = folder / f"out-{number:06d}.tar"
        if not shard.exists():
            _write_shard(shard, dataset, range(start, min(start + per_shard, len(dataset))))
    return len(starts)


def _require_fitting(dataset: CropDataset) -> None:
    people = dataset.samples["person_id"]
    if people[people != UNKNOWN_ID].duplicated().any():
        raise UsageError(
            f"{dataset.name} shows people several times, but shards hold no identities; write train or val"
        )
    dotted = [key for key in dataset.samples["key"] if "." in key]
    if dotted:
        raise UsageError(
            f"{dataset.name}: key '{dotted[0]}' holds a dot, where the key of a shard member ends"
        )


def _claim(folder: Path, manifest: Manifest) -> None:
    """Say in `folder` what it will hold, unless it says so already.

    The manifest comes before the shards: without its count a reader would take the first few for all of them.
    """
    path = folder / MANIFEST
    if path.exists():
        if read_card(path, Manifest) != manifest:
            raise DataError(f"{folder}: holds shards of other data or another size; choose an empty folder")
        return
    if folder.is_dir() and any(path.suffix != ".part" for path in folder.iterdir()):
        raise DataError(f"{folder}: is not empty and holds no {MANIFEST}; choose an empty folder")
    folder.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{MANIFEST}.part")
    part.write_text(manifest.model_dump_json(indent=1) + "\n")
    part.replace(path)


def _write_shard(shard: Path, dataset: CropDataset, rows: range) -> None:
    part = shard.with_name(f"{shard.name}.part")
    try:
        with tarfile.open(part, "w", format=tarfile.USTAR_FORMAT) as archive:
            for start in range(rows.start, rows.stop, BATCH):
                for key, sample in _samples(dataset.load(range(start, min(start + BATCH, rows.stop)))):
                    _add(archive, key, encode(sample))
        part.replace(shard)
    except OSError as error:
        raise DataError(
            f"{shard}: cannot be written ({error.strerror}); the same command goes on here once it can"
        ) from error


def _add(archive: tarfile.TarFile, key: str, members: Mapping[str, bytes]) -> None:
    for extension, content in members.items():
        member = tarfile.TarInfo(f"{key}.{extension}")  # without time, owner or group
        member.size = len(content)
        archive.addfile(member, BytesIO(content))


def _samples(crops: PersonCrops) -> list[tuple[str, Sample]]:
    """The crops one by one. Raises UsageError for one without a surface."""
    for key, outcome in zip(crops.key, crops.outcome.tolist(), strict=True):
        if outcome != Outcome.SURFACE:
            raise UsageError(f"crop '{key}' has no surface, but every crop of a shard has one")
    arrays = zip(crops.image, crops.person_mask[:, 0], crops.surface, crops.keypoints, strict=True)
    samples = [Sample(*(tensor.numpy() for tensor in of_one)) for of_one in arrays]
    return list(zip(crops.key, samples, strict=True))
