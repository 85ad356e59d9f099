"""Random access to tar shards: what the index finds, keeps and refuses."""

import os
import tarfile
from pathlib import Path

import pytest

from anonbench.datasets import shard_index
from anonbench.datasets.shard_index import index_shards
from anonbench.errors import DataError
from tests.datasets.fdh_shards import write_members, write_tar

EXTENSIONS = ("a.txt", "b.txt")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ANONBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def sample(text: str) -> dict[str, bytes]:
    return {"a.txt": text.encode(), "other.bin": b"x" * 700, "B.txt": text.encode() * 300}


def test_any_sample_is_read_without_the_others(tmp_path: Path) -> None:
    shards = [
        write_tar(tmp_path / "0.tar", {"one": sample("1"), "sub/two": sample("2")}),
        write_tar(tmp_path / "1.tar", {"three": sample("3")}),
    ]
    index = index_shards(shards, EXTENSIONS)
    assert list(index.keys) == ["one", "sub/two", "three"]
    assert index.read(2) == {"a.txt": b"3", "b.txt": b"3" * 300}
    assert index.read(1) == {"a.txt": b"2", "b.txt": b"2" * 300}
    assert index.place(1) == tmp_path / "0.tar" / "sub" / "two"


def test_members_of_a_sample_need_not_be_neighbours(tmp_path: Path) -> None:
    named = [("x.a.txt", b"1"), ("y.a.txt", b"2"), ("y.b.txt", b"3"), ("x.b.txt", b"4")]
    index = index_shards([write_members(tmp_path / "0.tar", named)], EXTENSIONS)
    assert [index.read(row)["b.txt"] for row in range(2)] == [b"4", b"3"]


def test_headers_are_read_once_until_the_shard_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []
    original = shard_index._read_headers
    monkeypatch.setattr(shard_index, "_read_headers", lambda s, e: read.append(s) or original(s, e))
    shard = write_tar(tmp_path / "0.tar", {"one": sample("1")})
    first, again = index_shards([shard], EXTENSIONS), index_shards([shard], EXTENSIONS)
    assert len(read) == 1
    assert first.digest == again.digest
    write_tar(shard, {"one": sample("1"), "two": sample("2")})
    os.utime(shard, ns=(1, 1))
    assert len(index_shards([shard], EXTENSIONS)) == 2
    assert len(read) == 2


@pytest.mark.parametrize("length", [100, 700, 2048, 3000])
def test_a_truncated_tar_is_named(tmp_path: Path, length: int) -> None:
    shard = write_tar(tmp_path / "0.tar", {"one": sample("1"), "two": sample("2")})
    shard.write_bytes(shard.read_bytes()[:length])
    with pytest.raises(DataError, match=r"0\.tar"):
        index_shards([shard], EXTENSIONS)


def test_a_tar_that_ends_between_two_samples_is_truncated_too(tmp_path: Path) -> None:
    shard = write_tar(tmp_path / "0.tar", {"one": sample("1")})
    with tarfile.open(shard) as archive:
        last = archive.getmembers()[-1]
    shard.write_bytes(shard.read_bytes()[: last.offset_data + 512])
    with pytest.raises(DataError, match=r"0\.tar: ends early"):
        index_shards([shard], EXTENSIONS)


def test_files_that_are_no_tars_are_named(tmp_path: Path) -> None:
    shard = tmp_path / "0.tar"
    for content in (b"", b"no tar file" * 100):
        shard.write_bytes(content)
        with pytest.raises(DataError, match=r"0\.tar: damaged or no tar file"):
            index_shards([shard], EXTENSIONS)
    write_members(shard, [])
    with pytest.raises(DataError, match=r"0\.tar: holds no samples"):
        index_shards([shard], EXTENSIONS)
    with pytest.raises(DataError, match=r"1\.tar: cannot read the shard"):
        index_shards([tmp_path / "1.tar"], EXTENSIONS)


@pytest.mark.parametrize("name", ["../one.a.txt", "/one.a.txt", "sub/../../one.a.txt", "sub\\one.a.txt"])
def test_names_that_point_outside_are_refused(tmp_path: Path, name: str) -> None:
    shard = write_members(tmp_path / "0.tar", [(name, b"1"), (name.replace(".a.", ".b."), b"1")])
    with pytest.raises(DataError, match="points outside the data set"):
        index_shards([shard], EXTENSIONS)


@pytest.mark.parametrize("name", ["README", ".hidden.a.txt", "key."])
def test_names_that_are_no_members_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"is no file called KEY\.EXTENSION"):
        index_shards([write_members(tmp_path / "0.tar", [(name, b"1")])], EXTENSIONS)


def test_links_are_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "0.tar", "w") as archive:
        link = tarfile.TarInfo("one.a.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "two.a.txt"
        archive.addfile(link)
    with pytest.raises(DataError, match="is no file called"):
        index_shards([tmp_path / "0.tar"], EXTENSIONS)


def test_folders_in_a_tar_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in EXTENSIONS:
        (tmp_path / "sub" / f"one.{name}").write_bytes(b"1")
    with tarfile.open(tmp_path / "0.tar", "w") as archive:
        archive.add(tmp_path / "sub", "sub")
    assert list(index_shards([tmp_path / "0.tar"], EXTENSIONS).keys) == ["sub/one"]


def test_an_incomplete_sample_is_named(tmp_path: Path) -> None:
    shard = write_tar(tmp_path / "0.tar", {"one": sample("1"), "two": {"a.txt": b"1"}})
    with pytest.raises(DataError, match=r"0\.tar/two: lacks b\.txt"):
        index_shards([shard], EXTENSIONS)


def test_a_key_that_occurs_twice_is_named(tmp_path: Path) -> None:
    shards = [write_tar(tmp_path / f"{i}.tar", {"one": sample("1")}) for i in range(2)]
    with pytest.raises(DataError, match=r"1\.tar/one: the key occurs twice"):
        index_shards(shards, EXTENSIONS)
    twice = write_members(tmp_path / "2.tar", [("one.a.txt", b"1")] * 2)
    with pytest.raises(DataError, match=r"2\.tar/one\.a\.txt: the member occurs twice"):
        index_shards([twice], EXTENSIONS)
