"""Anonymizing under imposed detection outcomes: the same images, but for the crops whose detection is withdrawn."""

from dataclasses import replace

import numpy as np

from anonbench.crops import Outcome
from anonbench.datasets.imposed import ImposedOutcomes
from anonbench.errors import DataError
from anonbench.protocols.crops import BATCH, CropSource
from anonbench.protocols.generation import Generation, Images, ImageSet, Sampling


class ImposedGeneration(Generation):
    """Anonymizes the crops of `dataset`.

    perfect: the same model on the same crops with perfect detection. What is still synthesized is taken from its
    images: no generator runs twice, and the two runs differ by the detection alone.
    Raises DataError unless the detection stage finds a surface wherever none was withdrawn.
    """

    def __init__(self, crops: CropSource, dataset: ImposedOutcomes, perfect: Generation) -> None:
        super().__init__(perfect.model, crops)
        self.perfect = perfect
        missed = np.count_nonzero(crops.outcome < dataset.outcome)
        if missed:
            raise DataError(
                f"{dataset.perfect.name}: {missed} of {len(crops)} crops have no surface already; outcomes can be "
                "imposed only where detection is perfect, as it is on synthetic people"
            )

    def original(self) -> ImageSet:
        """The untouched images, which no outcome changes."""
        return self.perfect.original()

    def _anonymize_all(self, sampling: Sampling) -> Images:
        images = np.array(self.perfect.anonymized(sampling).images)
        worse = np.flatnonzero(self.crops.outcome != Outcome.SURFACE)
        for start in range(0, len(worse), BATCH):
            index = worse[start : start + BATCH]
            tokens = tuple(sampling.tokens[i] for i in index) if sampling.tokens else ()
            images[index] = self.anonymized_subset(index.tolist(), replace(sampling, tokens=tokens))
        return images
