"""Random poses: walking, standing, sitting, an arm raised, a phone in the hand.

Rotation vectors (radians) about world axes at the A-pose, by bone name: x from right to left, y to the
back, z up. Joint ranges were chosen by eye.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

Vector = NDArray[np.float64]
Pose = dict[str, Vector]

KINDS = ("walk", "stand", "sit", "raise", "phone")
ODDS = (0.5, 0.2, 0.06, 0.12, 0.12)
SIDES = ((".L", 1), (".R", -1))
STRIDE = (0.22, 0.45)
"""How far a leg swings to the front and to the back in a walk, radians."""
ARM_REST = 0.62
"""Rotation that brings an arm from the A-pose down to the body."""


def random_pose(rng: np.random.Generator, kind: str | None = None) -> tuple[str, Pose]:
    """A pose of a random kind, or of the given one."""
    chosen = str(rng.choice(KINDS, p=ODDS))
    kind = kind or chosen
    phase, stride = rng.uniform(0, 2 * np.pi), rng.uniform(*STRIDE)
    busy = int(rng.integers(3))  # which arm a gesture takes: left, right, both
    return kind, _pose(rng, kind, phase, stride, busy)


def walking_pose(rng: np.random.Generator, phase: float, stride: float) -> Pose:
    """A moment of a walk. phase: radians, falling as time goes on; stride: how far a leg swings, radians.

    Generators in equal states give the same posture, so that phases of one walk differ in the swing alone.
    """
    return _pose(rng, "walk", phase, stride, busy=0)


def nudged(rng: np.random.Generator, pose: Pose, angle: float) -> Pose:
    """The pose with every joint turned a little, in a random direction of the space of poses.

    angle: radians, the root mean square over the joints.
    """
    turns = rng.normal(size=(len(pose), 3))
    turns *= angle / np.sqrt((turns**2).sum(axis=1).mean())
    return {bone: vector + turn for (bone, vector), turn in zip(pose.items(), turns, strict=True)}


def _pose(rng: np.random.Generator, kind: str, phase: float, stride: float, busy: int) -> Pose:
    pose: Pose = {}
    for k, (suffix, sign) in enumerate(SIDES):
        step = stride * np.sin(phase + k * np.pi) if kind == "walk" else 0.0
        legs = _sitting_leg(rng, sign) if kind == "sit" else _leg(rng, kind, phase + k * np.pi, step)
        gesture = kind if kind in ("sit", "raise", "phone") and (kind == "sit" or busy in (k, 2)) else "hang"
        pose |= {name + suffix: vector for name, vector in (legs | _arm(rng, gesture, sign, step)).items()}
    pose["spine03"], pose["spine01"] = rng.normal(0, 0.05, 3), rng.normal(0, 0.05, 3)
    pose["neck01"] = rng.normal(0, 0.08, 3)
    pose["head"] = rng.normal(0, 0.1, 3)
    pose["head"][2] += rng.normal(0, 0.2)
    return pose


def _leg(rng: np.random.Generator, kind: str, phase: float, step: float) -> Pose:
    walking = kind == "walk"
    bend = 0.1 + 0.55 * max(0.0, -np.cos(phase)) + 0.2 * max(0.0, -np.sin(phase)) if walking else 0.0
    return {
        "upperleg01": np.array([-step, 0, 0]) + rng.normal(0, 0.04, 3),
        "lowerleg01": np.array([bend + 0.03, 0, 0]),
        "foot": np.array([-0.1 * np.sin(phase) * walking, 0, 0]),
    }


def _sitting_leg(rng: np.random.Generator, sign: int) -> Pose:
    return {
        "upperleg01": np.array([-1.45, sign * rng.uniform(-0.05, 0.12), 0]),
        "lowerleg01": np.array([1.45 + rng.normal(0, 0.1), 0, 0]),
    }


def _arm(rng: np.random.Generator, gesture: str, sign: int, step: float) -> Pose:
    lower, swing, elbow = ARM_REST + rng.normal(0, 0.06), 0.9 * step, rng.uniform(-0.25, 0.05)
    if gesture == "raise":
        lower, swing, elbow = rng.uniform(-1.7, -0.6), rng.normal(0, 0.2), rng.uniform(-0.4, 0.3)
    elif gesture == "phone":
        lower, swing, elbow = 0.6, -rng.uniform(0.2, 0.6), rng.uniform(0.9, 1.5)
    elif gesture == "sit":
        lower, swing, elbow = 0.6, -0.35, 0.5
    upper = Rotation.from_rotvec([swing, 0, 0]) * Rotation.from_rotvec([0, sign * lower, 0])
    return {"upperarm01": upper.as_rotvec(), "lowerarm01": elbow * np.array([-0.75, 0, -0.66 * sign])}
