"""Claims about surface coordinates and the search for the nearest vertex."""

import torch

from anonbench import template
from anonbench.detection.coordinates import (
    CHANNELS,
    SPACING,
    coordinates,
    nearest_vertices,
    rest_positions,
    thinned_vertices,
)


def test_positions_are_half_body_extents_around_the_centre():
    rest = rest_positions()
    assert rest.shape == (template.VERTICES, 3)
    assert torch.isclose(rest.abs().max(), torch.tensor(1.0), atol=1e-5)


def test_positions_and_embedding_weigh_the_same():
    table = coordinates()
    assert table.shape == (template.VERTICES, CHANNELS)
    torch.testing.assert_close(table[:, :3].var(dim=0).sum(), table[:, 3:].var(dim=0).sum())


def test_a_vertex_that_takes_part_finds_itself():
    vertex = thinned_vertices()[::7]
    assert torch.equal(nearest_vertices(coordinates()[vertex]), vertex.to(torch.int32))


def test_any_vertex_finds_one_next_to_it():
    found = nearest_vertices(coordinates()).long()
    distance = (rest_positions()[found] - rest_positions()).norm(dim=1)
    assert distance.median() < SPACING
    assert distance.max() < 5 * SPACING


def test_the_search_does_not_depend_on_how_points_are_chunked():
    points = coordinates()[:500] + 0.01
    assert torch.equal(nearest_vertices(points, chunk=7), nearest_vertices(points, chunk=500))


def test_no_points_give_no_vertices():
    assert nearest_vertices(torch.empty(0, CHANNELS)).shape == (0,)


def test_every_body_part_keeps_vertices():
    parts = template.part_of_vertex()[thinned_vertices()]
    assert set(parts.tolist()) == set(range(len(template.PARTS)))
