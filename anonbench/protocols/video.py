"""Clips of tracked people: is the anonymized person one and the same, steadily, in every frame?

same_latent   one z per track: what an anonymizer of videos does
fresh_latent  one z per frame: what happens to a video that is anonymized frame by frame

Consistency compares features within a track; its ceiling is that of the untouched clips, its floor that of
untouched clips of different people. Warping error and flicker compare pixels with the frame before, along the
optical flow of the untouched clip and without it; their ceiling is the untouched clips' own.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from anonbench.features.base import Extractor
from anonbench.latents import sample_tokens
from anonbench.metrics.ratios import ratio_over_groups
from anonbench.metrics.temporal import likeness_between, longest_leak, track_consistency, uncovered
from anonbench.protocols.generation import Images, ImageSet, Sampling
from anonbench.protocols.scoring import Context, Floats, Measurement, features_of, interval_over, long_form
from anonbench.protocols.video_clips import Clips
from anonbench.records import Direction, Metric

GALLERY_FRAMES = 8
STRIPS = {"video": "same_latent", "video.a_new_latent_in_each_frame": "fresh_latent"}
PIXELS = "pixels"
"""Last part of the keys behind which there is neither a network nor a flow."""


def measure(context: Context) -> Measurement:
    """Every setting that the model allows."""
    clips = Clips(context.crops)
    results = _Results(clips, context.preset.resamples)
    original = context.generation.original()
    for setting in ("same_latent", "fresh_latent") if context.generation.has_latents else ("same_latent",):
        images = [context.generation.anonymized(_sampling(clips, setting, seed)) for seed in context.seeds]
        for extractor in context.of_kind("reid"):
            _likeness(results, setting, images, original, extractor)
        _steadiness(results, setting, images, original)
        if setting == "same_latent":
            _coverage(results, images, original)
    samples = pd.concat(results.samples, ignore_index=True)
    return Measurement(results.metrics, samples, _strips(context, clips))


class _Results:
    """Metrics and per-sample values as they are found. Intervals draw whole clips: frames of one are alike."""

    def __init__(self, clips: Clips, resamples: int) -> None:
        self.clips = clips
        self.metrics: dict[str, Metric] = {}
        self.samples: list[pd.DataFrame] = []
        self.resamples = resamples

    def add_mean(
        self,
        key: str,
        per_seed: Sequence[Floats],
        unit: str,
        direction: Direction,
        floor: float | None = None,
        ceiling: float | None = None,
    ) -> None:
        """The mean over pairs and seeds; per_seed: (K,) each, nan is left out."""
        values = np.concatenate(per_seed)
        clip = np.tile(self.clips.clip_of_pair, len(per_seed))
        self.samples.append(long_form(self.clips.keys_of_pair, key, per_seed, self.clips.clip_of_pair))
        self.metrics[key] = Metric(
            value=float(np.nanmean(values)),
            unit=unit,
            direction=direction,
            n=_measured(per_seed),
            interval=interval_over(values, clip, self.resamples),
            seeds=tuple(float(np.nanmean(v)) for v in per_seed),
            floor=floor,
            ceiling=ceiling,
        )

    def add_ratio(
        self, key: str, per_seed: Sequence[Floats], untouched: Floats, direction: Direction
    ) -> None:
        """The mean over pairs and seeds over the mean of the untouched clips; none where those never change."""
        below = float(np.nanmean(untouched))
        if below == 0:
            return
        values = np.concatenate(per_seed)
        own = [untouched] * len(per_seed)
        self.samples.append(long_form(self.clips.keys_of_pair, key, per_seed, self.clips.clip_of_pair, own))
        self.metrics[key] = Metric(
            value=float(np.nanmean(values)) / below,
            unit="ratio",
            direction=direction,
            n=_measured(per_seed),
            interval=self._interval_of_ratio(values, untouched) if self.clips.several else None,
            seeds=tuple(float(np.nanmean(v)) / below for v in per_seed),
        )

    def _interval_of_ratio(self, values: Floats, untouched: Floats) -> tuple[float, float] | None:
        clip = self.clips.clip_of_pair
        clips = np.tile(clip, len(values) // len(clip))
        ratio = ratio_over_groups(values, clips, untouched, clip, resamples=self.resamples)
        return (ratio.interval.low, ratio.interval.high) if ratio else None


def _measured(per_seed: Sequence[Floats]) -> int:
    return int((~np.isnan(per_seed[0])).sum())


def _sampling(clips: Clips, setting: str, seed: int) -> Sampling:
    if setting == "same_latent":
        # The token of `anonbench anonymize`: the same seed gives a track the same person there and here.
        return Sampling("one z per track", seed, tuple(f"track/{clip}" for clip in clips.clip))
    return Sampling("one z per frame", seed, tuple(sample_tokens(clips.keys)))


def _better(setting: str, direction: Direction) -> Direction:
    """A new z for every frame is a level to compare with, nothing to be good at."""
    return direction if setting == "same_latent" else "none"


def _likeness(
    results: _Results, setting: str, images: Sequence[ImageSet], original: ImageSet, extractor: Extractor
) -> None:
    """Likeness within tracks, and between them: a constant person has as much of the one as of the other."""
    clips = results.clips
    untouched = features_of(original, extractor)
    features = [features_of(image_set, extractor) for image_set in images]
    others = likeness_between(untouched, clips.clip, clips.pairs).mean() if clips.several else None
    results.add_mean(
        f"video.{setting}.consistency.{extractor.name}",
        [track_consistency(f, clips.pairs) for f in features],
        "cosine",
        _better(setting, "higher"),
        floor=others,
        ceiling=float(track_consistency(untouched, clips.pairs).mean()),
    )
    if clips.several:
        results.add_mean(
            f"video.{setting}.between_tracks.{extractor.name}",
            [likeness_between(f, clips.clip, clips.pairs) for f in features],
            "cosine",
            _better(setting, "lower"),
            ceiling=others,
        )


def _steadiness(results: _Results, setting: str, images: Sequence[ImageSet], original: ImageSet) -> None:
    """Change from frame to frame along the flow and without it, absolute and over that of the untouched clips."""
    found = [results.clips.errors(image_set) for image_set in images]
    untouched = results.clips.errors(original)
    better, flow = _better(setting, "lower"), results.clips.dataset.flow_source
    for error, ratio, source, per_seed, own in (
        ("warping_error", "warping_ratio", flow, [errors.warping for errors in found], untouched.warping),
        ("flicker", "flicker_ratio", PIXELS, [errors.flicker for errors in found], untouched.flicker),
    ):
        ceiling = float(np.nanmean(own))
        results.add_mean(f"video.{setting}.{error}.{source}", per_seed, "intensity", better, ceiling=ceiling)
        results.add_ratio(f"video.{setting}.{ratio}.{source}", per_seed, own, better)


def _coverage(results: _Results, images: Sequence[ImageSet], original: ImageSet) -> None:
    """Share of frames in which a person stays as they are, and the longest time in which one does."""
    clips = results.clips
    leaks = [uncovered(clips.changed(original, image_set)) for image_set in images]
    per_seed = [100 * bare.astype(np.float64) for bare in leaks]
    values = np.concatenate(per_seed)
    key = f"video.same_latent.uncovered.{PIXELS}"
    results.samples.append(long_form(clips.keys, key, per_seed, clips.clip))
    results.metrics[key] = Metric(
        value=float(values.mean()),
        unit="percent",
        direction="lower",
        n=len(clips.keys),
        interval=interval_over(values, np.tile(clips.clip, len(leaks)), results.resamples),
        seeds=tuple(float(v.mean()) for v in per_seed),
    )
    longest = [
        max(longest_leak(bare, clips.clip, clips.frame, clips.dataset.frame_rate).values()) for bare in leaks
    ]
    results.metrics[f"video.same_latent.longest_leak.{PIXELS}"] = Metric(
        value=max(longest),
        unit="seconds",
        direction="lower",
        n=len(np.unique(clips.clip)),
        seeds=tuple(longest),
    )


def _strips(context: Context, clips: Clips) -> dict[str, Images]:
    """Frames of the first clip: untouched, with one z, and with a z per frame."""
    own = np.flatnonzero(clips.clip == clips.clip[clips.pairs.first[0]])
    ordered = own[np.argsort(clips.frame[own])]
    chosen = ordered[
        np.linspace(0, len(ordered) - 1, min(GALLERY_FRAMES, len(ordered))).astype(np.int64)
    ].tolist()
    strips = {"video.original": context.crops.load(chosen).image.numpy()}
    for name, setting in STRIPS.items() if context.generation.has_latents else (("video", "same_latent"),):
        every = _sampling(clips, setting, 0)
        sampling = Sampling(every.name, 0, tuple(every.tokens[i] for i in chosen))
        strips[name] = context.generation.anonymized_subset(chosen, sampling)
    return strips
