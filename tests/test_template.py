"""The packaged body template."""

from types import SimpleNamespace

import pytest
import torch

from anonbench import template
from anonbench.datasets.base import template_of
from anonbench.errors import DataError
from anonbench.template import PARTS, VERTICES, SurfaceTemplate


@pytest.fixture
def surface() -> torch.Tensor:
    ids = torch.randint(0, VERTICES, (2, 6, 4), generator=torch.Generator().manual_seed(0), dtype=torch.int32)
    ids[:, 0] = -1
    return ids


def test_the_packaged_file_is_small() -> None:
    assert template.ASSET.stat().st_size < 1_000_000


def test_the_packaged_file_equals_a_fresh_build() -> None:
    from anonbench.datasets.synthetic.body import body
    from anonbench.datasets.synthetic.template_asset import build

    fresh = build(body())
    assert torch.allclose(template.positions(), fresh["position"], atol=1e-5)
    assert torch.equal(template.mirror_vertices(), fresh["mirror"].int())
    assert torch.equal(template.part_of_vertex(), fresh["part"].int())
    packaged, built = template.embedding(), fresh["embedding"].float()
    # An eigenvector's sign is free; a fresh build on another machine may turn it.
    difference = torch.minimum((packaged - built).abs().amax(0), (packaged + built).abs().amax(0))
    assert difference.max() < 0.01


def test_embedding_channels_have_unit_variance_and_are_uncorrelated() -> None:
    channels = template.embedding()
    assert channels.shape == (VERTICES, 16)
    assert torch.allclose(channels.std(0), torch.ones(16), atol=0.05)


def test_the_embedding_tells_left_from_right_and_front_from_back() -> None:
    from_mirror = (template.embedding() - template.embedding()[template.mirror_vertices().long()]).norm(dim=1)
    hands = template.part_of_vertex() == PARTS.index("left_hand")
    assert from_mirror[hands].min() > 1


def test_the_mirror_is_an_involution_that_exchanges_sides() -> None:
    mirror = template.mirror_vertices().long()
    assert torch.equal(mirror[mirror], torch.arange(VERTICES))
    x = template.positions()[:, 0]
    assert torch.allclose(x, -x[mirror], atol=0.02)
    part = template.part_of_vertex()
    left_feet = part == PARTS.index("left_foot")
    assert (part[mirror[left_feet]] == PARTS.index("right_foot")).all()


def test_looked_up_maps_are_zero_or_minus_one_outside(surface: torch.Tensor) -> None:
    embedded = template.surface_embedding(surface)
    assert embedded.shape == (2, 16, 6, 4)
    assert embedded.dtype == torch.float32
    assert (embedded[:, :, 0] == 0).all()
    assert (template.surface_position(surface)[:, :, 0] == 0).all()
    assert (template.mirror(surface)[:, 0] == -1).all()
    assert (template.parts(surface)[:, 0] == -1).all()


def test_looked_up_maps_hold_the_values_of_their_vertex(surface: torch.Tensor) -> None:
    vertex = int(surface[1, 3, 2])
    assert torch.equal(template.surface_embedding(surface)[1, :, 3, 2], template.embedding()[vertex])
    assert torch.equal(template.surface_position(surface)[1, :, 3, 2], template.positions()[vertex])
    assert template.parts(surface)[1, 3, 2] == template.part_of_vertex()[vertex]


def test_mirroring_twice_changes_nothing(surface: torch.Tensor) -> None:
    assert torch.equal(template.mirror(template.mirror(surface)), surface)
    assert template.mirror(surface).dtype == torch.int32


def test_every_part_has_vertices_and_sides_match_their_names() -> None:
    part, x = template.part_of_vertex(), template.positions()[:, 0]
    for index, name in enumerate(PARTS):
        own = part == index
        assert own.any()
        if name.startswith("left_"):
            assert (x[own] > 0).all()
        if name.startswith("right_"):
            assert (x[own] <= 0).all()


def test_the_packaged_template_looks_up_what_the_module_does(surface: torch.Tensor) -> None:
    packaged = template.body_template()
    assert packaged.name == "makehuman_13380"
    assert torch.equal(packaged.embed(surface), template.surface_embedding(surface))
    assert torch.equal(packaged.mirrored(surface), template.mirror(surface))


def test_a_template_without_counterparts_embeds_but_cannot_be_mirrored(surface: torch.Tensor) -> None:
    one_sided = SurfaceTemplate("other", template.embedding())
    assert one_sided.embed(surface).shape == (2, 16, 6, 4)
    with pytest.raises(DataError, match="'other'.*flip_probability 0"):
        one_sided.mirrored(surface)


def test_a_dataset_names_its_template_or_uses_the_packaged_one() -> None:
    other = SurfaceTemplate("other", torch.zeros(5, 16))
    assert template_of(SimpleNamespace(template=other)) is other
    assert template_of(SimpleNamespace()) is template.body_template()
