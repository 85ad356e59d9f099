"""FDH as published: layout, signs, units, and everything that can be wrong with it."""

import json
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from anonbench.crops import Outcome, resize
from anonbench.datasets.base import CropDataset, template_of
from anonbench.datasets.fdh import FDHDataset
from anonbench.datasets.fdh_format import keypoints_to_pixels, keypoints_to_unit
from anonbench.errors import CardError, DataError
from tests.datasets.fdh_shards import (
    PERSON,
    SIZE,
    SURFACE,
    VERTICES,
    fdh,
    image_of,
    members,
    npy,
    png,
    vertices_of,
    write_embedding,
    write_members,
    write_tar,
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Five samples in two shards for training, one for validation."""
    write_tar(tmp_path / "train" / "out-000000.tar", {f"{i:07d}": members(i) for i in range(3)})
    write_tar(tmp_path / "train" / "out-000001.tar", {f"{i:07d}": members(i) for i in range(3, 5)})
    write_tar(tmp_path / "val" / "out-000000.tar", {"0000009": members(9)})
    write_embedding(tmp_path)
    return tmp_path


def test_it_reads_the_published_layout(root: Path) -> None:
    data: CropDataset = FDHDataset(root, "train")
    crops = data.load([4, 0, 4])
    assert (data.name, data.size, len(data)) == ("fdh/train", SIZE, 5)
    assert crops.key == ("0000004", "0000000", "0000004")
    assert np.array_equal(crops.image[1].permute(1, 2, 0).numpy(), image_of(0))
    assert np.array_equal(crops.image[2].permute(1, 2, 0).numpy(), image_of(4))
    assert (crops.outcome == int(Outcome.SURFACE)).all()
    assert (crops.person_id == -1).all()
    assert (crops.camera_id == -1).all()


def test_its_mask_marks_what_is_kept_so_ours_is_the_opposite(root: Path) -> None:
    assert np.array_equal(FDHDataset(root).load([0]).person_mask[0, 0].numpy(), PERSON)


@pytest.mark.parametrize("kept", [PERSON, (~PERSON).astype(np.uint8)], ids=["1 bit", "0 and 1"])
def test_masks_of_one_bit_and_of_0_and_1_are_taken(tmp_path: Path, kept: np.ndarray) -> None:
    kept = ~kept if kept.dtype == bool else kept
    data = FDHDataset(fdh(tmp_path, {"a": members(mask_png=png(kept))}))
    assert np.array_equal(data.load([0]).person_mask[0, 0].numpy(), PERSON)


def test_vertices_count_where_the_surface_mask_says_so(root: Path) -> None:
    surface = FDHDataset(root).load([2]).surface[0].numpy()
    assert np.array_equal(surface[SURFACE], vertices_of(2)[SURFACE])
    assert (surface[~SURFACE] == -1).all()


@pytest.mark.parametrize("shape", [(1, *SIZE), (*SIZE, 1)])
def test_a_third_axis_of_the_vertices_is_dropped(tmp_path: Path, shape: tuple[int, ...]) -> None:
    stored = vertices_of(0).astype(np.int16).reshape(shape)
    surface = FDHDataset(fdh(tmp_path, {"a": members(vertices_npy=npy(stored))})).load([0]).surface[0].numpy()
    assert np.array_equal(surface[SURFACE], vertices_of(0)[SURFACE])


def test_the_surface_mask_is_found_under_the_name_of_its_writer_too(tmp_path: Path) -> None:
    content = members()
    content["E_mask.png"] = content.pop("e_mask.png")
    assert FDHDataset(fdh(tmp_path, {"a": content})).load([0]).surface_mask.sum() == SURFACE.sum()


def test_keypoints_become_pixels_and_those_outside_are_unknown(tmp_path: Path) -> None:
    stored = np.zeros((17, 3), np.float64)
    stored[:5] = [(0.5, 0.25, 1), (1.2, 0.5, 1), (0.5, -0.1, 1), (1.0, 1.0, 7.5), (0.5, 0.5, -3)]
    found = FDHDataset(fdh(tmp_path, {"a": members(keypoints_npy=npy(stored))})).load([0]).keypoints[0]
    assert found[0].tolist() == [8.0, 6.0, 1.0]
    assert found[:5, 2].tolist() == [1, 0, 0, 1, 0]


@given(
    positions=arrays(np.float32, (17, 2), elements=st.floats(0, 1, width=32)),
    visibility=arrays(np.float32, 17, elements=st.sampled_from([0.0, 0.5, 1.0])),
    size=st.tuples(st.integers(1, 4000), st.integers(1, 4000)),
)
def test_keypoints_inside_come_back_to_the_bit(
    positions: np.ndarray, visibility: np.ndarray, size: tuple[int, int]
) -> None:
    pixels = np.column_stack([positions * np.array(size[::-1], np.float32), visibility]).astype(np.float32)
    assert np.array_equal(keypoints_to_pixels(keypoints_to_unit(pixels, size), size), pixels)


def test_resized_crops_leave_nothing_of_the_person_outside_the_mask(root: Path) -> None:
    small, whole = FDHDataset(root, size=(10, 7)), FDHDataset(root).load([1])
    found, expected = small.load([1]), resize(whole, (10, 7))
    assert small.size == (10, 7)
    person = torch.where(whole.person_mask, 255, 0).expand(-1, 3, -1, -1).to(torch.uint8)
    coloured = resize(whole.with_image(person), (10, 7)).image[:, :1] > 0
    assert (found.person_mask | ~coloured).all()
    assert found.person_mask.sum() > expected.person_mask.sum()
    assert torch.equal(found.image, expected.image)
    assert torch.equal(found.surface, expected.surface)
    assert "were resized to 10x7" in small.notes[-1]


def test_its_surfaces_refer_to_the_vertices_of_smpl(root: Path) -> None:
    data = FDHDataset(root)
    template = template_of(data)
    assert template.name == data.load([0]).template == "smpl_27554"
    assert template.embedding.shape == (VERTICES, 16)
    assert template.mirror is None


def test_left_and_right_are_known_where_the_symmetry_map_lies_beside(root: Path) -> None:
    np.save(root / "symmetry_smpl_27554.npy", np.arange(VERTICES)[::-1].astype(np.int64))
    mirror = FDHDataset(root).template.mirror
    assert mirror is not None
    assert mirror[:2].tolist() == [VERTICES - 1, VERTICES - 2]


def test_count_takes_the_first_crops_and_says_so(root: Path) -> None:
    data = FDHDataset(root, count=4)
    assert list(data.samples["key"]) == [f"{i:07d}" for i in range(4)]
    assert data.notes == ("the first 4 of 5 crops",)
    with pytest.raises(IndexError, match="has 4 samples"):
        data.load([4])


def test_missing_shards_are_noted(root: Path) -> None:
    (root / "train" / "out-000000.tar").unlink()
    assert FDHDataset(root).notes == ("1 of 2 shards",)


def test_the_digest_names_the_content_and_not_the_place(root: Path, tmp_path: Path) -> None:
    digest = FDHDataset(root).digest
    moved = tmp_path / "elsewhere"
    write_embedding(moved)
    (root / "train").rename(moved / "train")
    assert FDHDataset(moved).digest == digest
    assert FDHDataset(moved, size=(12, 8)).digest != digest
    assert FDHDataset(moved, count=3).digest != digest


def test_it_works_in_worker_processes(root: Path) -> None:
    data = FDHDataset(root)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        crops = pool.submit(data.load, [3, 1]).result()
        assert torch.equal(crops.image, data.load([3, 1]).image)


SMALL = np.zeros((8, 8), np.uint8)
WRONG_MEMBERS = {
    "lacks": ({"e_mask_png": None, "keypoints_npy": None}, "lacks e_mask.png, keypoints.npy"),
    "broken image": ({"image_png": b"no image"}, r"a\.image\.png: not an image"),
    "grey image": ({"image_png": png(np.zeros(SIZE, np.uint8))}, r"a\.image\.png: a grey image"),
    "small mask": ({"mask_png": png(SMALL)}, r"a\.mask\.png: 8x8, but the image is 24x16"),
    "soft mask": ({"mask_png": png(np.full(SIZE, 7, np.uint8))}, r"a\.mask\.png: a mask is a grey PNG"),
    "colour mask": ({"e_mask_png": png(image_of(0))}, r"a\.e_mask\.png: a mask is a grey PNG"),
    "float ids": ({"vertices_npy": npy(np.zeros(SIZE))}, r"vertices\.npy: must be integers"),
    "small ids": (
        {"vertices_npy": npy(SMALL)},
        r"vertices\.npy: must be integers \(24, 16\), got uint8 \(8, 8\)",
    ),
    "large ids": ({"vertices_npy": npy(np.full(SIZE, VERTICES))}, "vertex ids 27554 to 27554, .* has 27554"),
    "negative ids": ({"vertices_npy": npy(np.full(SIZE, -1))}, "vertex ids -1 to -1"),
    "no array": ({"vertices_npy": b"\x93NUMPY"}, r"vertices\.npy: not a NumPy array"),
    "objects": ({"vertices_npy": npy(np.array([{}]))}, r"vertices\.npy: not a NumPy array"),
    "16 keypoints": ({"keypoints_npy": npy(np.zeros((16, 3)))}, r"keypoints\.npy: must be finite floats"),
    "nan": ({"keypoints_npy": npy(np.full((17, 3), np.nan))}, r"keypoints\.npy: must be finite floats"),
    "integers": ({"keypoints_npy": npy(np.zeros((17, 3), int))}, r"keypoints\.npy: must be finite floats"),
}


@pytest.mark.parametrize(("changes", "message"), WRONG_MEMBERS.values(), ids=WRONG_MEMBERS)
def test_a_wrong_member_is_named_with_shard_and_key(
    tmp_path: Path, changes: dict[str, bytes | None], message: str
) -> None:
    root = fdh(tmp_path, {"good": members(), "a": members(1, **changes)})
    with pytest.raises(DataError, match=message) as caught:
        FDHDataset(root).load([1])
    assert str(tmp_path / "train" / "out-000000.tar" / "a") in str(caught.value)


def test_crops_of_two_sizes_are_refused(tmp_path: Path) -> None:
    small = members(
        image_png=png(np.zeros((8, 8, 3), np.uint8)),
        mask_png=png(SMALL),
        e_mask_png=png(SMALL),
        vertices_npy=npy(SMALL),
    )
    data = FDHDataset(fdh(tmp_path, {"a": members(), "b": small}))
    with pytest.raises(DataError, match=r"out-000000\.tar/b: the crop is 8x8, the first one 24x16"):
        data.load([0, 1])
    with pytest.raises(DataError, match="b: the crop is 8x8"):
        data.verify()


def test_a_shard_that_shrinks_afterwards_is_named(root: Path) -> None:
    data = FDHDataset(root)
    shard = root / "train" / "out-000001.tar"
    shard.write_bytes(shard.read_bytes()[:2000])
    with pytest.raises(DataError, match=r"out-000001\.tar/0000004\.\S+: the file ends early"):
        data.load([4])
    shard.unlink()
    with pytest.raises(DataError, match=r"out-000001\.tar: cannot read the shard"):
        data.load([4])


def test_folders_without_shards_say_where_fdh_keeps_them(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="train: no such folder; FDH keeps them in train/ and val/"):
        FDHDataset(tmp_path)
    (tmp_path / "train").mkdir()
    with pytest.raises(DataError, match="train: holds no shards"):
        FDHDataset(tmp_path)
    write_members(tmp_path / "train" / "images.tar", [])
    with pytest.raises(DataError, match=r"images\.tar: shards are named out-000000\.tar"):
        FDHDataset(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file; FDH's surfaces need it"),
        (torch.zeros(5, 16), r"must be a float tensor \(27554, 16\), got torch.float32 \(5, 16\)"),
        ({"a": 1}, r"must be a float tensor \(27554, 16\), got dict"),
        (Path("x"), "not a tensor that can be loaded safely"),
    ],
)
def test_a_wrong_embedding_is_named(root: Path, content: object, message: str) -> None:
    (root / "embed_map.torch").unlink()
    if content is not None:
        torch.save(content, root / "embed_map.torch")
    with pytest.raises(DataError, match=rf"embed_map\.torch: {message}"):
        FDHDataset(root)


@pytest.mark.parametrize("wrong", [np.arange(5), np.full(VERTICES, VERTICES), np.zeros(VERTICES)])
def test_a_wrong_symmetry_map_is_named(root: Path, wrong: np.ndarray) -> None:
    np.save(root / "symmetry_smpl_27554.npy", wrong)
    with pytest.raises(DataError, match=r"symmetry_smpl_27554\.npy: must hold 27554 vertex ids"):
        FDHDataset(root)


def test_a_manifest_with_unknown_keys_or_templates_is_refused(root: Path) -> None:
    manifest = root / "train" / "dataset.json"
    content: dict[str, object] = {
        "template": "smplx", "size": SIZE, "count": 5, "per_shard": 3, "source": "x", "source_digest": "0" * 64,
    }  # fmt: skip
    manifest.write_text(json.dumps(content | {"people": 3}))
    with pytest.raises(CardError, match=r"dataset\.json.*people"):
        FDHDataset(root)
    manifest.write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"dataset\.json: unknown body template 'smplx'"):
        FDHDataset(root)
