"""Pinhole cameras that frame a person, and what a camera does to the light it gets."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from anonbench.datasets.synthetic.body import Bytes, Floats
from anonbench.datasets.synthetic.streams import Stream, stream


@dataclass(frozen=True)
class Camera:
    """A pinhole camera: `centre` (3,) in metres, rows of `rotation` (3, 3) are image right, image down and
    viewing direction; pixel = scale * projection + offset; target is what it looks at. sensor: left, top,
    right and bottom of the picture that the crop is cut from, as projections; None: the crop is all of it."""

    centre: Floats
    rotation: Floats
    target: Floats
    scale: float
    offset: Floats
    sensor: tuple[float, float, float, float] | None = None

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
    camera = _placed(rng, points, azimuth)
    seen = camera.pixels(points)
    low, high_corner = seen.min(0), seen.max(0)
    extent = high_corner - low
    scale = min(height * rng.uniform(0.80, 0.95) / extent[1], width * rng.uniform(0.86, 0.98) / extent[0])
    middle = np.array([width, height]) * (0.5 + rng.normal(0, 0.015, 2))
    offset = middle - scale * (low + high_corner) / 2
    return Camera(camera.centre, camera.rotation, camera.target, float(scale), offset)


def follow(
    rng: np.random.Generator, moments: Sequence[Floats], way: Floats, size: tuple[int, int]
) -> list[Camera]:
    """A random camera that stands still, and its crop of `size` (H, W) that follows somebody.

    moments: their points (N, 3) at each of T moments; way: (T, 3), where their middle goes. The crop moves with
    the way and keeps the size of the person, as smoothed windows of a tracked video do: limbs do not shake it.
    """
    height, width = size
    camera = _placed(rng, np.concatenate(moments), None)
    centres, depths = camera.pixels(way), camera.depth(way)
    around = [
        depth * (camera.pixels(points) - centre)
        for points, centre, depth in zip(moments, centres, depths, strict=True)
    ]
    low, high = np.min([a.min(0) for a in around], 0), np.max([a.max(0) for a in around], 0)
    extent = high - low
    scale = min(height * rng.uniform(0.80, 0.95) / extent[1], width * rng.uniform(0.86, 0.98) / extent[0])
    middle = np.array([width, height]) * (0.5 + rng.normal(0, 0.015, 2)) - scale * (low + high) / 2
    scales = scale * depths
    offsets = middle - scales[:, None] * centres
    corners = np.concatenate([-offsets, [width, height] - offsets]) / np.tile(scales, 2)[:, None]
    left, top, right, bottom = (float(value) for value in (*corners.min(0), *corners.max(0)))
    return [
        Camera(camera.centre, camera.rotation, camera.target, float(s), offset, (left, top, right, bottom))
        for s, offset in zip(scales, offsets, strict=True)
    ]


def _placed(rng: np.random.Generator, points: Floats, azimuth: float | None) -> Camera:
    """A camera that looks at the middle of `points` (N, 3), in units of its image plane."""
    angle = rng.uniform(-np.pi, np.pi)
    angle = angle if azimuth is None else azimuth
    eye_level, high = rng.uniform(-3, 12), rng.uniform(10, 38)
    tilt = np.deg2rad(eye_level if rng.random() < 0.5 else high)
    distance = rng.uniform(3.5, 9)
    target = (points.min(0) + points.max(0)) / 2
    outwards = np.array([np.sin(angle) * np.cos(tilt), -np.cos(angle) * np.cos(tilt), np.sin(tilt)])
    return _look_at(target + distance * outwards, target)


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


def response(
    seed: int,
    camera: int,
    shot: tuple[int, ...],
    size: tuple[int, int],
    frame: tuple[int, ...] | None = None,
) -> Response:
    """The response of camera number `camera` for one shot: its character is fixed, exposure and grain vary.

    frame: key of the grain, where several frames share the exposure of a shot.
    """
    fixed = stream(seed, Stream.CAMERA, camera)
    balance = (1 + fixed.normal(0, 0.05, 3)) * fixed.uniform(0.8, 1.15)
    crosstalk = np.eye(3) + fixed.normal(0, 0.025, (3, 3))
    gamma, vignetting = fixed.uniform(0.85, 1.2), fixed.uniform(0, 0.25)
    blur, noise = fixed.uniform(0, 0.8), fixed.uniform(0.004, 0.02)
    rng = stream(seed, Stream.RESPONSE, *shot)
    exposure = rng.uniform(0.84, 1.16) * (1 + rng.normal(0, 0.02, 3))
    gain = crosstalk * (balance * exposure)[None]
    grain = (rng if frame is None else stream(seed, Stream.RESPONSE, *frame)).normal(0, noise, (*size, 3))
    return Response(gain, float(gamma), float(vignetting), float(blur), grain)
