"""The cache folder and atomic writes."""

from pathlib import Path

import pytest

from anonbench.cache import cache_dir, write_atomic
from anonbench.errors import CacheError


def test_the_environment_names_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANONBENCH_CACHE", str(tmp_path / "a" / "b"))
    assert cache_dir() == tmp_path / "a" / "b"
    assert cache_dir().is_dir()


def test_a_cache_that_cannot_be_made_is_named_with_the_mend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ANONBENCH_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(CacheError, match=r"file/cache.*set ANONBENCH_CACHE"):
        cache_dir()


def test_a_written_file_has_its_content_and_leaves_nothing_else(tmp_path: Path) -> None:
    write_atomic(tmp_path / "new" / "x.txt", lambda p: p.write_text("hello") and None)
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["x.txt"]
    assert (tmp_path / "new" / "x.txt").read_text() == "hello"


def test_a_failed_write_keeps_the_old_file_and_no_temporary_one(tmp_path: Path) -> None:
    target = tmp_path / "x.txt"
    target.write_text("old")

    def fail(path: Path) -> None:
        path.write_text("half")
        raise ValueError("interrupted")

    with pytest.raises(ValueError, match="interrupted"):
        write_atomic(target, fail)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_full_disk_is_a_cache_error(tmp_path: Path) -> None:
    def full(path: Path) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(CacheError, match="No space left on device.*choose another, or make room"):
        write_atomic(tmp_path / "x.txt", full)
    with pytest.raises(CacheError, match="cache folder.*No space left on device.*set ANONBENCH_CACHE"):
        write_atomic(cache_dir() / "x.txt", full)
