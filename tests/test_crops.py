"""PersonCrops: shapes are checked, resizing keeps ids, compositing is bit-exact."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anonbench.crops import Outcome, PersonCrops, composite, resize, resize_images


def crops(count: int = 3, height: int = 16, width: int = 8, seed: int = 0) -> PersonCrops:
    generator = torch.Generator().manual_seed(seed)
    mask = torch.rand(count, 1, height, width, generator=generator) < 0.5
    surface = torch.randint(0, 100, (count, height, width), generator=generator, dtype=torch.int32)
    return PersonCrops(
        image=torch.randint(0, 256, (count, 3, height, width), generator=generator, dtype=torch.uint8),
        person_mask=mask,
        surface=torch.where(mask[:, 0], surface, -1).to(torch.int32),
        keypoints=torch.rand(count, 17, 3, generator=generator),
        person_id=torch.arange(1, count + 1),
        camera_id=torch.arange(count),
        outcome=torch.full((count,), Outcome.SURFACE, dtype=torch.int64),
        key=tuple(f"sample/{i}" for i in range(count)),
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("image", torch.zeros(3, 3, 16, 8)),
        ("person_mask", torch.zeros(3, 16, 8, dtype=torch.bool)),
        ("surface", torch.zeros(3, 16, 8, dtype=torch.int64)),
        ("keypoints", torch.zeros(3, 13, 3)),
        ("person_id", torch.zeros(2, dtype=torch.int64)),
        ("key", ("a", "b")),
    ],
)
def test_a_field_of_another_type_or_shape_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=field):
        replace(crops(), **{field: value})


def test_select_keeps_the_given_order() -> None:
    chosen = crops().select([2, 0])
    assert chosen.key == ("sample/2", "sample/0")
    assert chosen.person_id.tolist() == [3, 1]


def test_concatenating_the_parts_gives_the_whole() -> None:
    whole = crops(4)
    joined = PersonCrops.concatenate([whole.select([0]), whole.select([1, 2, 3])])
    assert joined.key == whole.key
    assert torch.equal(joined.image, whole.image)


def test_resizing_to_the_same_size_changes_nothing() -> None:
    batch = crops()
    assert resize(batch, batch.size) is batch


def test_resized_surfaces_hold_only_ids_that_were_there() -> None:
    batch = crops(height=32, width=16)
    small = resize(batch, (16, 8))
    assert set(small.surface.unique().tolist()) <= set(batch.surface.unique().tolist())


def test_keypoints_scale_with_the_image() -> None:
    batch = crops(height=16, width=8)
    larger = resize(batch, (32, 24))
    assert torch.allclose(larger.keypoints[..., 0], batch.keypoints[..., 0] * 3)
    assert torch.allclose(larger.keypoints[..., 1], batch.keypoints[..., 1] * 2)
    assert torch.equal(larger.keypoints[..., 2], batch.keypoints[..., 2])


@given(value=st.integers(0, 255), height=st.integers(4, 40), width=st.integers(4, 40))
def test_a_flat_image_stays_flat_at_any_size(value: int, height: int, width: int) -> None:
    flat = torch.full((1, 3, 16, 8), value, dtype=torch.uint8)
    assert (resize_images(flat, (height, width)) == value).all()


def test_composite_takes_the_original_bit_exact_outside_the_mask() -> None:
    batch = crops()
    made = composite(batch.image, 255 - batch.image, batch.person_mask)
    outside = ~batch.person_mask.expand_as(batch.image)
    assert torch.equal(made[outside], batch.image[outside])
    assert torch.equal(made[~outside], 255 - batch.image[~outside])


def test_the_body_template_is_kept_and_templates_are_not_mixed() -> None:
    batch = replace(crops(), template="other")
    for same in (batch.select([1]), batch.with_image(batch.image), resize(batch, (8, 8))):
        assert same.template == "other"
    assert PersonCrops.concatenate([batch, batch]).template == "other"
    with pytest.raises(ValueError, match="one body template"):
        PersonCrops.concatenate([batch, crops()])
