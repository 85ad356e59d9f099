"""Latents that depend on who they are for, never on batch, order, device or shard.

Each latent is drawn from its own Philox stream, a counter-based generator, keyed by (seed, token):
the token is a person ("person/12") or a sample ("sample/val/000007").
"""

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def latents_for(seed: int, tokens: Sequence[str], dim: int) -> Tensor:
    """One standard normal latent per token.

    seed: names the set of latents; tokens: equal tokens get equal latents; dim: dimensions of z.
    Returns float32 (len(tokens), dim) on the CPU.
    """
    drawn = {token: _draw(seed, token, dim) for token in set(tokens)}
    if not tokens:
        return torch.empty((0, dim))
    return torch.from_numpy(np.stack([drawn[token] for token in tokens]))


def truncate(latents: Tensor, truncation: float) -> Tensor:
    """The truncation trick in Z (thesis section 2.11): t=1 leaves z as drawn, t=0 is the zero vector."""
    return latents * truncation


def truncate_to_centres(styles: Tensor, centres: Tensor, truncation: float) -> Tensor:
    """The multimodal truncation trick in W (thesis 2.11.1; Mokady et al., arXiv:2202.12211): c + t (w - c).

    c is the centre nearest to w: t=1 leaves w as it is, t=0 is the centre.
    styles: float (..., D); centres: float (K, D).
    """
    distances = (styles[..., None, :] - centres).square().sum(dim=-1)
    return torch.lerp(centres[distances.argmin(dim=-1)], styles, truncation)


def slerp(start: Tensor, end: Tensor, step: float) -> Tensor:
    """The share `step` of the way along the great circle from `start` to `end` (Shoemake 1985).

    Two (B, D) latents of different norms: the norm moves in a straight line. Where they are parallel, so does z.
    Between normal latents a straight line would pass through shorter vectors than a normal draw has.
    """
    norms = torch.stack([start.norm(dim=1, keepdim=True), end.norm(dim=1, keepdim=True)])
    a, b = start / norms[0], end / norms[1]
    angle = (a * b).sum(dim=1, keepdim=True).clamp(-1, 1).acos()
    weight = torch.where(
        angle > 1e-4, torch.sin(step * angle) / torch.sin(angle), torch.full_like(angle, step)
    )
    rest = torch.where(angle > 1e-4, torch.sin((1 - step) * angle) / torch.sin(angle), 1 - weight)
    return (rest * a + weight * b) * torch.lerp(norms[0], norms[1], step)


def person_tokens(person_ids: Sequence[int], keys: Sequence[str]) -> list[str]:
    """Tokens that tie the latent to the identity; samples of unknown identity (-1) get one each."""
    return [f"person/{p}" if p >= 0 else f"sample/{k}" for p, k in zip(person_ids, keys, strict=True)]


def sample_tokens(keys: Sequence[str]) -> list[str]:
    """Tokens that give every single image its own latent."""
    return [f"sample/{key}" for key in keys]


def _draw(seed: int, token: str, dim: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    digest = hashlib.sha256(f"{seed}/{token}".encode()).digest()
    stream = np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))
    values = stream.standard_normal(dim)
    return values.astype(np.float32)
