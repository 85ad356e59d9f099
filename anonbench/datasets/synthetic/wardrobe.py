"""Who a synthetic person is and what they wear: body shape, skin, hair, garments, patterns, things carried."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anonbench.datasets.synthetic.streams import Stream, stream
from anonbench.datasets.synthetic.themes import THEMES, Theme, colour, follow

Colours = NDArray[np.float64]

SKIN_TONES = np.array(
    [[255, 219, 190], [240, 194, 160], [219, 166, 125], [180, 124, 86], [130, 84, 56], [84, 54, 38]]
)
HAIR_COLOURS = np.array(
    [
        [18, 14, 12],
        [45, 28, 18],
        [90, 56, 30],
        [160, 115, 60],
        [215, 180, 120],
        [120, 45, 20],
        [150, 150, 150],
    ]
)
MUTED = (
    (30, 30, 34), (70, 72, 78), (128, 128, 130), (44, 54, 84), (74, 96, 130), (176, 160, 134), (226, 224, 218),
)  # fmt: skip
VIVID = ((150, 25, 30), (225, 120, 40), (230, 190, 60), (95, 50, 110), (215, 130, 160), (40, 130, 135))

HAIR_STYLES = ("bald", "buzz", "short", "afro", "bob", "long", "pony", "bun")
HAIR_ODDS = {
    True: (0.02, 0.05, 0.1, 0.08, 0.25, 0.25, 0.15, 0.1),
    False: (0.1, 0.25, 0.5, 0.1, 0.02, 0.03, 0, 0),
}
HAIR_VOLUME = {"bald": 0.0, "buzz": 0.004, "short": 0.018, "afro": 0.055, "bob": 0.02, "long": 0.018}
HEADWEAR = ("none", "cap", "beanie")
PATTERNS = ("plain", "hstripe", "vstripe", "check", "logo", "block")
TOP_PATTERN_ODDS = (0.5, 0.14, 0.06, 0.1, 0.13, 0.07)
BOTTOM_PATTERN_ODDS = (0.86, 0.02, 0.04, 0.08, 0.0, 0.0)

UNIFORM_SHARE = 0.25
"""Share of people in their theme's uniform: alike in clothes, told apart by body, skin, hair and shoes."""
VIVID_SHARE = 0.14
MUTED_SHARE = 0.3


@dataclass(frozen=True)
class Pattern:
    """A solid texture: `kind` of PATTERNS, its two colours, stripe width and logo half size in metres, and
    half of a mirrored 5 x 5 logo."""

    kind: str
    base: Colours
    accent: Colours
    scale: float
    logo_size: float
    logo: NDArray[np.bool_]


@dataclass(frozen=True)
class Hair:
    """`style` of HAIR_STYLES."""

    style: str
    colour: Colours


@dataclass(frozen=True)
class Top:
    """Upper garment. kind: tshirt, long or jacket; `sleeve` ends at that position along the arm, `hem` is its
    height; `collar` the radius around the neck, `opening` half of the width of an open jacket."""

    kind: str
    sleeve: float
    hem: float
    collar: float
    looseness: float
    opening: float
    outer: Pattern
    inner: Pattern


@dataclass(frozen=True)
class Bottom:
    """Lower garment. kind: trousers, shorts, skirt or dress; `leg` ends at that position along the leg,
    `skirt_hem` is a height. A dress has the pattern of the top."""

    kind: str
    leg: float
    skirt_hem: float
    pattern: Pattern

    @property
    def skirted(self) -> bool:
        """Whether a skirt hangs from the hips."""
        return self.kind in ("skirt", "dress")


@dataclass(frozen=True)
class Accessories:
    """Shoes up to `shoe_top` along the leg, `headwear` of HEADWEAR, a backpack or none."""

    shoe: Colours
    shoe_top: float
    headwear: str
    headwear_colour: Colours
    bag: bool
    bag_colour: Colours


@dataclass(frozen=True)
class Identity:
    """Everything that stays the same over all images of one person.

    Heights and lengths in metres at the rest pose; positions along limbs as in `Body`: 0 root, 1 elbow or
    knee, 2 wrist or ankle. Colours are sRGB in [0, 1].
    """

    number: int
    phenotype: dict[str, float]
    skin: Colours
    hair: Hair
    top: Top
    bottom: Bottom
    accessories: Accessories


def identity(seed: int, number: int, scene: int, correlation: float) -> Identity:
    """The person with this number, whose clothes follow theme `scene` with probability `correlation`."""
    feminine = bool(stream(seed, Stream.SHAPE, number).random() < 0.5)
    skin, fair = _skin(seed, number)
    rng = stream(seed, Stream.UNIFORM, number)
    theme = THEMES[follow(rng, scene, correlation)]
    uniform = theme if rng.random() < UNIFORM_SHARE else None
    return Identity(
        number=number,
        phenotype=_phenotype(seed, number, feminine),
        skin=skin,
        hair=_hair(seed, number, feminine, fair),
        top=_top(seed, number, scene, correlation, uniform),
        bottom=_bottom(seed, number, feminine, scene, correlation, uniform),
        accessories=_accessories(seed, number, scene, correlation),
    )


def _phenotype(seed: int, number: int, feminine: bool) -> dict[str, float]:
    rng = stream(seed, Stream.SHAPE, number, 1)
    return {
        "gender": float(np.clip((0.9 if feminine else 0.1) + rng.normal(0, 0.08), 0, 1)),
        "age": float(rng.uniform(0.5, 0.85)),
        "muscle": float(rng.uniform(0.3, 0.8)),
        "weight": float(np.clip(rng.normal(0.5, 0.22), 0.05, 1)),
        "height": float(np.clip(rng.normal(0.5, 0.18), 0.05, 0.95)),
        "proportions": float(rng.uniform(0.3, 0.8)),
    }


