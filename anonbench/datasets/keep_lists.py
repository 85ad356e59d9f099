"""Lists of the crops to train on: CSV files with the columns key and kept, and others for the reader."""

import csv
from functools import partial
from pathlib import Path

import pandas as pd

from anonbench.cache import write_atomic
from anonbench.errors import CacheError, DataError

VERDICTS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False, "": None}
"""What `kept` may say, in any case; empty: nobody has decided, and the crop is not trained on."""


def write_keep_list(table: pd.DataFrame, path: Path) -> None:
    """Write a table with the columns key and kept (true, false, or None: undecided) as CSV, atomically.

    Raises DataError where it cannot be written.
    """
    try:
        write_atomic(path, partial(table.to_csv, index=False, float_format="%.6f"))
    except CacheError as error:
        raise DataError(f"{path}: cannot write the list; is the disk full, the folder yours?") from error


def read_keep_list(path: Path) -> dict[str, dict[str, str]]:
    """The rows of a list by key. Raises DataError for another file, naming a key whose verdict cannot be read."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as text:  # spreadsheets write a byte order mark
            rows = {row["key"]: row for row in csv.DictReader(text)}
        unreadable = [key for key, row in rows.items() if row["kept"].strip().lower() not in VERDICTS]
    except (OSError, KeyError, UnicodeDecodeError, csv.Error, AttributeError) as error:
        raise DataError(f"{path}: not a list that `anonbench data filter` wrote ({error})") from error
    if unreadable:
        verdict = rows[unreadable[0]]["kept"]
        raise DataError(
            f"{path}: crop '{unreadable[0]}': kept is '{verdict}'; write true or false, or leave it empty"
        )
    return rows


def verdict(row: dict[str, str]) -> bool | None:
    """What a row of `read_keep_list` says of its crop; none: undecided."""
    return VERDICTS[row["kept"].strip().lower()]
