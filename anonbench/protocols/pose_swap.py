"""Same z and background, other pose (thesis Figure 5.1): does the person stay the same?

Poses do not align pixels, so people are compared over the surface of the body template (thesis 7.2.2) and
by re-ID features.
"""

import pandas as pd

from anonbench.features.base import Extractor
from anonbench.metrics.similarity import cosine_similarity
from anonbench.protocols.generation import ImageSet
from anonbench.protocols.scoring import Context, Floats, Measurement, features_of
from anonbench.protocols.swaps import (
    Distance,
    Integers,
    long_form_pairs,
    surface_distances,
    swap_metrics,
    swap_pairs,
    swap_strips,
)
from anonbench.records import Metric


def measure(context: Context) -> Measurement:
    """Surface distances over the template, and cosine distances (1 - similarity) of every re-ID extractor."""
    pairs = swap_pairs(context.crops.samples, "pose")
    measured = [("surface", "template", surface_distances(context.crops), "colour distance")]
    measured += [("reid", e.name, _cosine(e), "cosine distance") for e in context.of_kind("reid")]
    metrics: dict[str, Metric] = {}
    samples = []
    for name, extractor, distance, unit in measured:
        statistics, found = swap_metrics(context, pairs, distance, name, unit)
        metrics |= {f"pose_swap.{key}.{extractor}": metric for key, metric in statistics.items()}
        samples.append(long_form_pairs(context, pairs, f"pose_swap.{name}.{extractor}", found))
    return Measurement(metrics, pd.concat(samples, ignore_index=True), swap_strips(context, "pose"))


def _cosine(extractor: Extractor) -> Distance:
    import torch

    def distance(a: ImageSet, i: Integers, b: ImageSet, j: Integers) -> Floats:
        first, second = features_of(a, extractor)[i], features_of(b, extractor)[j]
        similarity = cosine_similarity(torch.from_numpy(first), torch.from_numpy(second))
        return (1.0 - similarity).numpy()

    return distance
