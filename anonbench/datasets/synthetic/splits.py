"""What each sample of each split shows: which person, pose, place, light and camera have which number."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from anonbench.datasets.synthetic.streams import Stream, stream
from anonbench.datasets.synthetic.themes import THEMES, follow

CAMERAS = 6
CONTEXT_CORRELATION = 0.7
"""Probability with which an attribute of a person in `train` and `val` follows the theme of the scene."""

IDENTITIES_PER_SPLIT = 10_000_000
"""Size of each split's own range of person numbers: no person appears in two splits."""


@dataclass(frozen=True)
class Plan:
    """Where each attribute of one sample takes its random numbers from. Samples that share a key share the
    attribute exactly.

    pose, view, light, scene, scene_light, shot: keys of random streams. `light` falls on the person,
    `scene_light` on the place, `shot` is the exposure, grain and occluder. azimuth: fixed direction of view
    (radians, 0 in front) or random. fixed_scene_camera: the place is framed for anybody, not for this person.
    factors: identity, pose and place of a factorial split. moment: clip and frame. step: what has moved a little
    from where the other numbers put it, "pose" or "background"; "": nothing.
    """

    key: str
    role: str
    person: int
    camera: int
    pose: tuple[int, ...]
    view: tuple[int, ...]
    light: tuple[int, ...]
    scene: tuple[int, ...]
    scene_light: tuple[int, ...]
    shot: tuple[int, ...]
    dress_theme: int
    light_theme: int
    scene_theme: int
    correlation: float
    pose_kind: str | None = None
    azimuth: float | None = None
    ground_shadow: bool = True
    occluders: bool = True
    fixed_scene_camera: bool = False
    factors: tuple[int, int, int] | None = None
    moment: tuple[int, int] | None = None
    step: str | None = None


@dataclass(frozen=True)
class Split:
    """How a split is laid out. count: default number of samples (`train`, `val`) or identities (others);
    per_count: samples for each of those."""

    name: str
    number: int
    count: int
    per_count: int
    plan: Callable[["Split", int, int], Plan]
    correlation: float = 0.0

    def person(self, identity: int) -> int:
        """The person number of this split's identity."""
        return self.number * IDENTITIES_PER_SPLIT + identity


def _independent(split: Split, seed: int, identity: int, view: int) -> Plan:
    """One shot of one person whose surroundings tell nothing beyond what `split.correlation` says."""
    person = split.person(identity)
    shot = (person, view)
    rng = stream(seed, Stream.THEME, *shot)
    scene_theme = int(rng.integers(len(THEMES)))
    light_theme = follow(rng, scene_theme, split.correlation)
    return Plan(
        key=f"{split.name}/{identity:06d}_{view:02d}",
        role="",
        person=person,
        camera=int(rng.integers(CAMERAS)),
        pose=shot,
        view=shot,
        light=shot,
        scene=shot,
        scene_light=shot,
        shot=shot,
        dress_theme=scene_theme,
        light_theme=light_theme,
        scene_theme=scene_theme,
        correlation=split.correlation,
    )


def _one_per_person(split: Split, seed: int, index: int) -> Plan:
    plan = _independent(split, seed, index, 0)
    return replace(plan, role="train" if split.name == "train" else "")


REID_VIEWS = 7
"""One view from each camera and a second one from the first camera. The first two views are queries."""


def _reid(split: Split, seed: int, index: int) -> Plan:
    identity, view = divmod(index, REID_VIEWS)
    start = int(stream(seed, Stream.THEME, split.person(identity)).integers(CAMERAS))
    camera = (start + view) % CAMERAS
    role = "train" if split.name == "reid_train" else "query" if view < 2 else "gallery"
    return replace(_independent(split, seed, identity, view), camera=camera, role=role)


POSES = {"pose_swap": 6, "background_swap": 4}
PLACES = {"pose_swap": 4, "background_swap": 6}
SWAP_KINDS = ("walk", "stand", "raise", "phone")


def _swap(split: Split, seed: int, index: int) -> Plan:
    """Identities x poses x places. Poses and places are the same for every identity; a pose includes the view.

    In `pose_swap` the whole shot but the person is fixed by the place, so plates are equal to the byte; in
    `background_swap` light on the person and the camera are fixed, so people are equal.
    """
    poses, places = POSES[split.name], PLACES[split.name]
    identity, rest = divmod(index, poses * places)
    pose, place = divmod(rest, places)
    person, base = split.person(identity), split.person(0)
    setting = (base, place) if split.name == "pose_swap" else (base, IDENTITIES_PER_SPLIT - 1)
    theme = place % len(THEMES)
    turn = stream(seed, Stream.VIEW, base, pose, 1).uniform(-0.3, 0.3)
    return Plan(
        key=f"{split.name}/{identity:04d}_p{pose:02d}_b{place:02d}",
        role="",
        person=person,
        camera=place % CAMERAS if split.name == "pose_swap" else 0,
        pose=(base, pose),
        view=(base, pose),
        light=setting,
        scene=(base, place),
        scene_light=setting,
        shot=setting,
        dress_theme=identity % len(THEMES),
        light_theme=theme if split.name == "pose_swap" else OFFICE,
        scene_theme=theme,
        correlation=0.0,
        pose_kind=SWAP_KINDS[pose % len(SWAP_KINDS)],
        azimuth=float(2 * np.pi * pose / poses + turn),
        ground_shadow=False,
        occluders=False,
        fixed_scene_camera=True,
        factors=(identity, pose, place),
    )


FRAME_RATE = 10.0
"""Frames per second of clips: what the `video` protocol samples from real clips too."""
WALK_FRAMES = 16
"""Frames of a clip; `chunks.CHUNK` is a multiple, so that a clip lies in one file."""


def _walk(split: Split, seed: int, index: int) -> Plan:
    """One frame of a clip; all frames of a clip share everything but the moment."""
    clip, moment = divmod(index, WALK_FRAMES)
    plan = _independent(split, seed, clip, 0)
    return replace(
        plan,
        key=f"{split.name}/{clip:04d}_{moment:02d}",
        pose_kind="walk",
        occluders=False,
        moment=(clip, moment),
    )


STEPS = ("", "pose", "background")


def _step(split: Split, seed: int, index: int) -> Plan:
    """One shot of a person, the same after a small step of the pose, and after one of the background.

    Everything else stays to the byte, camera and framing too.
    """
    identity, number = divmod(index, len(STEPS))
    plan = _independent(split, seed, identity, 0)
    return replace(
        plan,
        key=f"{split.name}/{identity:04d}_{STEPS[number] or 'still'}",
        ground_shadow=False,
        occluders=False,
        fixed_scene_camera=True,
        step=STEPS[number],
    )


OFFICE = next(i for i, theme in enumerate(THEMES) if theme.name == "office")

SPLITS = {
    split.name: split
    for split in (
        Split("train", 0, 12_000, 1, _one_per_person, CONTEXT_CORRELATION),
        Split("val", 1, 2_000, 1, _one_per_person, CONTEXT_CORRELATION),
        Split("reid", 2, 60, REID_VIEWS, _reid),
        Split("reid_train", 3, 1_000, REID_VIEWS, _reid),
        Split("pose_swap", 4, 24, POSES["pose_swap"] * PLACES["pose_swap"], _swap),
        Split("background_swap", 5, 24, POSES["background_swap"] * PLACES["background_swap"], _swap),
        Split("walks", 6, 40, WALK_FRAMES, _walk),
        Split("steps", 7, 40, len(STEPS), _step),
    )
}
