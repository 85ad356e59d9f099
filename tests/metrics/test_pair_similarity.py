import math

import pytest
import torch

from anonbench.metrics.similarity import (
    absolute_difference,
    blanked,
    cosine_similarity,
    masked_mean,
    pair_distance,
)


def images(seed: int, n: int = 3) -> torch.Tensor:
    return torch.randint(
        0, 256, (n, 3, 8, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed)
    )


def left_half(n: int = 3) -> torch.Tensor:
    mask = torch.zeros(n, 1, 8, 6, dtype=torch.bool)
    mask[..., :3] = True
    return mask


def test_mean_is_taken_inside_the_mask_only() -> None:
    values = torch.arange(48.0).view(1, 1, 8, 6)
    expected = values[..., :3].mean().item()
    assert masked_mean(values, left_half(1)).item() == pytest.approx(expected)
    assert masked_mean(values[:, 0], left_half(1)[:, 0]).item() == pytest.approx(expected)


def test_what_is_outside_the_mask_does_not_matter_even_if_it_is_no_number() -> None:
    values = torch.rand(2, 1, 8, 6)
    spoiled = values.where(left_half(2), float("nan"))
    assert torch.equal(masked_mean(spoiled, left_half(2)), masked_mean(values, left_half(2)))
    with pytest.raises(ValueError, match="NaN or infinity inside the mask"):
        masked_mean(spoiled, ~left_half(2))


def test_an_empty_mask_has_no_mean() -> None:
    mask = left_half(2)
    mask[1] = False
    mean = masked_mean(torch.ones(2, 1, 8, 6), mask)
    assert mean[0] == 1.0
    assert math.isnan(mean[1])


def test_copied_background_pulls_the_whole_crop_towards_zero_and_not_the_inside() -> None:
    distance = left_half().float() * 0.8
    result = pair_distance(distance, left_half())
    torch.testing.assert_close(result.inside, torch.full((3,), 0.8).double(), rtol=1e-6, atol=0)
    torch.testing.assert_close(result.whole, result.inside / 2)


def test_absolute_difference_is_one_between_black_and_white() -> None:
    black, white = (
        torch.zeros(1, 3, 8, 6, dtype=torch.uint8),
        torch.full((1, 3, 8, 6), 255, dtype=torch.uint8),
    )
    assert torch.equal(absolute_difference(black, white), torch.ones(1, 8, 6))
    assert torch.equal(absolute_difference(white, black), torch.ones(1, 8, 6))
    assert absolute_difference(white, white).max() == 0


def test_pair_values_do_not_depend_on_batch_or_order() -> None:
    a, b, mask = images(1), images(2), left_half()
    together = masked_mean(absolute_difference(a, b), mask)
    alone = [masked_mean(absolute_difference(a[i : i + 1], b[i : i + 1]), mask[:1]) for i in (2, 1, 0)]
    assert torch.equal(torch.cat(alone).flip(0), together)


def test_images_that_are_not_uint8_are_refused() -> None:
    with pytest.raises(ValueError, match="two uint8 images"):
        absolute_difference(images(1).float(), images(2))


def test_masks_that_do_not_fit_are_refused() -> None:
    values = torch.ones(2, 1, 8, 6)
    with pytest.raises(ValueError, match="must be bool"):
        masked_mean(values, left_half(2).float())
    with pytest.raises(ValueError, match="do not fit"):
        masked_mean(values, left_half(3))
    with pytest.raises(ValueError, match="at least one map"):
        masked_mean(values[:0], left_half(0))


def test_cosine_similarity_knows_parallel_opposite_and_orthogonal() -> None:
    a = torch.tensor([[1.0, 2.0], [1.0, 2.0], [1.0, 2.0]])
    b = torch.tensor([[2.0, 4.0], [-3.0, -6.0], [-2.0, 1.0]])
    torch.testing.assert_close(cosine_similarity(a, b), torch.tensor([1.0, -1.0, 0.0]).double())


def test_cosine_similarity_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="row of zeros"):
        cosine_similarity(torch.zeros(1, 4), torch.ones(1, 4))
    with pytest.raises(ValueError, match="two equal"):
        cosine_similarity(torch.ones(0, 4), torch.ones(0, 4))


def test_blanked_images_are_equal_wherever_the_mask_is_not() -> None:
    a, b = torch.zeros(1, 3, 4, 4, dtype=torch.uint8), torch.full((1, 3, 4, 4), 200, dtype=torch.uint8)
    mask = torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    mask[:, :, :2] = True
    difference = absolute_difference(blanked(a, mask), blanked(b, mask))
    assert (difference[:, :2] > 0).all()
    assert (difference[:, 2:] == 0).all()
