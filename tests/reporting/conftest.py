from pathlib import Path

import numpy as np
import pytest

from anonbench.records import write_record
from anonbench.reporting.galleries import write_strip
from tests.reporting.fabricated import data_run, fid, record, reid


@pytest.fixture
def records_folder(tmp_path: Path) -> Path:
    """Made-up records of three models, two of them with a strip of noise."""
    folder = tmp_path / "records"
    noise = np.random.default_rng(0)
    for model, kind, value in (
        ("original", "original", 80.0),
        ("baseline", "generator", 5.0),
        ("final", "generator", 30.0),
    ):
        strips = {}
        if kind == "generator":
            strips = {"reid.original": f"{model}.reid.original.png", "reid": f"{model}.reid.png"}
            for name in strips.values():
                write_strip(noise.integers(0, 256, (3, 3, 8, 4), dtype=np.uint8), folder / name)
        for metrics, galleries in ((reid(value), strips), (fid(100 - value), {})):
            made = record(model, metrics, kind=kind, galleries=galleries, data=data_run())
            write_record(made, folder / f"{made.slug}.json")
    return folder
