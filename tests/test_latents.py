"""Latents depend on (seed, token) only."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from anonbench.latents import (
    latents_for,
    person_tokens,
    sample_tokens,
    slerp,
    truncate,
    truncate_to_centres,
)

tokens = st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=8)


@given(tokens=tokens, seed=st.integers(0, 2**31))
def test_order_and_company_do_not_matter(tokens: list[str], seed: int) -> None:
    together = latents_for(seed, tokens, 8)
    alone = torch.cat([latents_for(seed, [token], 8) for token in tokens])
    assert torch.equal(together, alone)
    assert torch.equal(latents_for(seed, tokens[::-1], 8), together.flip(0))


def test_seeds_and_tokens_give_different_latents() -> None:
    a, b = latents_for(0, ["person/1", "person/2"], 64)
    other_seed = latents_for(1, ["person/1"], 64)[0]
    assert not torch.allclose(a, b)
    assert not torch.allclose(a, other_seed)


def test_the_first_values_of_version_1_are_pinned() -> None:
    pinned = torch.tensor([[-0.657226, 1.337549, 1.425288, 0.355913]])
    assert torch.allclose(latents_for(0, ["person/1"], 4), pinned, atol=1e-6)


def test_latents_are_standard_normal() -> None:
    z = latents_for(3, [f"sample/{i}" for i in range(2000)], 64)
    assert z.dtype == torch.float32
    assert abs(z.mean().item()) < 0.01
    assert abs(z.std().item() - 1) < 0.01


def test_truncation_0_is_the_zero_vector_and_1_the_latent() -> None:
    z = latents_for(0, ["a"], 16)
    assert torch.equal(truncate(z, 1.0), z)
    assert (truncate(z, 0.0) == 0).all()


@given(t=st.floats(0, 1), seed=st.integers(0, 2**31))
def test_multimodal_truncation_moves_w_on_the_line_to_its_nearest_centre(t: float, seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    w, centres = torch.randn(4, 3, 8, generator=draw), torch.randn(5, 8, generator=draw)
    nearest = centres[torch.cdist(w, centres).argmin(-1)]
    torch.testing.assert_close(truncate_to_centres(w, centres, t), nearest + t * (w - nearest))
    assert torch.equal(truncate_to_centres(w, centres, 1.0), w)
    assert torch.equal(truncate_to_centres(w, centres, 0.0), nearest)


def test_no_token_gives_an_empty_batch() -> None:
    assert latents_for(0, [], 16).shape == (0, 16)


def test_unknown_people_get_a_latent_of_their_own() -> None:
    assert person_tokens([3, -1, -1, 3], ["a", "b", "c", "d"]) == [
        "person/3", "sample/b", "sample/c", "person/3",
    ]  # fmt: skip
    assert sample_tokens(["a", "b"]) == ["sample/a", "sample/b"]


@given(step=st.floats(0, 1), seed=st.integers(0, 2**31))
def test_a_step_between_latents_stays_among_normal_ones(step: float, seed: int) -> None:
    a, b = latents_for(seed, ["a", "b", "c"], 64), latents_for(seed, ["d", "e", "f"], 64)
    between = slerp(a, b, step)
    lowest, highest = torch.minimum(a.norm(dim=1), b.norm(dim=1)), torch.maximum(a.norm(dim=1), b.norm(dim=1))
    assert (between.norm(dim=1) >= lowest - 1e-3).all()
    assert (between.norm(dim=1) <= highest + 1e-3).all()
    whole = torch.nn.functional.cosine_similarity(a, b).acos()
    gone = torch.nn.functional.cosine_similarity(a, between).clamp(-1, 1).acos()
    torch.testing.assert_close(gone, step * whole, atol=2e-3, rtol=0)


def test_a_step_between_equal_latents_goes_nowhere() -> None:
    z = latents_for(0, ["a"], 8)
    torch.testing.assert_close(slerp(z, z, 0.3), z)
