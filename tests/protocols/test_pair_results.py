"""Metrics of pairs: what cannot be measured is left out, and never makes a number of nothing."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from anonbench.crops import PersonCrops
from anonbench.errors import DataError
from anonbench.protocols import pairs
from anonbench.protocols.pair_results import PairResults
from anonbench.protocols.scoring import Floats
from tests.protocols.conftest import context
from tests.protocols.toys import LatentPainter, ToyDataset, market_like

NOTHING: Floats = np.full(4, np.nan)
SOME: Floats = np.array([0.1, 0.2, np.nan, 0.4])


def results() -> PairResults:
    return PairResults(["a", "b", "c", "d"], np.array([1, 1, 2, 2]), 200)


def test_what_has_no_value_in_a_seed_is_not_recorded() -> None:
    found = results()
    found.mean("p.s.e", [SOME, NOTHING], "distance", "lower")
    found.median("p.m.e", [SOME, NOTHING], "distance", "lower")
    found.ratio("p.r.e", [NOTHING], [SOME])
    found.auc("p.a.e", [SOME], [NOTHING])
    assert found.metrics == {}


def test_pairs_without_a_value_are_left_out_of_n_and_of_the_mean() -> None:
    found = results()
    found.mean("p.s.e", [SOME, 2.0 * SOME], "distance", "lower", original=NOTHING)
    metric = found.metrics["p.s.e"]
    assert metric.value == pytest.approx(1.5 * 0.7 / 3)
    assert metric.n == 3
    assert metric.ceiling is None
    assert metric.seeds == pytest.approx((0.7 / 3, 1.4 / 3))


def test_a_ratio_over_nothing_is_not_recorded_and_one_idle_seed_has_no_value() -> None:
    found = results()
    found.ratio("p.none.e", [SOME], [0.0 * SOME])
    found.ratio("p.one.e", [SOME, SOME], [2.0 * SOME, 0.0 * SOME])
    assert set(found.metrics) == {"p.one.e"}
    assert found.metrics["p.one.e"].seeds == (0.5,)


def test_a_ratio_needs_two_persons_with_a_value_in_both() -> None:
    found = results()
    found.ratio("p.r.e", [np.array([0.1, 0.2, np.nan, np.nan])], [np.array([np.nan, np.nan, 1.0, 1.0])])
    assert found.metrics == {}


def test_surfaces_of_another_body_template_are_refused_by_name() -> None:
    class OtherTemplate(ToyDataset):
        def load(self, indices: Sequence[int]) -> PersonCrops:
            return replace(super().load(indices), template="smpl_27554")

    with pytest.raises(DataError, match="'smpl_27554'"):
        pairs.measure(context(LatentPainter(), OtherTemplate(market_like())))
