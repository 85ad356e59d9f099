"""Colour of surface points: skin, hair, cloth patterns, and the light on them."""

import numpy as np

from anonbench.datasets.synthetic.body import Body, Bools, Floats, Ints
from anonbench.datasets.synthetic.outfit import Material, garment
from anonbench.datasets.synthetic.scene import Light
from anonbench.datasets.synthetic.streams import Stream, stream
from anonbench.datasets.synthetic.wardrobe import Identity, Pattern

GAMMA = 2.2
SEAT_COLOUR = (0.45, 0.36, 0.28)
FRONT = -0.02
"""Points with rest y below this lie on the front of the trunk."""


def materials(fields: Floats, face_material: Ints, who: Identity) -> Ints:
    """(N,) material of surface points with rest fields (N, 9) on faces of `face_material`."""
    result = garment(fields, who)
    solid = face_material != Material.BY_FIELDS
    result[solid] = face_material[solid]
    return result


def albedo(body: Body, who: Identity, fields: Floats, material: Ints) -> Floats:
    """(N, 3) linear reflectance of surface points."""
    position = fields[:, 6:9]
    x, y, z = position.T
    colours = np.empty((len(fields), 3))
    colours[:] = who.skin
    _face(body, who, material, position, colours)
    arm, front = fields[:, 0] > 0.5, y < FRONT
    upper = material == Material.TOP
    along = np.where(arm, fields[:, 1] * 0.27, z)
    colours[upper] = pattern_colour(who.top.outer, position[upper], along[upper], (front & ~arm)[upper])
    if who.top.opening:
        inside = upper & front & ~arm & (np.abs(x) < who.top.opening)
        colours[inside] = pattern_colour(who.top.inner, position[inside], z[inside], front[inside])
    lower = (material == Material.BOTTOM) | (material == Material.SKIRT)
    along = np.where(fields[:, 2] > 0.5, fields[:, 3] * 0.4, z)
    cloth = who.top.outer if who.bottom.kind == "dress" else who.bottom.pattern
    colours[lower] = pattern_colour(cloth, position[lower], along[lower], front[lower])
    shoe = material == Material.SHOE
    colours[shoe] = who.accessories.shoe
    colours[shoe & (z < body.floor + 0.018)] = 0.93 if who.accessories.shoe.mean() < 0.5 else 0.08
    hair = material == Material.HAIR
    colours[hair] = who.hair.colour * (1 + 0.10 * np.sin(position[hair] @ [700, 300, 60]))[:, None]
    for kind, plain in (
        (Material.HEADWEAR, who.accessories.headwear_colour),
        (Material.BAG, who.accessories.bag_colour),
        (Material.SEAT, SEAT_COLOUR),
    ):
        colours[material == kind] = plain
    return np.asarray(np.clip(colours, 0, 1) ** GAMMA)


def _face(body: Body, who: Identity, material: Ints, position: Floats, colours: Floats) -> None:
    """Brows, lips and eyes."""
    x, y, z = position.T
    front = (material == Material.SKIN) & (z > 0.6) & (y < -0.10)
    brow = front & (np.abs(z - body.eye_height - 0.020) < 0.005) & (np.abs(np.abs(x) - 0.030) < 0.018)
    lips = front & (np.abs(z - body.mouth_height + 0.002) < 0.009) & (np.abs(x) < 0.024)
    colours[brow] = who.hair.colour * 0.7
    colours[lips] = who.skin * [0.80, 0.55, 0.55]
    eye = material == Material.EYE
    colours[eye] = np.where((y[eye] < body.eye_front + 0.0035)[:, None], 0.08, 0.9)


def pattern_colour(pattern: Pattern, position: Floats, along: Floats, front: Bools) -> Floats:
    """(N, 3) sRGB of a pattern at rest positions (N, 3); `along` runs down the trunk or limb in metres."""
    x, _, z = position.T
    accent = np.zeros(len(x), bool)
    if pattern.kind == "hstripe":
        accent = (along / pattern.scale) % 1 < 0.5
    elif pattern.kind == "vstripe":
        accent = (x / pattern.scale) % 1 < 0.3
    elif pattern.kind == "check":
        accent = ((along / pattern.scale) % 1 < 0.35) ^ ((x / pattern.scale) % 1 < 0.35)
    elif pattern.kind == "block":
        accent = z < 0.28
    elif pattern.kind == "logo":
        cell = 2 * pattern.logo_size / 5
        column = np.floor((x + pattern.logo_size) / cell).astype(int)
        row = np.floor((0.36 + pattern.logo_size - z) / cell).astype(int)
        inside = front & (column >= 0) & (column < 5) & (row >= 0) & (row < 5)
        mirrored = np.minimum(column, 4 - column)
        accent[inside] = pattern.logo[row[inside], mirrored[inside]]
    return np.where(accent[:, None], pattern.accent, pattern.base)


def wrinkled(normals: Floats, position: Floats, material: Ints, seed: int, who: Identity) -> Floats:
    """Unit normals (N, 3) with the folds of cloth: the gradient of a few sine waves at rest."""
    rng = stream(seed, Stream.WRINKLES, who.number)
    waves, phases = rng.normal(0, 1, (5, 3)) * [22, 22, 14], rng.uniform(0, 6, 5)
    cloth = np.isin(material, (Material.TOP, Material.BOTTOM, Material.SKIRT))
    tilt = np.cos(position[cloth] @ waves.T + phases) @ waves / 30
    bent = normals.copy()
    bent[cloth] += 0.16 * tilt
    return np.asarray(bent / np.maximum(np.linalg.norm(bent, axis=1, keepdims=True), 1e-9))


def lit(reflectance: Floats, normals: Floats, towards_eye: Floats, sunlit: Bools, light: Light) -> Floats:
    """(N, 3) linear radiance: Lambertian sun with shadows, hemispherical ambient light, a darker rim."""
    lambert = np.clip(normals @ light.direction, 0, None) * sunlit * light.sun
    sky = 0.55 + 0.45 * (0.5 + 0.5 * normals[:, 2])
    facing = 0.6 + 0.4 * np.clip((normals * towards_eye).sum(1), 0, 1)
    ambient = light.ambient * sky * facing
    return np.asarray(reflectance * (ambient[:, None] + lambert[:, None]) * light.colour * light.exposure)
