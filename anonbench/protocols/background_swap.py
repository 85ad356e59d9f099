"""Same z and pose, other background (thesis Figure 5.2): does the person stay the same?

The person's pixels are aligned, so they are compared directly inside the mask, and over the body template.
"""

from anonbench.protocols.scoring import Context, Measurement
from anonbench.protocols.swaps import (
    Measure,
    measure_swap,
    perceptual_distances_inside,
    surface_distances,
)


def measure(context: Context) -> Measurement:
    """Perceptual distances inside the mask with every extractor, and surface distances over the template."""
    perceptual = [
        Measure("perceptual", e.key, perceptual_distances_inside(context.crops, e), "distance")
        for e in context.perceptual
    ]
    surface = Measure("surface", "template", surface_distances(context.crops), "colour distance")
    return measure_swap(context, "background", [*perceptual, surface])
