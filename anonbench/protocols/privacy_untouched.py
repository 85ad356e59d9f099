"""The share of a person's pixels that were left as they were: missed detections, gaps of masks, weak anonymizers."""

import numpy as np
from numpy.typing import NDArray

from anonbench.crops import Outcome
from anonbench.metrics.privacy import untouched_pixels
from anonbench.metrics.uncertainty import finite_values
from anonbench.protocols.crops import CropSource
from anonbench.protocols.generation import ImageSet
from anonbench.protocols.privacy_linkage import fresh_images
from anonbench.protocols.privacy_people import People
from anonbench.protocols.privacy_results import Results
from anonbench.protocols.scoring import Context

Floats = NDArray[np.float64]


def measure_untouched(context: Context, people: People, results: Results) -> None:
    """`image`: mean over images of their share. `area`: over all person pixels, so that large people weigh more."""
    chosen, labels = people.tested, people.labels
    found = [untouched(context.crops, fresh_images(context, seed)) for seed in context.seeds]
    names, persons = [str(name) for name in labels.key[chosen]], labels.person[chosen]
    shares = [100 * share[chosen] for share, _ in found]
    sizes = [size[chosen] for _, size in found]
    results.add("privacy.untouched.image.pixels", shares, names, persons)
    pixels = [share * size for share, size in zip(shares, sizes, strict=True)]
    results.add_ratio("privacy.untouched.area.pixels", pixels, sizes, names, persons)


def untouched(crops: CropSource, images: ImageSet) -> tuple[Floats, Floats]:
    """(N,) share of each person's pixels that are what they were, in [0, 1], and (N,) pixels of each person.

    Of a person whom nobody detected everything is untouched; they are given the mean size of the others.
    """
    left, size = [], []
    for batch, image in zip(crops.batches(), images.batches(), strict=True):
        mask = batch.person_mask
        detected = (batch.outcome != Outcome.NONE).numpy()
        area = mask.sum(dim=(1, 2, 3)).double().numpy()
        same = untouched_pixels(batch.image.numpy(), image.numpy(), mask.numpy())
        left.append(np.where(detected, same / np.maximum(area, 1), 1.0))
        size.append(np.where(detected, area, np.nan))
    sizes = np.concatenate(size)
    usual = finite_values(sizes, "sizes").mean() if not np.isnan(sizes).all() else 1.0
    return np.concatenate(left), np.where(np.isnan(sizes), usual, sizes)
