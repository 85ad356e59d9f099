"""What a card and the user's changes to it may say."""

import pytest

from anonbench.errors import CardError
from anonbench.training.settings import read_settings


@pytest.mark.parametrize("maps", ["[0]", "[1, 6]"])
def test_a_feature_map_that_the_discriminator_does_not_have_is_refused(maps: str) -> None:
    with pytest.raises(CardError, match="has maps 1 to 5"):
        read_settings("final", [f"training.losses.feature_matching_maps={maps}"])


def test_more_levels_bring_more_maps() -> None:
    changes = ["architecture.levels=6", "architecture.resolution=[288, 160]"]
    settings = read_settings("final", [*changes, "training.losses.feature_matching_maps=[1, 7]"])
    assert settings.architecture.levels == 6
    assert settings.training.losses.feature_matching_maps == (1, 7)
