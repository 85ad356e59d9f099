"""Protocols run on toys, with a cache of their own and without the surface head."""

from pathlib import Path
from typing import Any

import pytest

from anonbench.cards import Preset
from anonbench.protocols.crops import CropSource
from anonbench.protocols.generation import Generation
from anonbench.protocols.scoring import Context
from tests.protocols.toys import PersonColour, PixelDistance, ToyDataset


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANONBENCH_CACHE", str(tmp_path / "cache"))


def context(model: Any, dataset: ToyDataset, kind: str = "reid", seeds: int = 3) -> Context:
    """A protocol's context over toys. kind: of the feature extractor."""
    extractor = PersonColour(kind)
    preset = Preset(size=(16, 8), seeds=seeds, resamples=200, extractors=("toy",))
    source = CropSource(dataset, lambda crops: crops, "none")
    return Context(Generation(model, source), preset, (extractor,), (PixelDistance(),))  # type: ignore[arg-type]
