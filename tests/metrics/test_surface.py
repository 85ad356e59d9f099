import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from anonbench.metrics.surface import (
    auc_interval,
    region_distances,
    separation,
    surface_distance,
    vertex_colours,
)

V, H, W = 40, 12, 10
EVERY_VERTEX = torch.arange(V)


def poses(n: int, seed: int, shown: int = V) -> Tensor:
    """int32 (n, H, W): body vertices scattered anew over each image, about half of the pixels background."""
    rng = np.random.default_rng(seed)
    surface = np.where(rng.random((n, H, W)) < 0.5, rng.integers(0, shown, (n, H, W)), -1)
    return torch.from_numpy(surface.astype(np.int32))


def dressed(surface: Tensor, clothes: Tensor, background: int = 99) -> Tensor:
    """uint8 (n, 3, H, W): every pixel in the colour (V, 3) of the vertex that it shows."""
    colours = torch.cat([clothes, torch.full((1, 3), background, dtype=torch.uint8)])
    return colours[surface.long()].permute(0, 3, 1, 2)


def wardrobe(n: int, seed: int) -> Tensor:
    return torch.randint(0, 256, (n, V, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def distance(a: Tensor, surface_a: Tensor, b: Tensor, surface_b: Tensor, min_shared: int = 1) -> Tensor:
    colours_a, visible_a = vertex_colours(a, surface_a, EVERY_VERTEX)
    colours_b, visible_b = vertex_colours(b, surface_b, EVERY_VERTEX)
    return surface_distance(colours_a, visible_a, colours_b, visible_b, min_shared=min_shared)[0]


def test_colours_are_pooled_per_vertex() -> None:
    surface = torch.tensor([[[0, 0, 1], [-1, 2, 2]]], dtype=torch.int32)
    grey = torch.tensor([[[0, 51, 102], [255, 153, 204]]], dtype=torch.uint8)
    image = torch.stack([grey, grey, grey], dim=1)
    colours, visible = vertex_colours(image, surface, torch.arange(4))
    torch.testing.assert_close(colours[0, :, 0], torch.tensor([0.1, 0.4, 0.7, 0.0]))
    assert visible[0].tolist() == [True, True, True, False]


def test_patches_pool_their_vertices_and_minus_one_leaves_a_vertex_out() -> None:
    surface = torch.tensor([[[0, 1, 2, 3]]], dtype=torch.int32)
    image = torch.tensor([0, 102, 255, 51], dtype=torch.uint8).expand(1, 3, 1, 4)
    colours, visible = vertex_colours(image, surface, torch.tensor([0, 0, -1, 1]))
    torch.testing.assert_close(colours[0, :, 1], torch.tensor([0.2, 0.2]))
    assert visible.tolist() == [[True, True]]


def test_a_cell_below_the_pixel_minimum_is_not_visible() -> None:
    surface = torch.tensor([[[0, 0, 1]]], dtype=torch.int32)
    image = torch.full((1, 3, 1, 3), 200, dtype=torch.uint8)
    colours, visible = vertex_colours(image, surface, torch.arange(2), min_pixels=2)
    assert visible.tolist() == [[True, False]]
    assert colours[0, 1].tolist() == [0.0, 0.0, 0.0]


def test_one_appearance_in_two_poses_and_places_is_at_distance_zero() -> None:
    clothes = wardrobe(1, seed=0)[0]
    first, second = poses(4, seed=1), poses(4, seed=2)
    same = distance(dressed(first, clothes), first, dressed(second, clothes, background=7), second)
    assert torch.equal(same, torch.zeros(4).double())


def test_black_against_white_is_at_distance_one() -> None:
    surface = poses(2, seed=0)
    black = torch.zeros(2, 3, H, W, dtype=torch.uint8)
    torch.testing.assert_close(distance(black, surface, black + 255, surface), torch.ones(2).double())


def test_distance_grows_with_colour_noise() -> None:
    surface, clothes = poses(6, seed=1), wardrobe(1, seed=0)[0]
    clean = dressed(surface, clothes)
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    grades = [
        distance(clean, surface, (clean + amount * noise).clamp(0, 255).to(torch.uint8), surface)
        .mean()
        .item()
        for amount in (0, 10, 40, 160)
    ]
    assert grades[0] == 0
    assert grades == sorted(grades)


@settings(max_examples=20)
@given(st.integers(0, 2**31 - 1))
def test_distance_is_symmetric_bounded_and_independent_of_the_batch(seed: int) -> None:
    surface_a, surface_b = poses(3, seed), poses(3, seed + 1)
    a, b = (dressed(s, wardrobe(1, seed + i)[0]) for i, s in enumerate((surface_a, surface_b)))
    together = distance(a, surface_a, b, surface_b)
    alone = torch.cat(
        [distance(a[i : i + 1], surface_a[i : i + 1], b[i : i + 1], surface_b[i : i + 1]) for i in range(3)]
    )
    assert torch.equal(together, distance(b, surface_b, a, surface_a))
    assert torch.equal(together, alone)
    assert (together >= 0).all()
    assert (together <= 1).all()


def test_front_against_back_is_not_scored() -> None:
    front, back = poses(1, seed=0, shown=20), poses(1, seed=1, shown=20)
    back = torch.where(back >= 0, back + 20, back)
    image = dressed(front, wardrobe(1, seed=0)[0])
    front_cells, back_cells = (vertex_colours(image, s, EVERY_VERTEX) for s in (front, back))
    distances, overlap = surface_distance(*front_cells, *back_cells, min_shared=1)
    assert overlap.tolist() == [0]
    assert math.isnan(distances[0])


def test_a_pair_is_scored_from_the_minimum_overlap_on() -> None:
    surface = poses(1, seed=0)
    cells = vertex_colours(dressed(surface, wardrobe(1, seed=0)[0]), surface, EVERY_VERTEX)
    shared = int(cells[1].sum())
    assert surface_distance(*cells, *cells, min_shared=shared)[0].item() == 0
    assert math.isnan(surface_distance(*cells, *cells, min_shared=shared + 1)[0])
    with pytest.raises(ValueError, match="min_shared must be at least 1"):
        surface_distance(*cells, *cells, min_shared=0)


@pytest.mark.parametrize("neglect", [0.0, 0.3, 0.6, 1.0])
def test_separation_measures_a_planted_neglect_of_the_latent(neglect: float) -> None:
    """A share of the images is dressed at random; a pair agrees where both images followed the latent."""
    people, rng = 400, np.random.default_rng(0)
    followed = torch.from_numpy(rng.random((2, people, 1, 1)) >= neglect)
    own, random = wardrobe(people, seed=0), wardrobe(2 * people, seed=1).view(2, people, V, 3)
    clothes = torch.where(followed, own, random)
    first, second = poses(people, seed=2), poses(people, seed=3)
    a = torch.cat([dressed(first[i : i + 1], clothes[0, i]) for i in range(people)])
    b = torch.cat([dressed(second[i : i + 1], clothes[1, i]) for i in range(people)])

    result = separation(distance(a, first, b, second), distance(a, first, b.roll(1, 0), second.roll(1, 0)))
    agreeing = (1 - neglect) ** 2
    assert result.auc == pytest.approx(agreeing + (1 - agreeing) / 2, abs=0.06)
    assert result.ratio == pytest.approx(1 - agreeing, abs=0.06)


def test_separation_by_hand_with_a_tie_and_an_unscored_pair() -> None:
    result = separation([0.1, 0.3, np.nan], [0.3, 0.5])
    assert result.auc == pytest.approx((1 + 1 + 0.5 + 1) / 4)
    assert result.ratio == pytest.approx(0.2 / 0.4)
    assert (result.n_same, result.n_different) == (2, 2)


def test_a_constant_output_separates_nothing() -> None:
    result = separation([0.0, 0.0], [0.0, 0.0, 0.0])
    assert result.auc == 0.5
    assert math.isnan(result.ratio)


def test_separation_without_a_scored_pair_is_an_error() -> None:
    with pytest.raises(ValueError, match="same-latent surface distances: no sample left"):
        separation([np.nan], [0.1])


def test_bad_maps_are_named() -> None:
    image, surface = torch.zeros(1, 3, H, W, dtype=torch.uint8), poses(1, seed=0)
    with pytest.raises(ValueError, match="names vertex"):
        vertex_colours(image, surface, torch.arange(3))
    with pytest.raises(ValueError, match="must be uint8"):
        vertex_colours(image.float(), surface, EVERY_VERTEX)
    with pytest.raises(ValueError, match="does not fit image"):
        vertex_colours(image, surface[:, 1:], EVERY_VERTEX)
    with pytest.raises(ValueError, match="at least one image"):
        vertex_colours(image[:0], surface[:0], EVERY_VERTEX)
    with pytest.raises(ValueError, match="at least one vertex"):
        vertex_colours(image, surface, torch.full((V,), -1))


def test_regions_are_compared_by_themselves_and_one_that_is_not_shared_has_no_distance() -> None:
    a, b = torch.zeros(1, 4, 3), torch.tensor([[0.0, 0.0, 1.0, 0.5]])[..., None].expand(-1, -1, 3)
    visible = torch.tensor([[True, True, True, False]])
    region = torch.tensor([0, 0, 1, 2])
    distance, shared = region_distances(a, visible, b, visible, region, regions=3, min_shared=1)
    assert distance[0, :2].tolist() == [0.0, 1.0]
    assert distance[0, 2].isnan()
    assert shared.tolist() == [[2, 1, 0]]


def test_an_auc_without_noise_has_no_width_and_needs_two_groups() -> None:
    groups = np.repeat(np.arange(5), 4)
    near, far = np.full(20, 0.1), np.full(20, 0.9)
    interval = auc_interval([near], [far], groups, resamples=100)
    assert interval is not None
    assert (interval.low, interval.high) == (1.0, 1.0)
    assert auc_interval([near], [far], np.zeros(20), resamples=100) is None


def test_the_interval_of_an_auc_is_as_wide_as_the_scatter_over_persons() -> None:
    def draw(seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        rng = np.random.default_rng(seed)
        person = rng.normal(0, 1, 40).repeat(5)
        return person + rng.normal(0, 0.1, 200), 1 + rng.normal(0, 1, 200)

    groups = np.repeat(np.arange(40), 5)
    values = [separation(*draw(seed)).auc for seed in range(200)]
    interval = auc_interval([draw(0)[0]], [draw(0)[1]], groups)
    assert interval is not None
    assert interval.low < values[0] < interval.high
    assert (interval.high - interval.low) / (4 * np.std(values)) == pytest.approx(1, abs=0.3)
