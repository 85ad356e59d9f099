"""Pass two: features and distances of stored images, kept under content keys."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from anonbench.cards import Preset
from anonbench.crops import PersonCrops
from anonbench.features.base import Extractor, Kind, PerceptualExtractor
from anonbench.features.store import feature_store
from anonbench.metrics.similarity import pair_distance
from anonbench.metrics.uncertainty import bootstrap_over_groups
from anonbench.progress import track
from anonbench.protocols.crops import CropSource
from anonbench.protocols.generation import Generation, Images, ImageSet
from anonbench.records import Direction, Metric

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Context:
    """Everything a protocol measures with."""

    generation: Generation
    preset: Preset
    extractors: tuple[Extractor, ...] = ()
    perceptual: tuple[PerceptualExtractor, ...] = ()
    reference: ImageSet | None = None
    """As many other real crops, where the source has them."""
    attacker: str = ""
    """`Request.attacker`"""

    @property
    def crops(self) -> CropSource:
        """The crops that are anonymized."""
        return self.generation.crops

    @property
    def seeds(self) -> range:
        """Latent seeds; one is enough for a model that has no latents."""
        return range(self.preset.seeds if self.generation.has_latents else 1)

    def of_kind(self, kind: Kind) -> list[Extractor]:
        """The feature extractors of one kind ("distribution", "reid")."""
        return [extractor for extractor in self.extractors if extractor.kind == kind]


@dataclass(frozen=True)
class Measurement:
    """What a protocol found.

    metrics: by key `<protocol>[.<setting>].<statistic>.<extractor>`.
    samples: per-sample values as `long_form` makes them.
    strips: gallery name -> uint8 (columns, 3, H, W).
    notes: what a reader of the record must know beside the notes of the data.
    """

    metrics: dict[str, Metric]
    samples: pd.DataFrame
    strips: dict[str, Images] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def features_of(images: ImageSet, extractor: Extractor) -> NDArray[np.float32]:
    """float32 (N, D) features of an image set, computed once."""
    key = (*images.key, extractor.digest)

    def compute() -> NDArray[np.float32]:
        batches = images.batches()
        bar = track(batches, f"{extractor.name}: features", len(batches))
        return np.concatenate([extractor.features(batch).numpy() for batch in bar])

    return np.asarray(feature_store().get_or_compute(key, compute))


def perceptual_distances(
    a: ImageSet, b: ImageSet, crops: CropSource, extractor: PerceptualExtractor
) -> Floats:
    """(N, 2): mean perceptual distance between a[i] and b[i] over the whole crop and inside the person mask.

    The thesis and DeepPrivacy2 average over the whole crop; that copies the background into the value, so
    it shrinks with the mask. A crop without a mask has nan in the second column.
    """
    key = (*a.key, *b.key, crops.digest, extractor.digest)

    def compute() -> Floats:
        pairs = zip(a.batches(), b.batches(), crops.batches(), strict=True)
        bar = track(pairs, f"{extractor.name}: distances", crops.batch_count)
        return np.concatenate([_whole_and_inside(extractor, x, y, batch) for x, y, batch in bar])

    return np.asarray(feature_store().get_or_compute(key, compute))


def _whole_and_inside(extractor: PerceptualExtractor, a: Tensor, b: Tensor, crops: PersonCrops) -> Floats:
    # Published LPIPS averages each layer over its own grid; only a mask needs the upsampled map.
    whole, spatial = extractor.distance_and_map(a, b)
    inside = pair_distance(spatial, crops.person_mask).inside
    return np.stack([whole.numpy().astype(np.float64), inside.numpy()], axis=1)


def mean_metric(
    per_seed: Sequence[Floats], unit: str, direction: Direction, resamples: int, ceiling: float | None = None
) -> Metric:
    """The mean over samples and seeds. per_seed: for each seed the (N,) values of the same samples.

    The interval resamples the samples, each with its values for all seeds; nan samples are left out.
    """
    values = np.stack(per_seed)
    values = values[:, ~np.isnan(values).any(axis=0)]
    per_sample = values.mean(axis=0)
    return Metric(
        value=float(per_sample.mean()),
        unit=unit,
        direction=direction,
        n=values.shape[1],
        interval=interval_over(per_sample, np.arange(len(per_sample)), resamples),
        seeds=tuple(float(v) for v in values.mean(axis=1)),
        ceiling=ceiling,
    )


def interval_over(values: Floats, groups: NDArray[np.int64], resamples: int) -> tuple[float, float] | None:
    """95 % interval of the mean of `values`, groups resampled as wholes; none for a single group."""
    if len(np.unique(groups[~np.isnan(values)])) < 2:
        return None
    interval = bootstrap_over_groups(values, groups, resamples=resamples)
    return interval.low, interval.high


def long_form(
    keys: Iterable[str],
    metric: str,
    per_seed: Sequence[Floats],
    groups: Iterable[object] | None = None,
    over: Sequence[Floats] | None = None,
) -> pd.DataFrame:
    """Per-sample values as rows (key, group, metric, seed, value, over), for tests between models.

    keys: (N,) names of the samples, each once. metric: key of the record's metric whose value is the mean of
    these values; of a ratio, the mean of the values over the mean of `over`.
    per_seed, over: for each seed the (N,) values, in the metric's unit, and what a ratio divides them by.
    groups: (N,) what is independent (the person, the clip); None: every sample by itself.
    """
    names = list(keys)
    members = names if groups is None else [str(group) for group in groups]
    below = over if over is not None else [np.full(len(names), np.nan)] * len(per_seed)
    frames = [
        pd.DataFrame(
            {
                "key": names,
                "group": members,
                "metric": metric,
                "seed": seed,
                "value": values,
                "over": divisors,
            }
        )
        for seed, (values, divisors) in enumerate(zip(per_seed, below, strict=True))
    ]
    return pd.concat(frames, ignore_index=True)