def _skin(seed: int, number: int) -> tuple[Colours, bool]:
    position = stream(seed, Stream.SKIN, number).uniform(0, len(SKIN_TONES) - 1)
    low = int(position)
    tone = SKIN_TONES[low] + (SKIN_TONES[low + 1] - SKIN_TONES[low]) * (position - low)
    return tone / 255, bool(position < 3.2)


def _hair(seed: int, number: int, feminine: bool, fair: bool) -> Hair:
    rng = stream(seed, Stream.HAIR, number)
    style = str(rng.choice(HAIR_STYLES, p=HAIR_ODDS[feminine]))
    colours = HAIR_COLOURS if fair else HAIR_COLOURS[:3]
    tone = colours[rng.integers(len(colours))] / 255 * rng.uniform(0.85, 1.15)
    return Hair(style, np.clip(tone, 0.02, 0.95))


def _garment_colour(rng: np.random.Generator, theme: Theme) -> Colours:
    """Mostly the theme's colours, sometimes common muted ones, rarely vivid ones."""
    kind = rng.random()
    if kind < VIVID_SHARE:
        return colour(rng, VIVID)
    return colour(rng, MUTED if kind < VIVID_SHARE + MUTED_SHARE else theme.garments)


def _pattern(
    rng: np.random.Generator, theme: Theme, odds: tuple[float, ...], plain: Colours | None = None
) -> Pattern:
    """A random pattern in the theme's colours; the plain cloth `plain` where given."""
    kind = str(rng.choice(PATTERNS, p=odds))
    base, accent = _garment_colour(rng, theme), _garment_colour(rng, theme)
    return Pattern(
        kind="plain" if plain is not None else kind,
        base=base if plain is None else plain,
        accent=accent,
        scale=float(rng.uniform(0.025, 0.07)),
        logo_size=float(rng.uniform(0.06, 0.11)),
        logo=rng.random((5, 3)) < 0.55,
    )


def _top(seed: int, number: int, scene: int, correlation: float, uniform: Theme | None) -> Top:
    rng = stream(seed, Stream.TOP, number)
    theme = THEMES[follow(rng, scene, correlation)]
    season = uniform or THEMES[follow(rng, scene, correlation)]
    bare = bool(rng.random() < season.bare)
    jacket = bool(rng.random() < 0.55 * (1 - season.bare))
    sleeve = {"tshirt": rng.uniform(0.45, 0.85), "long": rng.uniform(1.75, 1.95), "jacket": 1.97}
    kind = "tshirt" if bare else "jacket" if jacket else "long"
    opening = float(rng.uniform(0.02, 0.06)) if rng.random() < 0.6 and kind == "jacket" else 0.0
    jacket_hem, shirt_hem = rng.uniform(-0.14, -0.02), rng.uniform(-0.06, 0.04)
    cloth = colour(rng, (uniform.uniform[0],), 0.01) if uniform else None
    return Top(
        kind=kind,
        sleeve=float(sleeve[kind]),
        opening=opening,
        hem=float(jacket_hem if kind == "jacket" else shirt_hem),
        collar=float(rng.uniform(0.085, 0.13)),
        looseness=float(rng.uniform(0.4, 1.3)),
        outer=_pattern(rng, theme, TOP_PATTERN_ODDS, cloth),
        inner=_pattern(rng, theme, TOP_PATTERN_ODDS),
    )


def _bottom(
    seed: int, number: int, feminine: bool, scene: int, correlation: float, uniform: Theme | None
) -> Bottom:
    rng = stream(seed, Stream.BOTTOM, number)
    theme = THEMES[follow(rng, scene, correlation)]
    season = uniform or THEMES[follow(rng, scene, correlation)]
    bare = bool(rng.random() < 0.7 * season.bare)
    skirted = bool(rng.random() < (0.35 if feminine and not uniform else 0.0))
    kind = str(rng.choice(["skirt", "dress"])) if skirted else "shorts" if bare else "trousers"
    legs = {"trousers": rng.uniform(1.8, 1.98), "shorts": rng.uniform(0.6, 0.95), "skirt": 0.0, "dress": 0.0}
    hem = rng.uniform(-0.45, -0.3) if bare else rng.uniform(-0.62, -0.4)
    cloth = colour(rng, (uniform.uniform[1],), 0.01) if uniform else None
    return Bottom(kind, float(legs[kind]), float(hem), _pattern(rng, theme, BOTTOM_PATTERN_ODDS, cloth))


def _accessories(seed: int, number: int, scene: int, correlation: float) -> Accessories:
    rng = stream(seed, Stream.SHOES, number)
    theme = THEMES[follow(rng, scene, correlation)]
    shoe, shoe_top = colour(rng, theme.shoes), float(rng.choice([1.93, 1.9, 1.7], p=[0.6, 0.25, 0.15]))
    rng = stream(seed, Stream.CARRIED, number)
    theme = THEMES[follow(rng, scene, correlation)]
    beanie = 0.2 * (1 - theme.bare)
    return Accessories(
        shoe=shoe,
        shoe_top=shoe_top,
        headwear=str(rng.choice(HEADWEAR, p=[0.9 - beanie, 0.1, beanie])),
        headwear_colour=_garment_colour(rng, theme),
        bag=bool(rng.random() < 0.14),
        bag_colour=_garment_colour(rng, theme),
    )
