"""Same z and pose, other background (thesis Figure 5.2): does the person stay the same?

The person's pixels are aligned, so they are compared directly inside the mask, and over the body template.
"""

from anonbench.protocols.pair_distances import perceptual_measure, surface_measures
from anonbench.protocols.scoring import Context, Measurement
from anonbench.protocols.surface_pairs import cells_for
from anonbench.protocols.swaps import measure_swap


def measure(context: Context) -> Measurement:
    """Perceptual distances inside the mask with every extractor, and surface distances over the template."""
    crops = context.crops
    perceptual = [perceptual_measure(crops, extractor) for extractor in context.perceptual]
    surface = [m for cells in cells_for(crops.dataset.size) for m in surface_measures(crops, cells)]
    return measure_swap(context, "background", [*perceptual, *surface])
