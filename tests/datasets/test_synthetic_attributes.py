"""What the renderer knows about people is constant per person, and asking for it changes nothing."""

import pandas as pd
import pytest

from anonbench.datasets.base import AttributedDataset
from anonbench.datasets.synthetic.attributes import attributes_of
from anonbench.datasets.synthetic.dataset import SyntheticDataset
from anonbench.datasets.synthetic.wardrobe import identity

CLASSES = {
    "figure": {"feminine", "masculine"},
    "build": {"light", "medium", "heavy"},
    "skin": {"light", "medium", "dark"},
    "hair": {"short", "long"},
    "top": {"tshirt", "long", "jacket"},
    "bottom": {"trousers", "shorts", "skirted"},
}


@pytest.fixture(scope="module")
def known() -> pd.DataFrame:
    return SyntheticDataset("reid", size=(72, 40), count=150).attributes()


def test_every_attribute_has_its_classes_and_none_is_rare(known: pd.DataFrame) -> None:
    assert {name: set(known[name]) for name in known} == CLASSES
    for name in known:
        assert known[name].value_counts(normalize=True).min() > 0.05


def test_all_images_of_a_person_are_of_one_class(known: pd.DataFrame) -> None:
    data = SyntheticDataset("reid", size=(72, 40), count=150)
    assert isinstance(data, AttributedDataset)
    assert (known.groupby(data.samples["person_id"].to_numpy()).nunique() == 1).all(axis=None)


def test_thirds_are_thirds(known: pd.DataFrame) -> None:
    for name in ("build", "skin"):
        assert known[name].value_counts(normalize=True).between(0.2, 0.47).all()


def test_attributes_are_those_of_the_rendered_person() -> None:
    data = SyntheticDataset("reid", size=(72, 40), count=3)
    people = [identity(0, number, 0, 0.0) for number in data.samples["person_id"].unique()]
    # Surroundings tell nothing in this split, so the theme of the scene may be any.
    assert data.attributes()["skin"].tolist() == [
        attributes_of(who)["skin"] for who in people for _ in range(7)
    ]
    assert data.attributes()["bottom"].iloc[0] == attributes_of(people[0])["bottom"]


def test_another_size_shows_the_same_people(known: pd.DataFrame) -> None:
    large = SyntheticDataset("reid", size=(288, 160), count=150).attributes()
    pd.testing.assert_frame_equal(known, large)
