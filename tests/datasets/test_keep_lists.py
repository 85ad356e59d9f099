"""Lists of crops to train on survive the programs that people edit them with."""

from pathlib import Path

import pandas as pd
import pytest

from anonbench.datasets.keep_lists import read_keep_list, verdict, write_keep_list
from anonbench.errors import DataError


def verdicts(path: Path) -> dict[str, bool | None]:
    return {key: verdict(row) for key, row in read_keep_list(path).items()}


def test_verdicts_come_back_with_the_undecided(tmp_path: Path) -> None:
    table = pd.DataFrame({"key": ["a", "b", "c"], "kept": [True, False, None]})
    write_keep_list(table, tmp_path / "lists" / "kept.csv")
    assert verdicts(tmp_path / "lists" / "kept.csv") == {"a": True, "b": False, "c": None}


def test_what_spreadsheets_write_is_read(tmp_path: Path) -> None:
    path = tmp_path / "kept.csv"
    path.write_bytes(b"\xef\xbb\xbfkey,kept\r\na,TRUE\r\nb,FALSE\r\nc,1\r\nd, no \r\n")
    assert verdicts(path) == {"a": True, "b": False, "c": True, "d": False}


def test_a_verdict_that_cannot_be_read_is_named_instead_of_being_a_no(tmp_path: Path) -> None:
    path = tmp_path / "kept.csv"
    path.write_text("key,kept\na,true\nb,ja\n")
    with pytest.raises(DataError, match=r"kept\.csv: crop 'b': kept is 'ja'; write true or false"):
        read_keep_list(path)


@pytest.mark.parametrize("content", [b"name,value\na,1\n", b"\xff\xfe\x00", b"key,kept\na\n"])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "kept.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match="not a list that `anonbench data filter` wrote"):
        read_keep_list(path)


def test_a_list_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"kept\.csv: cannot write the list"):
        write_keep_list(pd.DataFrame({"key": ["a"], "kept": [True]}), tmp_path / "file" / "kept.csv")
