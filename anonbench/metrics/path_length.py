"""How far a generator's output moves when its input takes a small step, in numbers that heavy tails cannot rule.

Perceptual path length (Karras et al. 2019, section 4.1) is the mean of d(G(z), G(z + e)) / e^2 without the
hundredth of the pairs at either end: few pairs, where the output jumps, otherwise make the mean.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anonbench.metrics.uncertainty import Interval, finite_values

Floats = NDArray[np.float64]

TAIL = 0.01
"""Share of the pairs left out at either end, as the original does."""


def within_tails(values: ArrayLike, tail: float = TAIL) -> Floats:
    """`values` (N,) with nan in the place of those below the `tail` quantile and above the 1 - `tail` quantile.

    Quantiles are values that occur: the lower one rounded down, the upper one rounded up, as in StyleGAN's code.
    """
    array = np.asarray(values, dtype=np.float64)
    finite = finite_values(array, "path lengths")
    low = np.percentile(finite, 100 * tail, method="lower")
    high = np.percentile(finite, 100 * (1 - tail), method="higher")
    return np.where((array >= low) & (array <= high), array, np.nan)


def median_over_groups(
    values: ArrayLike,
    groups: ArrayLike,
    *,
    resamples: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
) -> tuple[float, Interval | None]:
    """The median of values (N,) and its percentile bootstrap, groups (persons) drawn as wholes; nan is left out.

    No interval for fewer than 2 groups. Of an even number of values it is the lower middle one, so that a drawn
    group can count its values several times without copying them.
    """
    array, labels = np.asarray(values, dtype=np.float64), np.asarray(groups)
    finite_values(array, "path lengths")
    kept = ~np.isnan(array)
    order = np.argsort(array[kept], kind="stable")
    ordered = array[kept][order]
    people, member = np.unique(labels[kept][order], return_inverse=True)
    median = float(ordered[(len(ordered) - 1) // 2])
    if len(people) < 2:
        return median, None
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(people), np.full(len(people), 1 / len(people)), resamples)
    below = np.cumsum(drawn[:, member], axis=1)
    middle = (2 * below >= below[:, -1:]).argmax(axis=1)
    tail = 50 * (1 - confidence)
    low, high = np.percentile(ordered[middle], [tail, 100 - tail])
    return median, Interval(float(low), float(high), confidence)
