"""The video protocol tells one z per track from one per frame, and notices who is left as they are."""

import numpy as np
import pytest
from torch import Tensor

from anonbench.crops import PersonCrops
from anonbench.errors import DataError, UsageError
from anonbench.protocols.video import measure
from tests.protocols.conftest import context
from tests.protocols.toys import (
    BackgroundPainter,
    LatentPainter,
    ToyClips,
    ToyDataset,
    Untouched,
    market_like,
)


class MissesFrames(LatentPainter):
    """Leaves frames 2, 3 and 4 of clip 1 as they are."""

    card = LatentPainter.card.model_copy(update={"name": "misses_frames"})

    def anonymize(self, crops: PersonCrops, latents: Tensor | None = None, truncation: float = 1.0) -> Tensor:
        painted = super().anonymize(crops, latents, truncation)
        for i, key in enumerate(crops.key):
            if key in ("1_2", "1_3", "1_4"):
                painted[i] = crops.image[i]
        return painted


def test_one_latent_per_track_is_perfectly_consistent_and_steady() -> None:
    metrics = measure(context(LatentPainter(), ToyClips())).metrics
    assert metrics["video.same_latent.consistency.person_colour"].value == pytest.approx(1)
    assert metrics["video.same_latent.warping_error.exact"].value == pytest.approx(0, abs=1e-6)
    assert metrics["video.same_latent.flicker.pixels"].value == 0
    assert metrics["video.same_latent.uncovered.pixels"].value == 0
    assert metrics["video.same_latent.longest_leak.pixels"].value == 0


def test_a_latent_per_frame_is_neither() -> None:
    metrics = measure(context(LatentPainter(), ToyClips())).metrics
    same, fresh = (metrics[f"video.{s}_latent.consistency.person_colour"].value for s in ("same", "fresh"))
    assert fresh < same - 0.02
    assert metrics["video.fresh_latent.warping_error.exact"].value > 0.1
    assert metrics["video.fresh_latent.flicker.pixels"].value > 0.1


def test_a_latent_per_frame_is_no_contest() -> None:
    metrics = measure(context(LatentPainter(), ToyClips())).metrics
    assert {m.direction for key, m in metrics.items() if "fresh_latent" in key} == {"none"}
    assert metrics["video.same_latent.consistency.person_colour"].direction == "higher"
    assert metrics["video.same_latent.warping_error.exact"].direction == "lower"


def test_people_who_look_alike_show_between_tracks() -> None:
    distinct = measure(context(LatentPainter(), ToyClips())).metrics
    alike = measure(context(BackgroundPainter(), ToyClips())).metrics
    key = "video.same_latent.between_tracks.person_colour"
    assert alike[key].value > distinct[key].value


def test_ceiling_and_floor_are_those_of_the_untouched_clips() -> None:
    metrics = measure(context(BackgroundPainter(), ToyClips())).metrics
    consistency = metrics["video.same_latent.consistency.person_colour"]
    assert consistency.ceiling == pytest.approx(1)
    assert consistency.floor is not None
    assert consistency.floor < 1
    assert metrics["video.same_latent.warping_error.exact"].ceiling == pytest.approx(0, abs=1e-6)


def test_clips_that_never_change_have_no_ratio_to_exceed() -> None:
    # The toy's people are untouched to the bit, so flicker has nothing to be compared with.
    assert (
        "video.same_latent.flicker_ratio.pixels" not in measure(context(LatentPainter(), ToyClips())).metrics
    )


def test_a_person_left_as_they_are_is_a_leak_with_a_length() -> None:
    metrics = measure(context(MissesFrames(), ToyClips())).metrics
    assert metrics["video.same_latent.uncovered.pixels"].value == pytest.approx(100 * 3 / 24)
    assert metrics["video.same_latent.longest_leak.pixels"].value == pytest.approx(0.3)


def test_untouched_clips_are_uncovered_all_the_time_and_have_no_latents() -> None:
    metrics = measure(context(Untouched(), ToyClips())).metrics
    assert metrics["video.same_latent.uncovered.pixels"].value == 100
    assert metrics["video.same_latent.longest_leak.pixels"].value == pytest.approx(0.6)
    assert not any("fresh_latent" in key for key in metrics)


def test_intervals_draw_clips_and_samples_are_frames() -> None:
    found = measure(context(LatentPainter(), ToyClips(clips=5)))
    metric = found.metrics["video.fresh_latent.consistency.person_colour"]
    assert metric.n == 5 * 5
    assert len(metric.seeds) == 3
    assert metric.interval is not None
    assert metric.interval[0] < metric.value < metric.interval[1]
    rows = found.samples[found.samples["metric"] == "video.fresh_latent.consistency.person_colour"]
    assert len(rows) == 3 * 25
    assert rows["value"].mean() == pytest.approx(metric.value)


def test_the_gallery_shows_the_moments_of_one_clip_in_order() -> None:
    strips = measure(context(LatentPainter(), ToyClips())).strips
    assert set(strips) == {"video.original", "video", "video.a_new_latent_in_each_frame"}
    middle = strips["video"][:, :, 8, 4]
    assert len(middle) == 6
    assert (middle == middle[0]).all()
    assert len(np.unique(strips["video.a_new_latent_in_each_frame"][:, 0, 8, 4])) > 1


def test_data_without_clips_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match=r"video=CLIP\.mp4"):
        measure(context(LatentPainter(), ToyDataset(market_like())))


def test_a_single_track_has_neither_others_nor_intervals() -> None:
    metrics = measure(context(LatentPainter(), ToyClips(clips=1))).metrics
    consistency = metrics["video.same_latent.consistency.person_colour"]
    assert consistency.value == pytest.approx(1)
    assert consistency.interval is None
    assert consistency.floor is None
    assert not any("between_tracks" in key for key in metrics)


def test_people_seen_in_single_frames_alone_are_a_data_error() -> None:
    with pytest.raises(DataError, match="two consecutive frames"):
        measure(context(LatentPainter(), ToyClips(frames=1)))
