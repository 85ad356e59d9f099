"""What parity tests share: official files of random weights, and the report of how far apart two programs are."""

import json
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import ArrayLike

from anonbench.records import write_json
from tests.features.conftest import accept, crops, weights_folder  # noqa: F401

DEVIATIONS = Path(__file__).parent.parent.parent / "results" / "parity" / "deviations.json"
PACKAGES = ("lpips", "numpy", "open_clip_torch", "pillow", "timm", "torch", "torch_fidelity", "torchreid")

Agree = Callable[..., None]


@pytest.fixture(scope="session")
def measured(request: pytest.FixtureRequest) -> Iterator[dict[str, dict[str, object]]]:
    """Deviations by test; with --record those of the tests that ran replace the recorded ones at the end."""
    found: dict[str, dict[str, object]] = {}
    yield found
    if request.config.getoption("--record") and found:
        before = json.loads(DEVIATIONS.read_text())["tests"] if DEVIATIONS.exists() else {}
        packages = {name: version(name) for name in PACKAGES}
        write_json({"packages": packages, "tests": before | found}, DEVIATIONS)


@pytest.fixture
def agree(request: pytest.FixtureRequest, measured: dict[str, dict[str, object]]) -> Agree:
    """`agree(ours, theirs, bound=1e-5, against="package", quantity="features")`: equal, and how closely.

    relative: the largest difference over the largest value of theirs; else the largest difference.
    """

    def check(
        ours: ArrayLike,
        theirs: ArrayLike,
        *,
        bound: float,
        against: str,
        quantity: str,
        relative: bool = True,
    ) -> None:
        a, b = np.asarray(ours, dtype=np.float64), np.asarray(theirs, dtype=np.float64)
        assert a.shape == b.shape
        scale = float(np.abs(b).max()) if relative else 1.0
        assert scale > 0
        deviation = float(np.abs(a - b).max()) / scale
        name = request.node.originalname.removeprefix("test_")
        known = measured.setdefault(
            name,
            {
                "against": against,
                "quantity": quantity,
                "bound": bound,
                "deviation": 0.0,
            },
        )
        known["deviation"] = max(float(str(known["deviation"])), float(f"{deviation:.1e}"))
        assert deviation <= bound

    return check
