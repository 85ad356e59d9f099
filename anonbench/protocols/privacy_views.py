"""What an attacker looks at: the features of a network, the colours of the person, or both."""

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from anonbench.features.base import Extractor
from anonbench.metrics.attackers import principal_components
from anonbench.protocols.crops import CropSource
from anonbench.protocols.generation import ImageSet
from anonbench.protocols.scoring import features_of

Matrix = NDArray[np.float64]

GREY = 128
"""What takes the place of the background."""
GRID = (9, 5)
"""Rows and columns over which the person's colours are averaged."""

COMPONENTS = 64
"""Principal components that the views to learn from consist of."""

AS_IT_IS, NETWORK, COLOURS, BOTH = "as it is", "network", "colours", "both"


class Views:
    """The views of image sets of one crop source; each is made once.

    as it is: features of the extractor. The others are principal components, to learn from: network, of the
    same; colours, of the mean colours of a coarse grid, background grey: what blur and large blocks leave, and a
    re-ID network does not look at; both, of the two side by side, with equal variance.
    """

    def __init__(self, crops: CropSource, extractor: Extractor, train: NDArray[np.int64]) -> None:
        """train: positions of the training images, from which components and variances are taken."""
        self._crops = crops
        self.extractor = extractor
        self._train = train
        self._known: dict[tuple[object, ...], dict[str, Matrix]] = {}

    def of(self, images: ImageSet, masked: bool = False) -> Mapping[str, Matrix]:
        """View name -> (N, D). masked: the network sees the person before grey."""
        key = (*images.key, masked)
        if key not in self._known:
            seen = without_background(images, self._crops) if masked else images
            network = features_of(seen, self.extractor).astype(np.float64)
            colours = person_colours(images, self._crops)
            both = np.concatenate([self._scaled(network), self._scaled(colours)], axis=1)
            learnt = {NETWORK: network, COLOURS: colours, BOTH: both}
            self._known[key] = {AS_IT_IS: network} | {
                name: principal_components(view, self._train, COMPONENTS) for name, view in learnt.items()
            }
        return self._known[key]

    def _scaled(self, features: Matrix) -> Matrix:
        variance = features[self._train].var(axis=0).sum()
        return np.asarray(features / np.sqrt(max(float(variance), 1e-12)))


def without_background(images: ImageSet, crops: CropSource) -> ImageSet:
    """The persons before grey; an image in which nobody was detected stays as it is."""
    parts = [
        torch.where(_person(batch.person_mask), image, GREY)
        for image, batch in zip(images.batches(), crops.batches(), strict=True)
    ]
    return ImageSet((*images.key, "before grey", crops.digest), torch.cat(parts).numpy())


def person_colours(images: ImageSet, crops: CropSource) -> Matrix:
    """(N, 3 * rows * columns) mean colours in [0, 1] over `GRID`, background grey."""
    found = without_background(images, crops)
    parts = [F.adaptive_avg_pool2d(batch.double() / 255, GRID).flatten(1) for batch in found.batches()]
    return np.asarray(torch.cat(parts).numpy())


def _person(mask: torch.Tensor) -> torch.Tensor:
    empty = ~mask.flatten(1).any(dim=1)
    return mask | empty[:, None, None, None]
