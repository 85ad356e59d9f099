import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from anonbench.weights import WeightsCard, registry


@pytest.fixture
def weights_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "weights"
    folder.mkdir()
    monkeypatch.setenv("ANONBENCH_WEIGHTS", str(folder))
    return folder


@pytest.fixture
def accept(weights_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Put a file under an official name first; `accept(name)` makes the registry expect its hash."""

    def patch(name: str) -> Path:
        card = registry.weights_card(name)
        path = weights_folder / card.files[0]
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        own = WeightsCard.model_validate(card.model_dump() | {"sha256": digest})
        monkeypatch.setattr(registry, "weights_card", lambda asked: own if asked == name else None)
        return path

    return patch


@pytest.fixture(scope="session")
def crops() -> Tensor:
    """uint8 (4, 3, 72, 40): smooth, so that resizing rules matter less than pixels."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand((4, 3, 9, 5), generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, (72, 40), mode="bicubic")
    return (smooth * 255).round().clamp(0, 255).to(torch.uint8)
