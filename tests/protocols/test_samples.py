"""Per-sample values of every protocol: they add up to the metrics, and say what is independent."""

from collections.abc import Callable

import numpy as np
import pytest

from anonbench.crops import Outcome
from anonbench.protocols import background_swap, lpips, pairs, pose_swap, reconstruction, reid, video
from anonbench.protocols.scoring import Context, Measurement, long_form
from tests.protocols.conftest import context
from tests.protocols.toys import LatentPainter, ToyClips, ToyDataset, cells_per_row, factorial, market_like

WITHOUT_SAMPLES = ("_auc", ".longest_leak.")
"""Statistics that are neither a mean nor a ratio over samples."""


def mixed_outcomes() -> ToyDataset:
    samples = market_like()
    return ToyDataset(
        samples, outcomes=[Outcome.SURFACE if p <= 6 else Outcome.MASK_ONLY for p in samples["person_id"]]
    )


@pytest.mark.parametrize(
    ("measure", "dataset"),
    [
        (reid.measure, mixed_outcomes),
        (lpips.measure, lambda: ToyDataset(market_like())),
        (pose_swap.measure, lambda: ToyDataset(factorial())),
        (background_swap.measure, lambda: ToyDataset(factorial())),
        (video.measure, lambda: ToyClips(clips=4)),
        (pairs.measure, lambda: ToyDataset(market_like())),
        (reconstruction.measure, lambda: ToyDataset(market_like())),
    ],
)
def test_the_rows_of_a_metric_reproduce_its_value(
    measure: Callable[[Context], Measurement],
    dataset: Callable[[], ToyDataset],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("anonbench.protocols.surface_pairs.template_patches", cells_per_row)
    found = measure(context(LatentPainter(), dataset()))
    assert not found.samples.duplicated(["key", "group", "metric", "seed"]).any()
    for key, metric in found.metrics.items():
        rows = found.samples[found.samples["metric"] == key]
        if any(part in key for part in WITHOUT_SAMPLES):
            assert rows.empty
            continue
        below = rows["over"].mean() if rows["over"].notna().any() else 1.0
        assert rows["value"].mean() / below == pytest.approx(metric.value, abs=1e-9), key


def test_the_queries_of_a_person_are_one_group() -> None:
    found = reid.measure(context(LatentPainter(), ToyDataset(market_like())))
    same = found.samples[found.samples["metric"] == "reid.same_latent.map.person_colour"]
    assert set(same["group"]) == {str(person) for person in set(market_like()["person_id"])}


def test_the_frames_of_a_clip_are_one_group() -> None:
    assert video.measure(context(LatentPainter(), ToyClips(clips=4))).samples["group"].nunique() == 4


def test_samples_without_groups_stand_for_themselves() -> None:
    rows = long_form(["a", "b"], "m.s.e", [np.array([1.0, 2.0]), np.array([3.0, 4.0])])
    assert rows["group"].tolist() == ["a", "b", "a", "b"]
    assert rows["seed"].tolist() == [0, 0, 1, 1]
    assert rows["over"].isna().all()
