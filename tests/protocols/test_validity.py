"""The validity study on toys whose answers are known."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from anonbench.cards import ModelCard
from anonbench.crops import PersonCrops, composite
from anonbench.errors import CardError, UsageError
from anonbench.protocols.generation import Generation, ImageSet
from anonbench.protocols.validity import Study
from anonbench.protocols.validity_consistency import Distributions, Retrieval, Tracks
from anonbench.protocols.validity_curves import curves_of, five_points, simulate
from anonbench.protocols.validity_pairs import (
    PairDistances,
    Statistic,
    across_backgrounds,
    across_cameras,
    along_tracks,
    mixed_table,
)
from anonbench.protocols.validity_planting import SHARES, Mixer, Quantity, planted_pairs
from anonbench.reporting.validity_record import Curve, read_validity
from tests.protocols.conftest import context
from tests.protocols.toys import (
    BackgroundPainter,
    LatentPainter,
    PersonColour,
    PixelDistance,
    ToyClips,
    ToyDataset,
    cells_per_row,
    factorial,
    market_like,
)

KEYS = [f"{i:05d}" for i in range(4000)]


@pytest.fixture(autouse=True)
def toy_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anonbench.protocols.validity_pairs.template_patches", cells_per_row)


class StillClips(ToyClips):
    """Toy clips of which the untouched frames differ a little, so that there is an error to divide by."""

    def load(self, indices: Sequence[int]) -> PersonCrops:
        crops = super().load(indices)
        grain = torch.tensor([5 * (int(i) % 2) for i in indices], dtype=torch.uint8)[:, None, None, None]
        return crops.with_image((crops.image // 2) + grain)


class RoughPainter(LatentPainter):
    """Paints the person in a colour that z decides, a little off in every image."""

    card = ModelCard(name="rough_painter", kind="toy", description="", latent_dim=3)

    def anonymize(
        self, crops: PersonCrops, latents: torch.Tensor | None = None, truncation: float = 1.0
    ) -> torch.Tensor:
        assert latents is not None
        off = torch.stack(
            [torch.from_numpy(np.random.default_rng(hash_of(k)).normal(size=3)) for k in crops.key]
        )
        colour = (128 + 60 * latents + 25 * off).clamp(0, 255).to(torch.uint8)
        return composite(crops.image, colour[:, :, None, None].expand_as(crops.image), crops.person_mask)


def hash_of(key: str) -> int:
    return sum(ord(letter) * 31**place for place, letter in enumerate(key)) % 2**32


def generation(model: Any, dataset: ToyDataset) -> Generation:
    return context(model, dataset).generation


def retrieval(model: Any, persons: int = 24) -> Retrieval:
    made = generation(model, ToyDataset(market_like(persons)))
    return Retrieval(made, planted_pairs(made), PersonColour("reid"))


def natural_pairs(model: Any, persons: int) -> PairDistances:
    made = generation(model, ToyDataset(market_like(persons)))
    return across_cameras(made, planted_pairs(made), PersonColour("reid"))


def curve_of(curves: list[Curve], statistic: str) -> Curve:
    (found,) = [curve for curve in curves if f".{statistic}." in curve.key]
    return found


def test_about_a_share_p_of_the_images_gets_a_fresh_latent() -> None:
    mixer = Mixer(KEYS)
    for share in SHARES:
        error = 4 * np.sqrt(share * (1 - share) / len(KEYS))
        assert mixer.faults(0, 0, share).mean() == pytest.approx(share, abs=error + 1e-12)


def test_the_faults_of_a_smaller_share_are_among_those_of_a_larger_one() -> None:
    mixer = Mixer(KEYS)
    for less, more in pairwise(SHARES):
        assert (mixer.faults(0, 3, less) <= mixer.faults(0, 3, more)).all()


def test_faults_depend_on_name_half_and_repeat_and_not_on_order() -> None:
    faults = Mixer(KEYS).faults(0, 0, 0.5)
    assert np.array_equal(Mixer(KEYS[::-1]).faults(0, 0, 0.5), faults[::-1])
    for half, repeat in ((1, 0), (0, 1)):
        agreement = (Mixer(KEYS).faults(half, repeat, 0.5) == faults).mean()
        assert agreement == pytest.approx(0.5, abs=0.05)


def test_two_images_of_a_person_share_z_with_probability_one_minus_p_squared() -> None:
    made = generation(LatentPainter(), ToyDataset(market_like(60)))
    pairs = planted_pairs(made)
    first = np.arange(0, 240, 2)

    def differs(a: ImageSet, i: np.ndarray, b: ImageSet, j: np.ndarray) -> np.ndarray:
        centre = (slice(None), slice(None), 8, 4)
        return (a.images[i][centre] != b.images[j][centre]).any(axis=1).astype(np.float64)

    table = mixed_table(pairs, first, first + 1, differs)
    share = Quantity("toy.differs.colour", "pairs that differ", "consistency", "fraction", "lower")
    sweep = PairDistances(made, pairs, {"pairs": table}, {share: Statistic("pairs")})
    everybody = np.arange(60)
    for level, p in enumerate(SHARES):
        found = [
            sweep.measure(everybody, half, repeat, level)[share.key]
            for half in (0, 1)
            for repeat in range(30)
        ]
        assert np.mean(found) == pytest.approx(1 - (1 - p) ** 2, abs=0.035)


def test_retrieval_falls_from_perfect_to_chance_as_latents_get_fresh() -> None:
    for curve in curves_of(retrieval(LatentPainter()), "inconsistency", 12):
        assert curve.largest.values[0] == pytest.approx(100)
        assert curve.largest.values[-1] < 45
        assert curve.tau > 0.9


def test_natural_pairs_become_strangers_as_latents_get_fresh() -> None:
    curves = curves_of(natural_pairs(LatentPainter(), 24), "inconsistency", 12)
    for name in ("reid", "surface"):
        auc = curve_of(curves, f"{name}_auc")
        assert auc.largest.values[0] > 0.95
        assert auc.largest.values[-1] == pytest.approx(0.5, abs=0.1)
        distance, ratio = (curve_of(curves, f"{name}_{statistic}") for statistic in ("same", "ratio"))
        assert distance.largest.values[0] == pytest.approx(0, abs=1e-6)
        assert ratio.largest.values[-1] == pytest.approx(1, abs=0.15)
        assert distance.steps > 0.8


def test_a_model_that_ignores_z_moves_nothing_and_resolves_nothing() -> None:
    for curve in curves_of(retrieval(BackgroundPainter(), 12), "inconsistency", 6):
        assert np.ptp(curve.largest.values) == pytest.approx(0, abs=1e-9)
        assert all(resolved.smallest is None for resolved in curve.resolved)


def test_one_more_fault_in_twenty_is_found_where_everything_else_is_shared() -> None:
    found = five_points(natural_pairs(RoughPainter(), 60), 30, 8)
    assert {test.shares for test in found} == {(0.0, 0.05), (0.2, 0.25)}
    assert {test.people for test in found} == {30}
    power = {(test.key.split(".")[1], test.design, test.shares): test.found for test in found}
    assert power["surface_same", "coupled", (0.2, 0.25)] > 0.5
    assert power["surface_same", "coupled", (0.2, 0.25)] > power["surface_same", "paired", (0.2, 0.25)]
    for test in found:
        assert test.interval[0] <= test.difference <= test.interval[1]
        assert test.resolved == (not test.interval[0] <= 0 <= test.interval[1])


def test_what_is_shared_by_two_benchmarks_makes_them_sharper() -> None:
    curve = curve_of(curves_of(natural_pairs(RoughPainter(), 40), "inconsistency", 12), "surface_same")
    found = {design: curve.resolution(design, 0.2, 100) for design in ("unpaired", "paired", "coupled")}
    smallest = {design: resolved.smallest or 1.0 for design, resolved in found.items() if resolved}
    assert smallest["coupled"] < min(smallest["paired"], smallest["unpaired"])
    fewer, more = (curve.resolution("unpaired", 0.0, images) for images in (100, 10_000))
    assert fewer is not None
    assert more is not None
    assert more.extrapolated
    assert (more.smallest or 1.0) < (fewer.smallest or 1.0)


def test_a_benchmark_of_some_people_is_that_of_a_smaller_data_set() -> None:
    large, small = retrieval(LatentPainter(), 12), retrieval(LatentPainter(), 6)
    for level in (0, 5, 16):
        found = large.measure(np.arange(6), 0, 0, level)
        assert found == pytest.approx(small.measure(np.arange(6), 0, 0, level))


def test_aligned_pairs_see_planted_inconsistency_and_controls_do_not() -> None:
    made = generation(LatentPainter(), ToyDataset(factorial(8, 2, 4)))
    sweep = across_backgrounds(made, planted_pairs(made), PixelDistance())
    for curve in curves_of(sweep, "inconsistency", 4):
        if curve.role == "control":
            assert curve.resolved == ()
            assert curve.dynamic_range < 2
            continue
        best = 1.0 if ".surface_auc." in curve.key or ".perceptual_auc." in curve.key else 0.0
        assert curve.largest.values[0] == pytest.approx(best, abs=1e-6)
        assert curve.tau > 0.8


def test_tracks_get_less_alike_and_their_warping_error_grows() -> None:
    made = generation(LatentPainter(), ToyClips(8, 6))
    pairs = planted_pairs(made)
    (likeness,) = curves_of(Tracks(made, pairs, PersonColour("reid")), "inconsistency", 4)
    assert likeness.largest.values[0] == pytest.approx(1)
    assert likeness.tau > 0.8


def test_errors_of_a_clip_are_found_for_every_choice_of_either_frame() -> None:
    made = generation(RoughPainter(), StillClips(4, 6))
    sweep = along_tracks(made, planted_pairs(made))
    everybody = np.arange(4)
    table = sweep.tables["warping"]
    for half in (0, 1):
        none, every = (sweep.measure(everybody, half, 0, level) for level in (0, len(SHARES) - 1))
        (key,) = none
        below = sweep.tables["untouched"].values[half].mean()
        assert none[key] == pytest.approx(table.values[half, :, 0, 0].mean() / below)
        assert every[key] == pytest.approx(table.values[half, :, 1, 1].mean() / below)


def test_distances_between_distributions_are_measured_on_the_crops_of_the_benchmark() -> None:
    made = generation(RoughPainter(), ToyDataset(market_like(12)))
    sweep = Distributions(made, planted_pairs(made), PersonColour("distribution"), (0.0, 1.0))
    runs = simulate(sweep, 6, 2)
    assert {found.values.shape for found in runs.values()} == {(2, 2, 2, 2)}
    assert all(quantity.role == "control" for quantity in sweep.quantities)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("final", "paper"), "smoke, demo, full"),
        (("final", "smoke", ("vgg19",)), "no extractor 'vgg19'"),
        (("final", "smoke", ("osnet_x1_0_market1501", "osnet_x1_0_market1501")), "one reid extractor"),
        (("nobody", "smoke"), "nobody"),
    ],
)  # fmt: skip
def test_a_study_that_cannot_be_made_is_refused_at_once(arguments: tuple[Any, ...], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Study.of(*arguments)


def test_a_record_that_is_none_is_named(tmp_path: Any) -> None:
    broken = tmp_path / "validity.json"
    with pytest.raises(CardError, match="cannot read"):
        read_validity(broken)
    broken.write_text("{")
    with pytest.raises(CardError, match="not valid JSON"):
        read_validity(broken)
    broken.write_text('{"model": 3}')
    with pytest.raises(CardError, match="key 'model'"):
        read_validity(broken)
