"""Backgrounds: procedural places seen by the camera of the crop, and the light of a theme."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import map_coordinates

from anonbench.datasets.synthetic.body import Bools, Floats
from anonbench.datasets.synthetic.camera import Camera
from anonbench.datasets.synthetic.themes import THEMES, Theme, colour

HORIZON = 60.0
"""Metres beyond which a plane is not drawn."""

SENSOR_GRID = 256
"""Points across the picture that a crop is cut from, at which its noise is drawn."""


@dataclass(frozen=True)
class Light:
    """A sun (unit `direction` towards it, RGB `colour`, strength) over ambient light; `exposure` is what the
    camera's automatic exposure makes of both."""

    direction: Floats
    colour: Floats
    sun: float
    ambient: float

    @property
    def exposure(self) -> float:
        """Half of the way (in stops) towards a constant level: night stays darker than noon."""
        return float((0.9 / (0.8 * self.ambient + 0.5 * self.sun)) ** 0.5)

    @property
    def level(self) -> float:
        """Brightness of open ground."""
        return (0.8 * self.ambient + 0.5 * self.sun) * self.exposure


def random_light(rng: np.random.Generator, theme: int) -> Light:
    """Light as the theme has it, from any side."""
    which = THEMES[theme]
    azimuth, elevation = rng.uniform(-np.pi, np.pi), rng.uniform(*which.elevation)
    horizontal = np.cos(elevation)
    direction = [np.sin(azimuth) * horizontal, -np.cos(azimuth) * horizontal, np.sin(elevation)]
    tint = np.array(which.tint) * (1 + rng.normal(0, 0.03, 3))
    return Light(
        np.array(direction), tint, float(rng.uniform(*which.sun)), float(rng.uniform(*which.ambient))
    )


def noise(rng: np.random.Generator, size: tuple[int, int], octaves: int = 5) -> Floats:
    """(H, W) smooth noise in [0, 1]."""
    height, width = size
    total = np.zeros(size)
    for k in range(octaves):
        cells = 2 ** (k + 1)
        grid = rng.random((cells + 1, cells + 1))
        rows, columns = (_tent(n, cells) for n in (height, width))
        total += rows @ grid @ columns.T / 2**k
    total -= total.min()
    return np.asarray(total / (np.ptp(total) + 1e-9))


def _tent(pixels: int, cells: int) -> Floats:
    """(pixels, cells + 1) linear interpolation weights."""
    position = np.arange(pixels)[:, None] / pixels * cells
    return np.asarray(np.maximum(0, 1 - np.abs(position - np.arange(cells + 1))))


def background(
    rng: np.random.Generator, theme: int, camera: Camera, floor: float, size: tuple[int, int]
) -> tuple[Floats, Floats]:
    """A place of `theme` as the camera sees it: colours (H, W, 3) sRGB in [0, 1] before lighting, and the
    distance along each ray to the ground (H, W), inf where there is none. floor: height of the ground."""
    painter = _Painter(rng, THEMES[theme], camera, floor, size)
    painter.sky()
    painter.ground()
    {"open": painter.open, "street": painter.street, "park": painter.park, "room": painter.room}[
        THEMES[theme].place
    ]()
    image = painter.image * (0.84 + 0.3 * painter.noise()[..., None])
    return np.clip(image, 0, 1), painter.ground_distance


