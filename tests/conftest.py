"""Every test run has a cache of its own for results, and shares what is rendered with the user's.

Results are stored under the key of what made them, which does not include the code under test.
"""

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

# How long an example takes says more about what else the machine does than about the code.
settings.register_profile("anonbench", deadline=None)
settings.load_profile("anonbench")

# One thread per process: several processes with a pool each would wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--record", action="store_true", help="write the deviations of the parity tests to results/"
    )


def pytest_configure(config: pytest.Config) -> None:
    from anonbench.cache import cache_dir

    rendered, fresh = cache_dir(), Path(tempfile.mkdtemp(prefix="anonbench-tests-"))
    for name in ("anny", "synthetic"):
        (rendered / name).mkdir(exist_ok=True)
        (fresh / name).symlink_to(rendered / name, target_is_directory=True)
    os.environ["ANONBENCH_CACHE"] = str(fresh)
    config.add_cleanup(lambda: shutil.rmtree(fresh, ignore_errors=True))
