"""Same z and pose, other background (thesis Figure 5.2): does the person stay the same?

The person's pixels are aligned, so they are compared directly inside the mask, and over the body template.
"""

import pandas as pd

from anonbench.protocols.scoring import Context, Measurement
from anonbench.protocols.swaps import (
    long_form_pairs,
    perceptual_distances_inside,
    surface_distances,
    swap_metrics,
    swap_pairs,
    swap_strips,
)
from anonbench.records import Metric


def measure(context: Context) -> Measurement:
    """Perceptual distances inside the mask with every extractor, and surface distances over the template."""
    pairs = swap_pairs(context.crops.samples, "background")
    distances = [("perceptual", e.key, perceptual_distances_inside(context.crops, e), "distance")
                 for e in context.perceptual]  # fmt: skip
    distances.append(("surface", "template", surface_distances(context.crops), "colour distance"))
    metrics: dict[str, Metric] = {}
    samples = []
    for name, extractor, distance, unit in distances:
        statistics, found = swap_metrics(context, pairs, distance, name, unit)
        metrics |= {f"background_swap.{key}.{extractor}": metric for key, metric in statistics.items()}
        samples.append(long_form_pairs(context, pairs, f"background_swap.{name}.{extractor}", found))
    return Measurement(metrics, pd.concat(samples, ignore_index=True), swap_strips(context, "background"))
