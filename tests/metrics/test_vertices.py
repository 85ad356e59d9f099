"""Vertices per body part: counted right, and low for the surfaces that fail."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anonbench.metrics.vertices import count_vertices

PART = torch.tensor([0, 0, 0, 1, 1, 2], dtype=torch.int32)


def maps(*rows: list[int]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.int32)[:, None]


def test_a_vertex_counts_once_however_many_pixels_show_it() -> None:
    counts = count_vertices(maps([0, 0, 0, 1], [3, 3, -1, -1]), PART)
    assert counts.of_part.tolist() == [[2, 0, 0], [0, 1, 0]]
    assert counts.vertices.tolist() == [2, 1]
    assert counts.parts.tolist() == [1, 1]
    assert counts.per_part.tolist() == [2.0, 1.0]


def test_the_mean_is_over_the_parts_that_show() -> None:
    assert count_vertices(maps([0, 1, 2, 5]), PART).per_part.tolist() == [2.0]


def test_an_empty_map_has_no_vertices_and_no_mean() -> None:
    counts = count_vertices(maps([-1, -1, -1, -1]), PART)
    assert counts.vertices.tolist() == [0]
    assert counts.per_part.isnan().all()


def test_vertices_from_everywhere_have_fewer_per_part_than_as_many_from_one_place() -> None:
    together, scattered = count_vertices(maps([0, 1, 2], [0, 3, 5]), PART).per_part.tolist()
    assert scattered < together


@given(st.lists(st.lists(st.integers(-1, 5), min_size=4, max_size=4), min_size=1, max_size=5))
def test_counts_are_those_of_sets_and_do_not_depend_on_the_batch(rows: list[list[int]]) -> None:
    counts = count_vertices(maps(*rows), PART)
    assert counts.vertices.tolist() == [len(set(row) - {-1}) for row in rows]
    assert counts.parts.tolist() == [len({int(PART[v]) for v in row if v >= 0}) for row in rows]
    single = torch.cat([count_vertices(maps(row), PART).of_part for row in rows])
    assert torch.equal(single, counts.of_part)


def test_maps_of_another_template_are_refused() -> None:
    with pytest.raises(ValueError, match="names vertex 6, the template has 6"):
        count_vertices(maps([0, 6, 1, 1]), PART)
    with pytest.raises(ValueError, match="vertex ids"):
        count_vertices(torch.zeros(1, 2, 2), PART)