class _Painter:
    """Paints planes in front of each other in axes turned with the camera, so that a scene does not depend
    on the side from which the person is seen."""

    def __init__(
        self, rng: np.random.Generator, theme: Theme, camera: Camera, floor: float, size: tuple[int, int]
    ) -> None:
        self.rng, self.theme, self.size, self.camera = rng, theme, size, camera
        y, x = np.mgrid[0 : size[0], 0 : size[1]]
        forward = camera.rotation[2] * [1, 1, 0]
        forward /= np.linalg.norm(forward)
        turn = rng.uniform(-0.7, 0.7)
        c, s = np.cos(turn), np.sin(turn)
        facing = np.stack([[forward[1], -forward[0], 0], forward, [0, 0, 1.0]])
        axes = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ facing
        self.directions = camera.rays(x + 0.5, y + 0.5) @ axes.T
        person = camera.target * [1, 1, 0] + [0, 0, floor]
        self.origin = axes @ (camera.centre - person)
        self.distance = np.full(size, np.inf)
        self.ground_distance = np.full(size, np.inf)
        self.image = np.zeros((*size, 3))

    def pick(self, choices: tuple[tuple[int, int, int], ...]) -> Floats:
        return colour(self.rng, choices, 0.03)

    def noise(self, octaves: int = 5) -> Floats:
        """(H, W) smooth noise in [0, 1] that stays with the picture where the crop moves over it."""
        if self.camera.sensor is None:
            return noise(self.rng, self.size, octaves)
        whole = noise(self.rng, (SENSOR_GRID, SENSOR_GRID), octaves)
        left, top, right, bottom = self.camera.sensor
        y, x = np.mgrid[0 : self.size[0], 0 : self.size[1]] + 0.5
        column = ((x - self.camera.offset[0]) / self.camera.scale - left) / (right - left)
        row = ((y - self.camera.offset[1]) / self.camera.scale - top) / (bottom - top)
        places = np.stack([row, column]) * (SENSOR_GRID - 1)
        return np.asarray(map_coordinates(whole, places, order=1, mode="nearest"))

    def sky(self) -> None:
        up = np.clip(self.directions[..., 2:], 0, 1)
        self.image += self.pick(self.theme.sky) * (1.05 - 0.35 * up)

    def plane(
        self,
        axis: int,
        position: float,
        style: str,
        scale: float,
        base: Floats,
        accent: Floats,
        top: float = np.inf,
    ) -> Bools:
        """Paint the plane `axis` = `position` where it is nearest; walls end at height `top`. Returns where."""
        with np.errstate(divide="ignore", invalid="ignore"):
            distance = (position - self.origin[axis]) / self.directions[..., axis]
        seen = (distance > 0.05) & (distance < self.distance) & (distance < HORIZON)
        points = self.origin + np.where(seen, distance, 0)[..., None] * self.directions
        if axis != 2:
            seen &= (points[..., 2] >= -1e-3) & (points[..., 2] <= top)
        u, v = (points[..., k] for k in range(3) if k != axis)
        # Far texture fades: one ray per pixel would alias it.
        contrast = np.exp(-0.06 * np.where(seen, distance, 0))[..., None]
        drawn = _texture(style, u / scale, v / scale)[..., None] * contrast
        haze = 0.9 + 0.1 * contrast
        np.copyto(self.image, (base + (accent - base) * drawn) * haze, where=seen[..., None])
        np.copyto(self.distance, distance, where=seen)
        return np.asarray(seen)

    def ground(self) -> None:
        styles = {
            "open": ["plain", "ripple"],
            "street": ["tile", "plain", "brick"],
            "park": ["plain", "ripple"],
        }
        style = str(self.rng.choice(styles.get(self.theme.place, ["tile", "plank", "check"])))
        base, accent = (
            self.pick(self.theme.ground),
            self.pick(self.theme.ground) * self.rng.uniform(0.75, 0.95),
        )
        seen = self.plane(2, 0.0, style, self.rng.uniform(0.4, 1.2), base, accent)
        np.copyto(self.ground_distance, self.distance, where=seen)

    def open(self) -> None:
        """Water or a distant band at the horizon, sometimes a low wall."""
        self.plane(
            1,
            self.rng.uniform(6, 30),
            "ripple",
            2.0,
            self.pick(self.theme.wall),
            self.pick(self.theme.wall),
            1.6,
        )
        if self.rng.random() < 0.4:
            height = self.rng.uniform(0.5, 1.2)
            self._cover(1, self.rng.uniform(1.5, 5), "plank", 1.0, self.pick(self.theme.ground), height)

    def street(self) -> None:
        """House fronts on the sides and, often, across."""
        for side in (-1, 1):
            position, style = (
                side * self.rng.uniform(1.2, 5),
                str(self.rng.choice(["window", "brick", "plain"])),
            )
            if self.rng.random() < 0.8:
                self._cover(0, position, style, self.rng.uniform(1.2, 3), self.pick(self.theme.wall), np.inf)
        if self.rng.random() < 0.7:
            self._cover(
                1,
                self.rng.uniform(4, 18),
                "window",
                self.rng.uniform(2, 4),
                self.pick(self.theme.wall),
                np.inf,
            )

    def park(self) -> None:
        """A hedge or trees behind, with the structure of leaves."""
        top = self.rng.uniform(1.0, 6)
        seen = self._cover(1, self.rng.uniform(2, 12), "plain", 1.0, self.pick(self.theme.wall), top)
        leaves = self.noise(7)[..., None]
        np.copyto(self.image, self.image * (0.45 + 0.95 * leaves), where=seen[..., None])
        if self.rng.random() < 0.5:
            trunk = (self.directions[..., 0] - self.rng.uniform(-0.25, 0.25)) / self.rng.uniform(0.012, 0.03)
            bark = (np.abs(trunk) < 1) & (self.directions[..., 2] > -0.12)
            np.copyto(
                self.image,
                np.array([0.30, 0.24, 0.18]) * (1 - 0.4 * trunk[..., None] ** 2),
                where=bark[..., None],
            )

    def room(self) -> None:
        """A back wall and a side wall."""
        style = str(self.rng.choice(["plain", "tile", "plank", "panel"]))
        self._cover(
            1, self.rng.uniform(0.9, 4), style, self.rng.uniform(0.4, 1.2), self.pick(self.theme.wall), np.inf
        )
        side = self.rng.choice([-1, 1]) * self.rng.uniform(1.5, 4)
        self._cover(0, float(side), "plain", 1.0, self.pick(self.theme.wall), np.inf)

    def _cover(self, axis: int, position: float, style: str, scale: float, base: Floats, top: float) -> Bools:
        """A wall that hides the ground behind it."""
        seen = self.plane(axis, position, style, scale, base, base * self.rng.uniform(0.55, 0.8), top)
        np.copyto(self.ground_distance, np.inf, where=seen)
        return seen


def _texture(style: str, u: Floats, v: Floats) -> Floats:
    """How much of the accent colour shows at texture coordinates, in [0, 1]."""
    if style == "brick":
        return np.asarray(((v % 0.5) < 0.06) | (((u + 0.5 * (np.floor(v * 2) % 2)) % 1) < 0.05), float)
    if style == "tile":
        return np.asarray(((u % 1) < 0.05) | ((v % 1) < 0.05), float)
    if style == "window":
        return np.asarray(((u % 1) > 0.3) & ((u % 1) < 0.75) & ((v % 1) > 0.25) & ((v % 1) < 0.8), float)
    if style == "panel":
        return np.asarray((u % 1) < 0.5, float)
    if style == "check":
        return np.asarray((np.floor(u) + np.floor(v)) % 2)
    if style == "plank":
        return np.asarray((u % 0.3) < 0.02, float)
    if style == "ripple":
        return np.asarray(0.5 + 0.5 * np.sin(9 * v + 2 * np.sin(2.3 * u) + 1.3 * np.sin(5.1 * u + v)))
    return np.zeros_like(u)
