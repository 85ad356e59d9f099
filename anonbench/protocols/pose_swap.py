"""Same z and background, other pose (thesis Figure 5.1): does the person stay the same?

Poses do not align pixels, so people are compared over the surface of the body template (thesis 7.2.2), as a
whole and by region, and by re-ID features.
"""

from anonbench.protocols.pair_distances import reid_measure, surface_measures
from anonbench.protocols.scoring import Context, Measurement
from anonbench.protocols.surface_pairs import cells_for
from anonbench.protocols.swaps import measure_swap


def measure(context: Context) -> Measurement:
    """Surface distances over the template, and cosine distances (1 - similarity) of every re-ID extractor."""
    crops = context.crops
    surface = [m for cells in cells_for(crops.dataset.size) for m in surface_measures(crops, cells)]
    reid = [reid_measure(extractor) for extractor in context.of_kind("reid")]
    return measure_swap(context, "pose", [*surface, *reid])
