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
from anonbench.metrics.kernel import kernel_distance, kernel_distance_interval
from anonbench.metrics.prdc import prdc
from anonbench.metrics.uncertainty import Interval, subsample_interval
from anonbench.protocols.generation import Sampling
from anonbench.protocols.scoring import Context, Floats, Measurement, features_of, long_form, mean_metric
from anonbench.records import Direction, Metric

Features = NDArray[np.float32]
LEAST_SAMPLES = 16
SUBSAMPLES = 20
LEAST_PER_DIMENSION = 8
"""Crops per feature dimension from which the extrapolation to infinity is given: on Gaussians it is then within
6 % of the truth, where the distance at n is a third too large (tests/metrics/test_frechet.py)."""
FROM_MAPPER = Sampling("from the appearance mapper", source="mapper")
GALLERY_CROPS = 8
GALLERY_LATENTS = 3


def measure(context: Context) -> Measurement:
    """Frechet distance, KID, precision, recall, density and coverage with every distribution extractor.

    `value_reconstructed` is the distance with every z from the appearance mapper: what is above it in `value` is
    the gap between the z of real people and N(0, I), which the divergence loss closes (thesis 6.5).
    """
    if len(context.crops) < LEAST_SAMPLES:
        raise DataError(
            f"distribution distances need at least {LEAST_SAMPLES} crops, "
            f"{context.crops.dataset.name} has {len(context.crops)}"
        )
    results = _Results(context.crops.samples["key"].tolist(), context.preset.resamples)
    for extractor in context.of_kind("distribution"):
        real = features_of(context.generation.original(), extractor)
        fakes = [_fake(context, seed, extractor) for seed in context.seeds]
        other = features_of(context.reference, extractor) if context.reference else None
        floor = results.add_all(extractor.name, real, fakes, other)
        if context.generation.model.card.can_reconstruct:
            painted = features_of(context.generation.anonymized(FROM_MAPPER), extractor)
            results.add(extractor.name, "value_reconstructed", _distance(real, [painted], floor))
    notes = (*_unchanged(context), *results.notes)
    return Measurement(results.metrics, results.samples, _strips(context), notes)


def score(
    real: Features,
    fakes: list[Features],
    other: Features | None,
    keys: list[str],
    extractor: str,
    resamples: int,
) -> Measurement:
    """The same statistics of given features (N, D): fakes of each seed, made of the real crops in their order.

    other: as many other real crops, for the floor. keys: names of the crops. extractor: ends the metric keys.
    """
    results = _Results(keys, resamples)
    results.add_all(extractor, real, fakes, other)
    return Measurement(results.metrics, results.samples, notes=tuple(results.notes))


def random_sampling(context: Context, seed: int) -> Sampling:
    """A latent of its own for every crop, no truncation."""
    return Sampling("random", seed, tuple(sample_tokens(context.crops.samples["key"].tolist())))


def _unchanged(context: Context) -> list[str]:
    """A note where nothing was anonymized: of a distance of 0 nobody would ask whether the folders were exchanged."""
    model = context.generation.model.card
    images = context.generation.anonymized(random_sampling(context, 0)).images
    if model.kind == "original" or not np.array_equal(images, context.generation.original().images):
        return []
    return [f"{model.name} gave every crop back as it was: are real and anonymized images exchanged?"]


def _fake(context: Context, seed: int, extractor: Extractor) -> Features:
    return features_of(context.generation.anonymized(random_sampling(context, seed)), extractor)


class _Results:
    """Metrics, per-crop values and notes as they are found."""

    def __init__(self, keys: list[str], resamples: int) -> None:
        self.metrics: dict[str, Metric] = {}
        self.notes: list[str] = []
        self._rows: list[pd.DataFrame] = []
        self._keys = keys
        self._resamples = resamples

    @property
    def samples(self) -> pd.DataFrame:
        """Per-crop values, as `long_form` makes them."""
        return pd.concat(self._rows, ignore_index=True)

    def add(self, extractor: str, statistic: str, metric: Metric) -> None:
        """One metric of an extractor."""
        self.metrics[f"fid.{statistic}.{extractor}"] = metric

    def add_all(
        self, extractor: str, real: Features, fakes: list[Features], other: Features | None
    ) -> float | None:
        """Every statistic of one extractor. Returns the floor of the distance."""
        floor = None if other is None else frechet_distance_of_features(real=real, fake=other)
        self._add_distances(extractor, real, fakes, floor)
        self._add_neighbours(extractor, real, fakes, other)
        return floor

    def _add_distances(
        self, extractor: str, real: Features, fakes: list[Features], floor: float | None
    ) -> None:
        """Frechet distance at n and, where n suffices, at infinity; KID.

        floor: the distance to as many other real crops. The distance to `real` itself can be lower: an
        anonymized crop keeps its background, and is compared with the crop that it was made from.
        """
        self.add(extractor, "value", _distance(real, fakes, floor))
        self.add(extractor, "kid", _kernel_distance(real, fakes))
        n, d = real.shape
        if n <= d:
            self.notes.append(
                f"{extractor}: {n} crops do not span its {d} dimensions, so the covariance is singular and the"
                " Fréchet distance far too large; KID has no such bias"
            )
        if n < LEAST_PER_DIMENSION * d:
            return
        fits = [frechet_at_infinity(real=real, fake=fake, generator_seed=0) for fake in fakes]
        self.add(extractor, "value_at_infinity", _metric([at for at, _ in fits], "distance", "lower", n))
        self.add(
            extractor, "value_slope", _metric([slope for _, slope in fits], "distance x crops", "none", n)
        )

    def _add_neighbours(
        self, extractor: str, real: Features, fakes: list[Features], other: Features | None
    ) -> None:
        """Precision, recall, density and coverage: means over the crops, whose balls stay as they are."""
        found = [prdc(real=real, fake=fake) for fake in fakes]
        floor = None if other is None else prdc(real=real, fake=other)
        per_crop: dict[str, tuple[str, list[Floats]]] = {
            "precision": ("fraction", [f.fake_inside.astype(np.float64) for f in found]),
            "recall": ("fraction", [f.real_inside.astype(np.float64) for f in found]),
            "density": ("ratio", [f.fake_density for f in found]),
            "coverage": ("fraction", [f.real_covered.astype(np.float64) for f in found]),
        }
        for statistic, (unit, per_seed) in per_crop.items():
            metric = mean_metric(per_seed, unit, "higher", self._resamples)
            if floor is not None:
                metric = metric.model_copy(update={"floor": getattr(floor, statistic)})
            self.add(extractor, statistic, metric)
            self._rows.append(long_form(self._keys, f"fid.{statistic}.{extractor}", per_seed))


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


def _kernel_distance(real: Features, fakes: list[Features]) -> Metric:
    """Unbiased, so two halves of the real crops give a floor whatever the source; it may be negative."""
    value, interval = kernel_distance_interval(real=real, fake=fakes[0])
    others = [kernel_distance(real=real, fake=fake) for fake in fakes[1:]]
    floor = kernel_distance(real=real[0::2], fake=real[1::2])
    metric = _metric([value, *others], "squared distance", "lower", len(real), floor=floor)
    moved = metric.value - value
    return metric.model_copy(update={"interval": (interval.low + moved, interval.high + moved)})


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
