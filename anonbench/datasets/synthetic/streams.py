"""Random streams: one per attribute, so that a new attribute changes no other one."""

from enum import IntEnum

import numpy as np


class Stream(IntEnum):
    """What a stream is for: the first word of its key after the seed. Numbers never change or return."""

    SHAPE = 1
    SKIN = 2
    HAIR = 3
    TOP = 4
    BOTTOM = 5
    SHOES = 6
    UNIFORM = 7
    CARRIED = 8
    WRINKLES = 9
    POSE = 20
    VIEW = 21
    LIGHT = 22
    SCENE = 23
    RESPONSE = 24
    OCCLUDER = 25
    THEME = 26
    CAMERA = 27
    WALK = 28
    STEP = 29


def stream(seed: int, kind: Stream, *numbers: int) -> np.random.Generator:
    """The random numbers of one attribute of one thing."""
    return np.random.default_rng([seed, int(kind), *numbers])
