"""Same z and background, other pose (thesis Figure 5.1): does the person stay the same?

Poses do not align pixels, so people are compared over the surface of the body template (thesis 7.2.2) and
by re-ID features.
"""

import pandas as pd

from anonbench.features.base import Extractor
from anonbench.metrics.similarity import cosine_similarity
from anonbench.protocols.generation import ImageSet
from anonbench.protocols.scoring import Context, Floats, Measurement, features_of, mean_metric
from anonbench.protocols.swaps import (
    Distance,
    Integers,
    long_form_pairs,
    pair_distances,
    statistics,
    surface_distances,
    swap_pairs,
    swap_strips,
)
from anonbench.records import Metric


def measure(context: Context) -> Measurement:
    """Surface distances over the template, and cosine distances of every re-ID extractor."""
    pairs = swap_pairs(context.crops.samples, "pose")
    resamples = context.preset.resamples
    distances = surface_distances(context.crops)
    found = [pair_distances(context, pairs, seed, distances) for seed in context.seeds]
    metrics: dict[str, Metric] = {
        f"pose_swap.{name}.template": metric
        for name, metric in statistics(found, pairs, "surface", "colour distance", resamples).items()
    }
    samples = [long_form_pairs(context, pairs, "pose_swap.surface.template", found)]
    for extractor in context.of_kind("reid"):
        found = [pair_distances(context, pairs, seed, _cosine(extractor)) for seed in context.seeds]
        for name, metric in statistics(found, pairs, "reid", "cosine distance", resamples).items():
            metrics[f"pose_swap.{name}.{extractor.name}"] = metric
        similarity = [1.0 - d.same for d in found]
        metrics[f"pose_swap.reid_similarity.{extractor.name}"] = mean_metric(
            similarity, "cosine", "higher", resamples
        )
        samples.append(long_form_pairs(context, pairs, f"pose_swap.reid.{extractor.name}", found))
    return Measurement(metrics, pd.concat(samples, ignore_index=True), swap_strips(context, "pose"))


def _cosine(extractor: Extractor) -> Distance:
    import torch

    def distance(a: ImageSet, i: Integers, b: ImageSet, j: Integers) -> Floats:
        first, second = features_of(a, extractor)[i], features_of(b, extractor)[j]
        similarity = cosine_similarity(torch.from_numpy(first), torch.from_numpy(second))
        return (1.0 - similarity).numpy()

    return distance
