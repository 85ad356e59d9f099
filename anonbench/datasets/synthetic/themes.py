"""Scene themes: place, season and light, with the clothes people wear there.

In photographs the surroundings tell about appearance. `train` and `val` reproduce that: with probability
`context_correlation` each attribute of a person follows the theme of the scene, else the theme of a random other scene.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Theme:
    """Colours are sRGB 0-255. `place` picks the geometry of the scene; `bare` is the probability of short
    sleeves and legs; elevation in radians and strengths of sun and ambient light are ranges."""

    name: str
    place: str
    ground: tuple[Colour, ...]
    wall: tuple[Colour, ...]
    sky: tuple[Colour, ...]
    garments: tuple[Colour, ...]
    shoes: tuple[Colour, ...]
    uniform: tuple[Colour, Colour]
    bare: float
    sun: tuple[float, float]
    ambient: tuple[float, float]
    elevation: tuple[float, float]
    tint: tuple[float, float, float]


THEMES = (
    Theme(
        name="summer beach",
        place="open",
        ground=((226, 200, 150), (214, 184, 134), (232, 212, 170)),
        wall=((70, 150, 180), (90, 170, 190)),
        sky=((120, 180, 235), (150, 200, 240)),
        garments=((232, 230, 222), (222, 208, 180), (214, 130, 104), (232, 196, 110)),
        shoes=((200, 190, 170), (150, 110, 75), (235, 235, 230)),
        uniform=((214, 60, 44), (232, 230, 222)),
        bare=0.85,
        sun=(0.9, 1.3),
        ambient=(0.55, 0.8),
        elevation=(0.9, 1.35),
        tint=(1.05, 1.0, 0.94),
    ),
    Theme(
        name="winter city",
        place="street",
        ground=((196, 202, 210), (168, 176, 188), (214, 218, 224)),
        wall=((112, 122, 138), (140, 148, 162), (92, 100, 116)),
        sky=((190, 202, 220), (170, 186, 210)),
        garments=((28, 30, 38), (58, 64, 78), (86, 96, 116), (44, 54, 84)),
        shoes=((24, 22, 22), (60, 48, 40)),
        uniform=((34, 44, 72), (28, 30, 38)),
        bare=0.02,
        sun=(0.1, 0.45),
        ambient=(0.6, 0.85),
        elevation=(0.3, 0.7),
        tint=(0.95, 1.0, 1.07),
    ),
    Theme(
        name="autumn park",
        place="park",
        ground=((150, 104, 60), (168, 120, 66), (124, 96, 56)),
        wall=((176, 106, 44), (150, 90, 40), (190, 140, 60)),
        sky=((214, 206, 190), (196, 196, 196)),
        garments=((104, 72, 46), (150, 84, 46), (110, 104, 58), (176, 142, 88)),
        shoes=((78, 52, 34), (40, 32, 28)),
        uniform=((94, 92, 54), (104, 72, 46)),
        bare=0.12,
        sun=(0.5, 0.9),
        ambient=(0.45, 0.7),
        elevation=(0.4, 0.8),
        tint=(1.07, 1.0, 0.91),
    ),
    Theme(
        name="night street",
        place="street",
        ground=((84, 74, 76), (70, 64, 74), (98, 84, 76)),
        wall=((90, 66, 88), (78, 60, 70), (108, 78, 68)),
        sky=((34, 30, 60), (46, 36, 66)),
        garments=((30, 28, 32), (96, 36, 52), (74, 46, 94), (124, 120, 126)),
        shoes=((22, 20, 22), (190, 188, 188)),
        uniform=((26, 24, 28), (26, 24, 28)),
        bare=0.3,
        sun=(0.5, 0.9),
        ambient=(0.32, 0.5),
        elevation=(0.7, 1.3),
        tint=(1.12, 0.99, 0.86),
    ),
    Theme(
        name="office",
        place="room",
        ground=((150, 156, 158), (128, 134, 138), (176, 172, 164)),
        wall=((214, 216, 212), (196, 206, 206), (224, 220, 208)),
        sky=((230, 232, 230),),
        garments=((226, 230, 234), (150, 172, 200), (96, 98, 104), (56, 62, 72)),
        shoes=((28, 24, 22), (86, 56, 36)),
        uniform=((172, 190, 214), (46, 52, 66)),
        bare=0.25,
        sun=(0.15, 0.4),
        ambient=(0.7, 0.95),
        elevation=(1.1, 1.4),
        tint=(0.99, 1.02, 1.0),
    ),
    Theme(
        name="sports field",
        place="park",
        ground=((74, 128, 62), (88, 142, 70), (66, 112, 60)),
        wall=((48, 96, 52), (60, 110, 58), (40, 84, 56)),
        sky=((140, 190, 225), (170, 205, 230)),
        garments=((44, 104, 70), (54, 94, 168), (200, 60, 56), (226, 226, 220)),
        shoes=((230, 230, 226), (54, 94, 168), (30, 30, 34)),
        uniform=((44, 104, 70), (226, 226, 220)),
        bare=0.7,
        sun=(0.7, 1.1),
        ambient=(0.5, 0.75),
        elevation=(0.7, 1.2),
        tint=(1.01, 1.0, 0.98),
    ),
)


def colour(
    rng: np.random.Generator, choices: tuple[Colour, ...], spread: float = 0.015
) -> NDArray[np.float64]:
    """One of `choices` as sRGB (3,) in [0, 1], with brightness and hue varied a little by `spread`."""
    base = np.array(choices[rng.integers(len(choices))]) / 255
    return np.clip(base * (1 + rng.normal(0, 2 * spread)) + rng.normal(0, spread, 3), 0.02, 0.97)


def follow(rng: np.random.Generator, scene: int, correlation: float) -> int:
    """The theme an attribute takes: the scene's with probability `correlation`, else a random one."""
    other = int(rng.integers(len(THEMES)))
    return scene if rng.random() < correlation else other
