"""Clips: does a person stay the same from frame to frame, steadily, and without a leak?

Values are per frame, nan where a frame has no predecessor; average them over clips, or resample clips.
Samples are frames in any order; `clip` (N,) and `frame` (N,) say which moment each of them shows.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from anonbench.metrics.similarity import absolute_difference, cosine_similarity, masked_mean

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

CHANGED_LEVELS = 3
"""A pixel counts as changed when a channel differs by more than this, of 255: grain and codecs stay below."""

COVERED_SHARE = 0.5
"""A person is covered in a frame when at least this share of their pixels is changed."""


@dataclass(frozen=True)
class Steps:
    """Pairs of consecutive frames of one clip: positions `now` and `before`, and of each clip's `first`; (K,)."""

    now: Integers
    before: Integers
    first: Integers


def steps(clip: ArrayLike, frame: ArrayLike) -> Steps:
    """Every frame whose clip has the frame before it too, in the order of clips and frames.

    clip, frame: integers (N,). A missing moment ends no clip, but nothing is compared across it.
    Raises ValueError where a clip has a moment twice.
    """
    clips, frames = np.asarray(clip, dtype=np.int64), np.asarray(frame, dtype=np.int64)
    where = {moment: i for i, moment in enumerate(zip(clips.tolist(), frames.tolist(), strict=True))}
    if len(where) != len(clips):
        raise ValueError("a clip has one of its frames twice")
    first: dict[int, int] = {}
    found = []
    for c, f in sorted(where):
        first.setdefault(c, where[c, f])
        if (c, f - 1) in where:
            found.append((where[c, f], where[c, f - 1], first[c]))
    now, before, start = np.array(found, dtype=np.int64).reshape(-1, 3).T
    return Steps(now, before, start)


def track_consistency(features: ArrayLike, pairs: Steps) -> Floats:
    """Likeness of each frame to its predecessor and to the first of its clip, (K,) in [0, 1]; higher is better.

    [max(0, cos(f_t, f_t-1)) + max(0, cos(f_t, f_1))] / 2: subject consistency of VBench (Huang et al., CVPR
    2024), on features of person crops rather than of whole frames, whose background would decide.
    features: (N, D) of all samples. A person who never changes has 1, also one who is grey all over.
    """
    return _likeness(features, pairs.now, pairs.before, pairs.first)


def likeness_between(features: ArrayLike, clip: ArrayLike, pairs: Steps) -> Floats:
    """The same formula with another clip's frames as predecessor and first: the level of different people, (K,).

    The other clip is the next one in ascending order, the first for the last; needs two clips with steps.
    """
    clips = np.asarray(clip, dtype=np.int64)[pairs.now]
    names = np.unique(clips)
    if len(names) < 2:
        raise ValueError(f"different people need 2 clips with consecutive frames, found {len(names)}")
    members = {c: np.flatnonzero(clips == c) for c in names.tolist()}
    following = dict(zip(names.tolist(), np.roll(names, -1).tolist(), strict=True))
    other = np.empty(len(clips), dtype=np.int64)
    for c, own in members.items():
        theirs = members[following[c]]
        other[own] = theirs[np.arange(len(own)) % len(theirs)]
    return _likeness(features, pairs.now, pairs.before[other], pairs.first[other])


def _likeness(features: ArrayLike, now: Integers, before: Integers, first: Integers) -> Floats:
    table = torch.as_tensor(np.asarray(features, dtype=np.float64))
    previous = cosine_similarity(table[now], table[before]).clamp(min=0)
    start = cosine_similarity(table[now], table[first]).clamp(min=0)
    return np.asarray(((previous + start) / 2).numpy())


def warp(images: Tensor, flow: Tensor) -> Tensor:
    """`images` moved along a backward flow, by bilinear interpolation; border pixels are repeated outside.

    images: (B, C, H, W), uint8 or float: colours, or another flow. flow: float32 (B, 2, H, W), x and y in pixels
    from each pixel of the result to its place in `images`. Returns float32 (B, C, H, W).
    """
    height, width = images.shape[2:]
    if flow.shape != (len(images), 2, height, width):
        raise ValueError(f"images {tuple(images.shape)} and flow {tuple(flow.shape)} do not fit")
    x = (torch.arange(width) + 0.5 + flow[:, 0]) * (2 / width) - 1
    y = (torch.arange(height)[:, None] + 0.5 + flow[:, 1]) * (2 / height) - 1
    places = torch.stack([x, y], dim=-1)
    return F.grid_sample(images.float(), places, mode="bilinear", padding_mode="border", align_corners=False)


def warping_error(now: Tensor, before: Tensor, flow: Tensor, where: Tensor) -> Floats:
    """Mean absolute difference between frames and their predecessors moved along the flow, (B,) in [0, 1].

    mean over `where` of |O_t - warp(O_t-1, F)| / 255 (Lai et al., ECCV 2018, there squared), lower is better.
    now, before: uint8 (B, 3, H, W). flow: of the untouched clip, as in `warp`. where: bool (B, 1, H, W), pixels
    of the person whose point the frame before shows; nan where there are none.
    It rewards blur, and light that changes counts as error: read it over the error of the untouched clip.
    """
    difference = (now.float() - warp(before, flow)).abs().mean(dim=1) / 255.0
    return np.asarray(masked_mean(difference, where).numpy())


def flicker(now: Tensor, before: Tensor, where: Tensor) -> Floats:
    """Mean absolute difference between consecutive frames where they stand, (B,) in [0, 1], lower is better.

    Motion counts as flicker, so only what stands above the untouched clip says something. Inputs as in
    `warping_error`; `where`: pixels of the person in both frames.
    """
    return np.asarray(masked_mean(absolute_difference(now, before), where).numpy())


def changed_share(original: Tensor, anonymized: Tensor, mask: Tensor) -> Floats:
    """Share of the person's pixels that differ visibly from the original, (B,); nan for an empty mask.

    original, anonymized: uint8 (B, 3, H, W). mask: bool (B, 1, H, W), the true area of the person.
    """
    if original.dtype != torch.uint8 or anonymized.dtype != torch.uint8:
        raise ValueError(f"expected uint8 images, got {original.dtype} and {anonymized.dtype}")
    largest = (original.int() - anonymized.int()).abs().amax(dim=1)
    return np.asarray(masked_mean((largest > CHANGED_LEVELS).float(), mask).numpy())


def uncovered(shares: ArrayLike) -> NDArray[np.bool_]:
    """(N,) frames in which less than `COVERED_SHARE` of the person is changed; nan (nobody there) is covered."""
    return np.asarray(np.asarray(shares, dtype=np.float64) < COVERED_SHARE)


def longest_leak(leaks: ArrayLike, clip: ArrayLike, frame: ArrayLike, frame_rate: float) -> dict[int, float]:
    """For each clip the longest run of consecutive uncovered frames, in seconds; 0 without any.

    leaks: bool (N,); clip, frame: (N,), integers. A frame lasts 1 / frame_rate seconds.
    """
    bare, clips = np.asarray(leaks, dtype=bool), np.asarray(clip, dtype=np.int64)
    frames = np.asarray(frame, dtype=np.int64)
    longest: dict[int, float] = {}
    for c in np.unique(clips).tolist():
        own = np.sort(frames[(clips == c) & bare])
        runs = np.split(own, np.flatnonzero(np.diff(own) != 1) + 1)
        longest[c] = max(len(run) for run in runs) / frame_rate
    return longest
