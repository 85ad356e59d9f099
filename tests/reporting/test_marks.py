"""Who is best in a row, and who ties."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anonbench.reporting.marks import leader, rank
from tests.reporting.fabricated import metric


def test_the_best_beats_the_others_by_more_than_the_seed_spread() -> None:
    found = {"a": metric(10.0, spread=2.0, interval=None), "b": metric(13.0, spread=1.0, interval=None)}
    assert rank(found) == {"a": "", "b": "best"}


def test_a_difference_inside_the_seed_spread_is_a_tie() -> None:
    found = {"a": metric(10.0, spread=2.0), "b": metric(11.9, spread=0.1), "c": metric(4.0)}
    marks = rank(found, {"a": 0.001, "c": 0.001})
    assert marks == {"a": "tie", "b": "tie", "c": ""}


def test_a_difference_that_fails_its_test_is_a_tie_and_one_that_passes_needs_no_separate_intervals() -> None:
    found = {"a": metric(10.0, spread=2.0), "b": metric(13.0, spread=2.0)}
    assert rank(found, {"a": 0.06}) == {"a": "tie", "b": "tie"}
    assert rank(found, {"a": 0.04}) == {"a": "", "b": "best"}


def test_without_a_test_overlapping_intervals_tie() -> None:
    found = {"a": metric(10.0, spread=2.0), "b": metric(13.0, spread=2.0)}
    assert rank(found) == {"a": "tie", "b": "tie"}


def test_lower_wins_where_lower_is_better() -> None:
    assert rank({"a": metric(1.0, direction="lower"), "b": metric(3.0, direction="lower")})["a"] == "best"


def test_without_seeds_overlapping_intervals_tie() -> None:
    apart = {"a": metric(1.0, seeds=(), interval=(0, 2)), "b": metric(3.0, seeds=(), interval=(2.5, 4))}
    overlapping = apart | {"b": metric(3.0, seeds=(), interval=(1.5, 4))}
    assert rank(apart) == {"a": "", "b": "best"}
    assert rank(overlapping) == {"a": "tie", "b": "tie"}


def test_without_seeds_and_intervals_nobody_is_best() -> None:
    unknown = {"a": metric(1.0, seeds=(), interval=None), "b": metric(3.0, seeds=(), interval=None)}
    assert set(rank(unknown).values()) == {""}


@pytest.mark.parametrize(
    "metrics",
    [
        {},
        {"a": metric(1.0)},
        {"a": metric(1.0), "b": metric(1.0)},
        {"a": metric(1.0, direction="none"), "b": metric(9.0, direction="none")},
    ],
)
def test_nothing_is_marked_where_nothing_can_win(metrics: dict) -> None:
    assert set(rank(metrics).values()) <= {""}


@given(
    st.lists(st.tuples(st.floats(0, 100), st.floats(0, 10)), min_size=2, max_size=6),
    st.sampled_from(["higher", "lower"]),
)
def test_either_one_model_is_best_or_at_least_two_tie(
    values: list[tuple[float, float]], direction: str
) -> None:
    metrics = {str(i): metric(v, spread=s, direction=direction) for i, (v, s) in enumerate(values)}
    marks = list(rank(metrics).values())
    assert (marks.count("best"), marks.count("tie") > 1) in [(1, False), (0, True), (0, False)]
    assert marks.count("tie") != 1
    if any(marks):
        sign = 1 if direction == "higher" else -1
        best = max(metrics, key=lambda m: sign * metrics[m].value)
        assert best == leader(metrics)
        assert rank(metrics)[best]
