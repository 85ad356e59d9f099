"""What a data set holds is counted, not guessed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from anonbench.crops import NO_VERTEX, Outcome, PersonCrops
from anonbench.errors import DataError
from anonbench.pipeline.statistics import count_crops, people_per_image, statistics
from anonbench.template import PARTS, VERTICES, SurfaceTemplate, part_of_vertex
from tests.detection.template_person import template_person


class Whole:
    """Whole people, their upper halves, and one without a surface, as a data set."""

    name, digest, size, notes = "toy", "0" * 64, (144, 80), ()

    def __init__(self, template: SurfaceTemplate | None = None) -> None:
        whole = template_person(self.size)
        upper = replace(whole, surface=torch.where(torch.arange(144)[:, None] < 60, whole.surface, NO_VERTEX))
        blank = replace(
            whole,
            surface=torch.full_like(whole.surface, NO_VERTEX),
            outcome=torch.tensor([int(Outcome.NONE)]),
        )
        joined = PersonCrops.concatenate([whole, upper, blank])
        self.crops = replace(joined, key=("whole", "upper", "blank"))
        self.samples = pd.DataFrame({"key": self.crops.key})
        if template:
            self.template = template

    def __len__(self) -> int:
        return len(self.crops)

    def load(self, indices: range) -> PersonCrops:
        return self.crops.select(list(indices))


def test_parts_and_vertices_are_those_that_show() -> None:
    counted = count_crops(Whole())
    whole, upper, blank = (row for _, row in counted.table.iterrows())
    assert whole["vertices"] == Whole().crops.surface[0].unique().ge(0).sum()
    assert whole["vertices_per_part"] == whole["vertices"] / whole["parts"]
    assert upper["parts"] < whole["parts"]
    assert (blank["vertices"], blank["parts"]) == (0, 0)
    assert np.isnan(blank["vertices_per_part"])


def test_shares_are_of_the_crops_with_a_surface() -> None:
    found = statistics(count_crops(Whole()), {0: 2, 1: 3})
    assert found.outcomes == {"surface": 2, "mask_only": 0, "none": 1}
    assert set(found.body_parts) == set(PARTS)
    assert found.body_parts["head"] == 1.0
    assert found.body_parts["left_foot"] == 0.5
    assert found.people_per_image == {0: 2, 1: 3}
    assert found.quantiles["vertices"][0.0] < found.quantiles["vertices"][1.0]


def test_without_body_parts_vertices_are_still_counted() -> None:
    found = count_crops(Whole(SurfaceTemplate("other", torch.zeros(VERTICES, 16))))
    assert found.table["vertices"].tolist() == count_crops(Whole()).table["vertices"].tolist()
    assert found.table["vertices_per_part"].isna().all()
    summed = statistics(found)
    assert summed.body_parts == {}
    assert summed.quantiles["vertices_per_part"] == {}


def test_parts_that_no_vertex_belongs_to_are_never_shown() -> None:
    template = SurfaceTemplate(
        "named", torch.zeros(VERTICES, 16), part=part_of_vertex(), part_names=(*PARTS, "tail")
    )
    assert statistics(count_crops(Whole(template))).body_parts["tail"] == 0.0


def test_people_per_image_come_from_the_report_of_the_build(tmp_path: Path) -> None:
    report = tmp_path / "build-train.json"
    assert people_per_image(report) is None
    report.write_text('{"people_per_image": {"0": 4, "2": 1}}')
    assert people_per_image(report) == {0: 4, 2: 1}
    report.write_text("[]")
    with pytest.raises(DataError, match=r"build-train\.json: not written by"):
        people_per_image(report)
