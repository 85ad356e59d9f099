"""Same z and background, other pose (thesis Figure 5.1): does the person stay the same?

Poses do not align pixels, so people are compared over the surface of the body template (thesis 7.2.2) and
by re-ID features.
"""

import torch

from anonbench.features.base import Extractor
from anonbench.metrics.similarity import cosine_similarity
from anonbench.protocols.generation import ImageSet
from anonbench.protocols.scoring import Context, Floats, Measurement, features_of
from anonbench.protocols.swaps import Distance, Integers, Measure, measure_swap, surface_distances


def measure(context: Context) -> Measurement:
    """Surface distances over the template, and cosine distances (1 - similarity) of every re-ID extractor."""
    surface = Measure("surface", "template", surface_distances(context.crops), "colour distance")
    reid = [Measure("reid", e.name, _cosine(e), "cosine distance") for e in context.of_kind("reid")]
    return measure_swap(context, "pose", [surface, *reid])


def _cosine(extractor: Extractor) -> Distance:
    def distance(a: ImageSet, i: Integers, b: ImageSet, j: Integers) -> Floats:
        first, second = features_of(a, extractor)[i], features_of(b, extractor)[j]
        similarity = cosine_similarity(torch.from_numpy(first), torch.from_numpy(second))
        return (1.0 - similarity).numpy()

    return distance
