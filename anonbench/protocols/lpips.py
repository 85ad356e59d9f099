"""Perceptual distances of single crops (thesis section 4.11, Table 5.1).

    random         a random anonymization against the original
    diversity      two random anonymizations of one crop against each other (Zhu et al. 2017)
    reconstructed  z from the appearance mapper, against the original

Each over the whole crop, as in the thesis, and inside the person mask (`_masked`): the copied background of
the former makes it shrink with the mask. Only the extractors `vgg16` and `alex` are LPIPS.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from anonbench.features.base import PerceptualExtractor
from anonbench.protocols.fid import FROM_MAPPER, random_sampling
from anonbench.protocols.generation import ImageSet
from anonbench.protocols.scoring import (
    Context,
    Floats,
    Measurement,
    long_form,
    mean_metric,
    perceptual_distances,
)
from anonbench.records import Direction, Metric


def measure(context: Context) -> Measurement:
    """Every distance that the model allows with every perceptual extractor."""
    metrics: dict[str, Metric] = {}
    samples: list[pd.DataFrame] = []
    for extractor in context.perceptual:
        for statistic, direction, per_seed in _distances(context, extractor):
            for suffix, column in (("", 0), ("_masked", 1)):
                key = f"lpips.{statistic}{suffix}.{extractor.key}"
                values = [distances[:, column] for distances in per_seed]
                if np.isnan(values).all():
                    continue  # no crop has a mask
                metrics[key] = mean_metric(values, "distance", direction, context.preset.resamples)
                samples.append(long_form(context.crops.samples["key"].tolist(), key, values))
    return Measurement(metrics, pd.concat(samples, ignore_index=True))


def _distances(
    context: Context, extractor: PerceptualExtractor
) -> list[tuple[str, Direction, Sequence[Floats]]]:
    generation, crops = context.generation, context.crops
    original = generation.original()
    seeds = list(context.seeds)

    def between(a: ImageSet, b: ImageSet) -> Floats:
        return perceptual_distances(a, b, crops, extractor)

    random = [generation.anonymized(random_sampling(context, seed)) for seed in seeds]
    found: list[tuple[str, Direction, Sequence[Floats]]] = [
        ("random", "none", [between(images, original) for images in random])
    ]
    if generation.has_latents:
        # Latent seeds beyond those of `random` give the second anonymization of each crop.
        second = [generation.anonymized(random_sampling(context, len(seeds) + seed)) for seed in seeds]
        pairs = [between(a, b) for a, b in zip(random, second, strict=True)]
        found.append(("diversity", "higher", pairs))
    if generation.model.card.can_reconstruct:
        reconstructed = generation.anonymized(FROM_MAPPER)
        found.append(("reconstructed", "lower", [between(reconstructed, original)]))
    return found
