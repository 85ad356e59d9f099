"""What the renderer knows about a person, in words that a classifier can be asked for."""

import numpy as np

from anonbench.datasets.synthetic.wardrobe import SKIN_TONES, Identity

LONG_HAIR = ("bob", "long", "pony", "bun")
BUILD = (0.405, 0.595)
"""Thirds of the weight that people are drawn with, a normal distribution around 0.5 with deviation 0.22."""


def attributes_of(who: Identity) -> dict[str, str]:
    """Attribute -> class of a person.

    figure: feminine, masculine. build: light, medium, heavy. skin: light, medium, dark. hair: short, long.
    top: tshirt, long, jacket. bottom: trousers, shorts, skirted.
    """
    return {
        "figure": "feminine" if who.phenotype["gender"] > 0.5 else "masculine",
        "build": ("light", "medium", "heavy")[int(np.searchsorted(BUILD, who.phenotype["weight"]))],
        "skin": ("light", "medium", "dark")[_third_of_tones(who)],
        "hair": "long" if who.hair.style in LONG_HAIR else "short",
        "top": who.top.kind,
        "bottom": "skirted" if who.bottom.skirted else who.bottom.kind,
    }


def _third_of_tones(who: Identity) -> int:
    """0 for the lightest third of the scale from which skin tones are drawn evenly, 2 for the darkest."""
    steps = np.arange(len(SKIN_TONES))
    brightness = SKIN_TONES.sum(axis=1) / 255
    position = np.interp(-who.skin.sum(), -brightness, steps)
    return int(np.searchsorted(steps[-1] * np.array([1 / 3, 2 / 3]), position))
