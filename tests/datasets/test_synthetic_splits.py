"""What the splits contain: disjoint people, factorial layouts, and the correlation of `train` and `val`."""

from dataclasses import replace

import numpy as np
import pytest

from anonbench.datasets.synthetic.splits import CONTEXT_CORRELATION, SPLITS, Plan
from anonbench.datasets.synthetic.themes import THEMES, follow
from anonbench.datasets.synthetic.wardrobe import identity

SUMMER = next(i for i, theme in enumerate(THEMES) if theme.name == "summer beach")
WINTER = next(i for i, theme in enumerate(THEMES) if theme.name == "winter city")


def plans(name: str, count: int, seed: int = 0) -> list[Plan]:
    split = SPLITS[name]
    return [split.plan(split, seed, i) for i in range(count * split.per_count)]


def test_no_person_appears_in_two_splits() -> None:
    people = [{p.person for p in plans(name, 40)} for name in SPLITS]
    assert sum(map(len, people)) == len(set().union(*people))


@pytest.mark.parametrize("name", list(SPLITS))
def test_keys_are_unique(name: str) -> None:
    keys = [p.key for p in plans(name, 40)]
    assert len(set(keys)) == len(keys)


def test_only_training_and_validation_tie_people_to_places() -> None:
    tied = {name for name in SPLITS if plans(name, 1)[0].correlation > 0}
    assert tied == {"train", "val"}
    assert plans("train", 1)[0].correlation == CONTEXT_CORRELATION == 0.7


@pytest.mark.parametrize("correlation", [0.0, 0.7, 1.0])
def test_an_attribute_follows_the_scene_as_often_as_the_correlation_says(correlation: float) -> None:
    rng = np.random.default_rng(0)
    followed = np.mean([follow(rng, 3, correlation) == 3 for _ in range(4000)])
    assert followed == pytest.approx(correlation + (1 - correlation) / len(THEMES), abs=0.03)


def bare_arms(scene: int, correlation: float) -> float:
    return float(np.mean([identity(0, n, scene, correlation).top.kind == "tshirt" for n in range(120)]))


def test_the_season_of_the_scene_shows_in_the_sleeves_and_zero_switches_it_off() -> None:
    assert bare_arms(SUMMER, 0.7) > bare_arms(WINTER, 0.7) + 0.3
    assert bare_arms(SUMMER, 0.0) == bare_arms(WINTER, 0.0)


def test_without_correlation_people_do_not_depend_on_the_scene_at_all() -> None:
    for number in range(20):
        here, there = identity(0, number, SUMMER, 0.0), identity(0, number, WINTER, 0.0)
        assert here.top.kind == there.top.kind
        assert np.array_equal(here.top.outer.base, there.top.outer.base)
        assert np.array_equal(here.accessories.shoe, there.accessories.shoe)


def test_body_skin_and_hair_never_follow_the_scene() -> None:
    for number in range(20):
        here, there = identity(0, number, SUMMER, 1.0), identity(0, number, WINTER, 1.0)
        assert here.phenotype == there.phenotype
        assert np.array_equal(here.skin, there.skin)
        assert here.hair.style == there.hair.style


def test_some_people_share_a_uniform() -> None:
    tops = np.stack([identity(0, n, WINTER, 1.0).top.outer.base for n in range(100)])
    uniform = np.abs(tops - np.array(THEMES[WINTER].uniform[0]) / 255).max(1) < 0.06
    assert 0.15 < uniform.mean() < 0.6


def test_every_identity_is_seen_by_every_camera_and_queried_from_one() -> None:
    shots = plans("reid", 10)
    for person in {p.person for p in shots}:
        own = [p for p in shots if p.person == person]
        assert {p.camera for p in own} == set(range(6))
        queries = [p for p in own if p.role == "query"]
        gallery = [p for p in own if p.role == "gallery"]
        assert len(queries) == 2
        assert all(any(g.camera != q.camera for g in gallery) for q in queries)
    assert {p.role for p in plans("reid_train", 5)} == {"train"}


@pytest.mark.parametrize(("name", "poses", "places"), [("pose_swap", 6, 4), ("background_swap", 4, 6)])
def test_swap_splits_hold_every_combination_once(name: str, poses: int, places: int) -> None:
    factors = {p.factors for p in plans(name, 3)}
    assert factors == {(i, q, r) for i in range(3) for q in range(poses) for r in range(places)}


def test_swap_splits_have_no_shadows_or_occluders_outside_the_mask() -> None:
    for name in ("pose_swap", "background_swap"):
        assert not any(p.ground_shadow or p.occluders for p in plans(name, 1))


def test_a_plan_depends_on_its_index_alone() -> None:
    split = SPLITS["train"]
    assert plans("train", 8)[7] == split.plan(split, 0, 7)


def test_steps_share_everything_with_the_still_shot_but_the_step() -> None:
    for still, pose, background in zip(*(plans("steps", 10)[k::3] for k in range(3)), strict=True):
        assert (still.step, pose.step, background.step) == ("", "pose", "background")
        for stepped in (pose, background):
            assert replace(stepped, step=still.step, key=still.key) == still
    assert all(plan.step is None for name in set(SPLITS) - {"steps"} for plan in plans(name, 2))
