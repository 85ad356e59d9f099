"""The study of the filter: planted misdetections are what they say, and the docs show what was measured."""

import json
from pathlib import Path
from types import ModuleType

import pytest
import torch

from anonbench.crops import PersonCrops
from anonbench.datasets.synthetic.dataset import SyntheticDataset
from anonbench.metrics.vertices import count_vertices
from anonbench.template import part_of_vertex

ROOT = Path(__file__).parent.parent


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    import filter_study

    monkeypatch.setattr(filter_study, "RESAMPLES", 200)
    return filter_study


@pytest.fixture(scope="module")
def people() -> PersonCrops:
    return SyntheticDataset("val", (72, 40), count=48).load(range(48))


def test_body_parts_tell_what_vertices_alone_do_not(study: ModuleType, people: PersonCrops) -> None:
    """The ranking idea of thesis Table A.1."""
    found = study.study(study.whole_and_close(people))["planted"]
    for kind in ("shuffled vertices", "patchwork of all parts"):
        assert found[kind]["difference"]["interval"][0] > 0, kind
    assert found["shuffled vertices"]["vertices"]["auc"] == 0.5
    assert found["few scattered vertices"]["vertices_per_part"]["auc"] > 0.95


def test_planted_surfaces_stay_inside_the_mask_and_on_the_template(
    study: ModuleType, people: PersonCrops
) -> None:
    crops = study.whole_and_close(people)
    for kind, plant in study.PLANTS.items():
        surface = plant(crops, torch.Generator().manual_seed(0))
        assert surface.dtype == torch.int32, kind
        assert not (surface >= 0)[~crops.person_mask[:, 0]].any(), kind
        assert count_vertices(surface, part_of_vertex()).vertices.min() > 0, kind


def test_close_ups_show_fewer_parts_in_the_same_size(study: ModuleType, people: PersonCrops) -> None:
    close = study.whole_and_close(people)
    assert close.size == people.size
    assert torch.equal(close.image[::2], people.image[::2])
    parts = [
        count_vertices(crops.surface, part_of_vertex()).parts[1::2].double().mean()
        for crops in (people, close)
    ]
    assert parts[1] < 0.8 * parts[0]


def test_the_tables_in_the_docs_are_those_of_the_record(study: ModuleType) -> None:
    text = study.PAGE.read_text()
    record = json.loads(study.RECORD.read_text())
    assert "| shuffled vertices | exact |" in text
    assert study.page_with_results(text, record) == text
