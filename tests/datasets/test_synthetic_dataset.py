"""SyntheticDataset: cache, workers, errors."""

from pathlib import Path

import numpy as np
import pytest
import torch

from anonbench.crops import Outcome
from anonbench.datasets.base import CropDataset
from anonbench.datasets.synthetic.body import body
from anonbench.datasets.synthetic.chunks import CHUNK
from anonbench.datasets.synthetic.dataset import SyntheticDataset
from anonbench.datasets.synthetic.render import render
from anonbench.datasets.synthetic.splits import SPLITS
from anonbench.errors import CacheError, UsageError

SIZE = (16, 8)
COUNT = CHUNK + 6


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with two chunks of `val`, written by two workers."""
    folder = tmp_path_factory.mktemp("cache")
    SyntheticDataset("val", SIZE, COUNT, cache=folder, workers=2).prepare(progress=False)
    return folder


def test_it_is_a_crop_dataset(rendered: Path) -> None:
    data: CropDataset = SyntheticDataset("val", SIZE, COUNT, cache=rendered)
    assert len(data) == len(data.samples) == COUNT
    assert data.name == "synthetic/val"
    assert {"key", "person_id", "camera_id", "role"} <= set(data.samples.columns)


def test_workers_write_what_a_direct_render_gives(rendered: Path) -> None:
    index = COUNT - 1
    crops = SyntheticDataset("val", SIZE, COUNT, cache=rendered).load([index])
    split = SPLITS["val"]
    (sample,) = render(body(), 0, [split.plan(split, 0, index)], SIZE)
    assert np.array_equal(crops.image[0].permute(1, 2, 0).numpy(), sample.image)
    assert np.array_equal(crops.person_mask[0, 0].numpy(), sample.person_mask)
    assert np.array_equal(crops.surface[0].numpy(), sample.surface)
    assert np.array_equal(crops.keypoints[0].numpy(), sample.keypoints)


def test_one_worker_writes_the_same_bytes_as_two(rendered: Path, tmp_path: Path) -> None:
    SyntheticDataset("val", SIZE, 1, cache=tmp_path, workers=1).prepare(progress=False)
    (file,) = tmp_path.rglob("*.safetensors")
    assert file.read_bytes() == (rendered / file.relative_to(tmp_path)).read_bytes()


def test_load_keeps_the_asked_order_and_repeats(rendered: Path) -> None:
    data = SyntheticDataset("val", SIZE, COUNT, cache=rendered)
    order = [COUNT - 1, 3, 0, 3]
    crops, every = data.load(order), data.load(range(COUNT))
    assert crops.key == tuple(data.samples["key"].iloc[order])
    assert torch.equal(crops.image, every.image[order])
    assert torch.equal(crops.person_id, torch.tensor(data.samples["person_id"].to_numpy())[order])
    assert (crops.outcome == int(Outcome.SURFACE)).all()


def test_plates_show_the_same_shot_without_the_person(rendered: Path) -> None:
    data = SyntheticDataset("val", SIZE, COUNT, cache=rendered)
    plates, crops = data.plates([0, 1]), data.load([0, 1])
    assert plates.shape == crops.image.shape
    assert plates.dtype == torch.uint8
    assert not torch.equal(plates, crops.image)


def test_another_count_reuses_rendered_chunks(rendered: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in rendered.rglob("*.safetensors")}
    larger = SyntheticDataset("val", SIZE, 2 * CHUNK, cache=rendered)
    larger.prepare(progress=False)
    assert {p: p.stat().st_mtime_ns for p in rendered.rglob("*.safetensors")} == before


def test_the_digest_names_content_and_renders_nothing(tmp_path: Path) -> None:
    digests = {
        SyntheticDataset(split, size, count, seed, cache=tmp_path).digest
        for split, size, count, seed in (
            ("val", SIZE, 8, 0),
            ("reid", SIZE, 8, 0),
            ("val", (24, 16), 8, 0),
            ("val", SIZE, 9, 0),
            ("val", SIZE, 8, 1),
        )
    }
    assert len(digests) == 5
    assert SyntheticDataset("val", SIZE, 8, cache=tmp_path).digest in digests
    assert not list(tmp_path.iterdir())


def test_factorial_splits_name_their_factors(tmp_path: Path) -> None:
    samples = SyntheticDataset("background_swap", SIZE, 2, cache=tmp_path).samples
    assert samples[["identity", "pose", "background"]].drop_duplicates().shape == (2 * 4 * 6, 3)


def test_a_damaged_file_is_named(rendered: Path, tmp_path: Path) -> None:
    source = next(rendered.rglob("00000.safetensors"))
    copy = tmp_path / source.relative_to(rendered)
    copy.parent.mkdir(parents=True)
    copy.write_bytes(source.read_bytes()[:1000])
    with pytest.raises(CacheError, match=r"00000\.safetensors: delete it"):
        SyntheticDataset("val", SIZE, COUNT, cache=tmp_path).load([0])


def test_an_unwritable_cache_is_named_with_the_mend(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.raises(CacheError, match=r"file.*choose another"):
        SyntheticDataset("val", SIZE, 2, cache=blocked).load([0])


def test_positions_outside_the_set_are_refused(tmp_path: Path) -> None:
    data = SyntheticDataset("val", SIZE, 5, cache=tmp_path)
    with pytest.raises(IndexError, match="has 5 samples"):
        data.load([5])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("test", SIZE, 5), "no split 'test': choose one of train, val"),
        (("val", (70, 40), 5), "multiples of 8"),
        (("val", (0, 0), 5), "multiples of 8"),
        (("val", SIZE, 0), "count of at least 1"),
    ],
)
def test_impossible_sets_are_usage_errors(arguments: tuple[str, tuple[int, int], int], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        SyntheticDataset(*arguments)


def test_a_chosen_correlation_is_another_set_with_its_own_files(tmp_path: Path) -> None:
    own = SyntheticDataset("train", SIZE, COUNT, cache=tmp_path)
    assert SyntheticDataset("train", SIZE, COUNT, cache=tmp_path, correlation=0.7).digest == own.digest
    free = SyntheticDataset("train", SIZE, COUNT, cache=tmp_path, correlation=0.0)
    assert free.digest != own.digest
    assert free._file(0) != own._file(0)


@pytest.mark.parametrize(("split", "correlation"), [("reid", 0.5), ("train", 1.5), ("val", -0.1)])
def test_an_impossible_correlation_is_refused(split: str, correlation: float, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="correlation"):
        SyntheticDataset(split, SIZE, COUNT, cache=tmp_path, correlation=correlation)
