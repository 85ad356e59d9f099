"""Pinhole cameras that frame a person, and what a camera does to the light it gets."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from anonbench.datasets.synthetic.body import Bytes, Floats
from anonbench.datasets.synthetic.streams import Stream, stream


@dataclass(frozen=True)
class Camera:
    """A pinhole camera: `centre` (3,) in metres, rows of `rotation` (3, 3) are image right, image down and
    viewing direction; pixel = scale * projection + offset; target is what it looks at."""

    centre: Floats
    rotation: Floats
    target: Floats
    scale: float
    offset: Floats

    def pixels(self, points: Floats) -> Floats:
        """(..., 2) x, y in pixels of world points (..., 3); the centre of the top left pixel is 0.5."""
        seen = (points - self.centre) @ self.rotation.T
        return np.asarray(self.scale * seen[..., :2] / seen[..., 2:] + self.offset)

    def rays(self, x: Floats, y: Floats) -> Floats:
        """(..., 3) directions through pixel positions, of unit depth along the viewing direction."""
        planar = [(x - self.offset[0]) / self.scale, (y - self.offset[1]) / self.scale, np.ones_like(x)]
        return np.asarray(np.stack(planar, -1) @ self.rotation)

    def depth(self, points: Floats) -> Floats:
        """(...,) distance along the viewing direction."""
        return np.asarray((points - self.centre) @ self.rotation[2])


def frame(
    rng: np.random.Generator, points: Floats, size: tuple[int, int], azimuth: float | None = None
) -> Camera:
    """A random camera around `points` (N, 3) whose crop of `size` (H, W) holds them, as a detector would.

    azimuth: radians, 0 in front, or random. Half of the cameras hang high, as surveillance cameras do.
    """
    height, width = size
    angle = rng.uniform(-np.pi, np.pi)
    angle = angle if azimuth is None else azimuth
    eye_level, high = rng.uniform(-3, 12), rng.uniform(10, 38)
    tilt = np.deg2rad(eye_level if rng.random() < 0.5 else high)
    distance = rng.uniform(3.5, 9)
    target = (points.min(0) + points.max(0)) / 2
    outwards = np.array([np.sin(angle) * np.cos(tilt), -np.cos(angle) * np.cos(tilt), np.sin(tilt)])
    camera = _look_at(target + distance * outwards, target)
    seen = camera.pixels(points)
    low, high_corner = seen.min(0), seen.max(0)
    extent = high_corner - low
    scale = min(height * rng.uniform(0.80, 0.95) / extent[1], width * rng.uniform(0.86, 0.98) / extent[0])
    middle = np.array([width, height]) * (0.5 + rng.normal(0, 0.015, 2))
    offset = middle - scale * (low + high_corner) / 2
    return Camera(camera.centre, camera.rotation, target, float(scale), offset)


def _look_at(centre: Floats, target: Floats) -> Camera:
    forward = (target - centre) / np.linalg.norm(target - centre)
    right = np.cross(forward, [0, 0, 1.0])
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    return Camera(centre, rotation, target, 1.0, np.zeros(2))


@dataclass(frozen=True)
class Response:
    """What happens between light and file: `gain` (3, 3) white balance, crosstalk and exposure, gamma,
    vignetting in [0, 1], blur in pixels at 288 rows, and `grain` (H, W, 3), additive in display values."""

    gain: Floats
    gamma: float
    vignetting: float
    blur: float
    grain: Floats

    def __call__(self, display: Floats) -> Bytes:
        """uint8 (H, W, 3) from display-referred light, float (H, W, 3)."""
        height, width = display.shape[:2]
        image = np.clip(display @ self.gain.T, 0, None) ** self.gamma
        y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
        image *= (1 - self.vignetting * (x**2 + y**2) / 2)[..., None]
        sigma = self.blur * height / 288
        if sigma > 0.15:
            # Truncated at two sigma: colour must not travel further than the dilated person mask.
            image = gaussian_filter(image, (sigma, sigma, 0), truncate=2.0)
        return (np.clip(image + self.grain, 0, 1) * 255 + 0.5).astype(np.uint8)


def response(seed: int, camera: int, shot: tuple[int, ...], size: tuple[int, int]) -> Response:
    """The response of camera number `camera` for one shot: its character is fixed, exposure and grain vary."""
    fixed = stream(seed, Stream.CAMERA, camera)
    balance = (1 + fixed.normal(0, 0.05, 3)) * fixed.uniform(0.8, 1.15)
    crosstalk = np.eye(3) + fixed.normal(0, 0.025, (3, 3))
    gamma, vignetting = fixed.uniform(0.85, 1.2), fixed.uniform(0, 0.25)
    blur, noise = fixed.uniform(0, 0.8), fixed.uniform(0.004, 0.02)
    rng = stream(seed, Stream.RESPONSE, *shot)
    exposure = rng.uniform(0.84, 1.16) * (1 + rng.normal(0, 0.02, 3))
    gain = crosstalk * (balance * exposure)[None]
    return Response(gain, float(gamma), float(vignetting), float(blur), rng.normal(0, noise, (*size, 3)))
