"""Shards written by anonbench: what FDHDataset and WebDataset read back, and what a killed run leaves."""

import errno
import tarfile
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import webdataset
from PIL import Image

from anonbench.crops import Outcome, PersonCrops
from anonbench.datasets.fdh import FDHDataset
from anonbench.datasets.shards import write_shards
from anonbench.errors import DataError, UsageError

SIZE = (24, 16)


class Toy:
    """Random crops of one person each, the last keypoint outside."""

    notes: tuple[str, ...] = ()
    name = "toy"
    size = SIZE

    def __init__(self, count: int = 10, people: int = 10) -> None:
        self.digest = f"{count:064d}"
        self.loaded: list[int] = []
        generator = torch.Generator().manual_seed(0)
        mask = torch.rand(count, 1, *SIZE, generator=generator) > 0.5
        surface = torch.randint(-1, 13380, (count, *SIZE), generator=generator, dtype=torch.int32)
        keypoints = torch.rand(count, 17, 3, generator=generator) * torch.tensor([16.0, 24.0, 1.0])
        keypoints[:, -1] = torch.tensor([17.5, -3.25, 0.0])
        self.crops = PersonCrops(
            image=torch.randint(0, 256, (count, 3, *SIZE), generator=generator, dtype=torch.uint8),
            person_mask=mask,
            surface=surface,
            keypoints=keypoints,
            person_id=torch.arange(count) % people,
            camera_id=torch.full((count,), -1),
            outcome=torch.full((count,), int(Outcome.SURFACE)),
            key=tuple(f"toy/{i:03d}" for i in range(count)),
        )
        self.samples = pd.DataFrame(
            {"key": self.crops.key, "person_id": self.crops.person_id, "camera_id": -1, "role": ""}
        )

    def __len__(self) -> int:
        return len(self.crops)

    def load(self, indices: Sequence[int]) -> PersonCrops:
        self.loaded += indices
        return self.crops.select(list(indices))


def test_fdh_reads_back_what_was_written_to_the_bit(tmp_path: Path) -> None:
    toy = Toy()
    assert write_shards(toy, tmp_path / "train", per_shard=4) == 3
    data = FDHDataset(tmp_path)
    found = data.load(range(10))
    for name in ("image", "person_mask", "surface", "keypoints", "outcome"):
        assert torch.equal(getattr(found, name), getattr(toy.crops, name)), name
    assert found.key == toy.crops.key
    assert found.template == toy.crops.template
    assert data.notes == ("shards of toy",)


def test_webdataset_reads_them_as_it_reads_fdh(tmp_path: Path) -> None:
    toy = Toy()
    write_shards(toy, tmp_path / "train", per_shard=4)
    urls = str(tmp_path / "train" / "out-{000000..000002}.tar")
    samples = list(webdataset.WebDataset(urls, shardshuffle=False))
    assert [sample["__key__"] for sample in samples] == list(toy.crops.key)
    for i, sample in enumerate(samples):
        pixels = {
            name: np.array(Image.open(BytesIO(sample[f"{name}.png"]))) for name in ("image", "mask", "e_mask")
        }
        kept, valid = pixels["mask"] > 0, pixels["e_mask"] > 0
        assert np.array_equal(pixels["image"], toy.crops.image[i].permute(1, 2, 0))
        assert np.array_equal(kept, ~toy.crops.person_mask[i, 0].numpy())
        assert np.array_equal(np.array(Image.open(BytesIO(sample["maskrcnn_mask.png"]))) > 0, ~kept)
        assert np.array_equal(np.load(BytesIO(sample["vertices.npy"]))[valid], toy.crops.surface[i][valid])
        keypoints = np.load(BytesIO(sample["keypoints.npy"]))
        assert ((keypoints[:-1] >= 0) & (keypoints[:-1] <= 1)).all()


def test_equal_data_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_shards(Toy(), tmp_path / name, per_shard=4)
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert files == ["dataset.json", "out-000000.tar", "out-000001.tar", "out-000002.tar"]
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_a_killed_run_goes_on_after_its_last_whole_shard(tmp_path: Path) -> None:
    folder = tmp_path / "train"
    write_shards(Toy(), tmp_path / "whole", per_shard=4)

    class Killed(Toy):
        def load(self, indices: Sequence[int]) -> PersonCrops:
            if 8 in indices:
                raise KeyboardInterrupt
            return super().load(indices)

    with pytest.raises(KeyboardInterrupt):
        write_shards(Killed(), folder, per_shard=4)
    with pytest.raises(
        DataError, match="train: 8 of 10 crops; write the rest with the command that began it"
    ):
        FDHDataset(tmp_path)
    resumed = Toy()
    write_shards(resumed, folder, per_shard=4)
    assert resumed.loaded == [8, 9]
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        p.name for p in (tmp_path / "whole").iterdir()
    )
    for path in folder.iterdir():
        assert path.read_bytes() == (tmp_path / "whole" / path.name).read_bytes()


def test_shards_of_other_data_are_never_mixed_in(tmp_path: Path) -> None:
    write_shards(Toy(), tmp_path / "a", per_shard=4)
    for other, per_shard in ((Toy(9), 4), (Toy(), 5)):
        with pytest.raises(DataError, match="holds shards of other data or another size"):
            write_shards(other, tmp_path / "a", per_shard)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "out-000000.tar").write_bytes(b"FDH's own")
    with pytest.raises(DataError, match=r"is not empty and holds no dataset\.json"):
        write_shards(Toy(), tmp_path / "b", per_shard=4)
    assert (tmp_path / "b" / "out-000000.tar").read_bytes() == b"FDH's own"


def test_data_that_do_not_fit_the_layout_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="toy shows people several times"):
        write_shards(Toy(people=5), tmp_path / "a", per_shard=4)
    dotted = Toy()
    dotted.samples["key"] = "a.jpg"
    with pytest.raises(UsageError, match=r"key 'a\.jpg' holds a dot"):
        write_shards(dotted, tmp_path / "b", per_shard=4)
    assert not list(tmp_path.iterdir())
    blurred = Toy()
    blurred.crops = replace(blurred.crops, outcome=torch.full((10,), int(Outcome.MASK_ONLY)))
    with pytest.raises(UsageError, match="crop 'toy/000' has no surface"):
        write_shards(blurred, tmp_path / "c", per_shard=4)


def test_a_full_disk_is_named_with_the_way_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tarfile.TarFile, "addfile", full)
    with pytest.raises(DataError, match=r"out-000000\.tar: cannot be written \(No space left.*goes on"):
        write_shards(Toy(), tmp_path / "train", per_shard=4)
    assert not (tmp_path / "train" / "out-000000.tar").exists()
