"""Realism and coverage: one random anonymization per crop against the real crops (thesis Table 5.1).

The statistics keep the names of the measures; which features they are taken on stands in every key. Only
`fid.value.inception_v3` is FID, only `fid.value.clip_vit_b32` is the thesis' FID_CLIP.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anonbench.errors import DataError
from anonbench.features.base import Extractor
from anonbench.latents import sample_tokens
from anonbench.metrics.frechet import frechet_at_infinity, frechet_distance_of_features
from anonbench.metrics.kernel import kernel_distance
from anonbench.metrics.prdc import precision_coverage
from anonbench.metrics.uncertainty import Interval, subsample_interval
from anonbench.protocols.generation import Sampling
from anonbench.protocols.scoring import Context, Measurement, features_of
from anonbench.records import Direction, Metric

Features = NDArray[np.float32]
LEAST_SAMPLES = 16
SUBSAMPLES = 20
LEAST_FOR_INFINITY = 10_000
"""Below this the extrapolation is noise (Chong & Forsyth 2020)."""
FROM_MAPPER = Sampling("from the appearance mapper", source="mapper")
GALLERY_CROPS = 8
GALLERY_LATENTS = 3


def measure(context: Context) -> Measurement:
    """Frechet distance, KID, precision and coverage with every distribution extractor.

    `value_reconstructed` is the distance with every z from the appearance mapper: what is above it in `value` is
    the gap between the z of real people and N(0, I), which the divergence loss closes (thesis 6.5).
    """
    if len(context.crops) < LEAST_SAMPLES:
        raise DataError(
            f"distribution distances need at least {LEAST_SAMPLES} crops, "
            f"{context.crops.dataset.name} has {len(context.crops)}"
        )
    metrics: dict[str, Metric] = {}
    for extractor in context.of_kind("distribution"):
        real = features_of(context.generation.original(), extractor)
        fakes = [_fake(context, seed, extractor) for seed in context.seeds]
        other = features_of(context.reference, extractor) if context.reference else None
        statistics = _statistics(real, fakes, other)
        if context.generation.model.card.can_reconstruct:
            painted = features_of(context.generation.anonymized(FROM_MAPPER), extractor)
            statistics["value_reconstructed"] = _distance(real, [painted], statistics["value"].floor)
        for statistic, metric in statistics.items():
            metrics[f"fid.{statistic}.{extractor.name}"] = metric
    return Measurement(metrics, pd.DataFrame(), _strips(context))


def random_sampling(context: Context, seed: int) -> Sampling:
    """A latent of its own for every crop, no truncation."""
    return Sampling("random", seed, tuple(sample_tokens(context.crops.samples["key"].tolist())))


def _fake(context: Context, seed: int, extractor: Extractor) -> Features:
    return features_of(context.generation.anonymized(random_sampling(context, seed)), extractor)


def _statistics(real: Features, fakes: list[Features], other: Features | None) -> dict[str, Metric]:
    """other: as many other real crops, which give the floor at equal n. The distance to `real` itself can
    be lower: an anonymized crop keeps its background, and is compared with the crop that it was made from.
    """
    halves = real[0::2][: len(real) // 2], real[1::2]
    n = len(real)
    kid = [kernel_distance(real=real, fake=fake) for fake in fakes]
    precision_and_coverage = [precision_coverage(real=real, fake=fake) for fake in fakes]
    floor = None if other is None else frechet_distance_of_features(real=real, fake=other)
    statistics = {
        "value": _distance(real, fakes, floor),
        # Unbiased, so two halves of the crops give a floor whatever the source.
        "kid": _metric(
            kid, "squared distance", "lower", n, floor=kernel_distance(real=halves[0], fake=halves[1])
        ),
        "precision": _metric([p.precision for p in precision_and_coverage], "fraction", "higher", n),
        "coverage": _metric([p.coverage for p in precision_and_coverage], "fraction", "higher", n),
    }  # fmt: skip
    if n >= LEAST_FOR_INFINITY:
        infinity = [frechet_at_infinity(real=real, fake=fake, generator_seed=0)[0] for fake in fakes]
        statistics["infinity"] = _metric(infinity, "distance", "lower", n)
    return statistics


def _distance(real: Features, fakes: list[Features], floor: float | None) -> Metric:
    frechet = [frechet_distance_of_features(real=real, fake=fake) for fake in fakes]
    return _metric(frechet, "distance", "lower", len(real), _interval(real, fakes[0]), floor)


def _interval(real: Features, fake: Features) -> Interval:
    """From subsamples without replacement, real and fake crops drawn jointly: they are pairs."""
    return subsample_interval(
        lambda index: frechet_distance_of_features(real=real[index], fake=fake[index]),
        len(real),
        resamples=SUBSAMPLES,
    )


def _metric(
    values: list[float],
    unit: str,
    direction: Direction,
    n: int,
    interval: Interval | None = None,
    floor: float | None = None,
) -> Metric:
    mean = float(np.mean(values))
    return Metric(
        value=mean,
        unit=unit,
        direction=direction,
        n=n,
        interval=_centred(interval, values[0], mean) if interval else None,
        seeds=tuple(values),
        floor=floor,
    )


def _centred(interval: Interval, of: float, at: float) -> tuple[float, float]:
    """The interval of one seed's value, moved to the mean over seeds; a distance is never negative."""
    return max(0.0, interval.low - of + at), max(0.0, interval.high - of + at)


def _strips(context: Context) -> dict[str, NDArray[np.uint8]]:
    """Random anonymizations of the first crops, t=1 (thesis Figure 5.3): each crop with several latents."""
    count = min(GALLERY_CROPS, len(context.crops))
    chosen = np.linspace(0, len(context.crops) - 1, count).astype(int).tolist()
    tokens = tuple(sample_tokens(context.crops.samples["key"].iloc[chosen].tolist()))
    strips = {"samples.original": context.crops.load(chosen).image.numpy()}
    for latent in range(GALLERY_LATENTS if context.generation.has_latents else 1):
        sampling = Sampling("gallery", latent, tokens)
        strips[f"samples.z{latent + 1}"] = context.generation.anonymized_subset(chosen, sampling)
    return strips
