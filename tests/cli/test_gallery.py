"""`anonbench gallery`: what is on the picture."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anonbench.protocols.gallery import Gallery, gallery_rows
from tests.cli.conftest import Cli


def test_a_gallery_shows_originals_above_each_model(cli: Cli, tmp_path: Path, market: Path) -> None:
    picture = tmp_path / "g.png"
    arguments = ("--figure", "reid", "--people", 2, "--columns", 3, "--data", f"market1501={market}")
    assert cli("gallery", "blackout", "original", *arguments, "--out", picture).code == 0
    with Image.open(picture) as image:
        assert image.height > 2 * 3 * 128  # two people, three rows each
        assert image.width > 3 * 64


def test_rows_hold_one_person_each_and_the_models_under_the_originals(market: Path) -> None:
    gallery = Gallery("reid", people=2, columns=3)
    rows = gallery_rows(gallery, ["blackout", "original"], f"market1501={market}", "smoke")
    assert [row.label for row in rows] == ["original", "blackout", "original"] * 2
    assert [row.group for row in rows] == ["person 1"] * 3 + ["person 2"] * 3
    assert np.array_equal(rows[0].images, rows[2].images)
    assert (rows[1].images[:, 20:100, 20:40] == 0).all()


def test_one_latent_per_person_and_more_on_request(market: Path) -> None:
    gallery = Gallery("reid", people=1, columns=3, latents=2)
    rows = gallery_rows(gallery, ["final"], f"market1501={market}", "smoke")
    assert [row.label for row in rows] == ["original", "final, z 1", "final, z 2"]
    assert not np.array_equal(rows[1].images, rows[2].images)


def test_truncated_to_the_mean_every_latent_is_the_same(market: Path) -> None:
    gallery = Gallery("samples", columns=3, latents=2, truncation=0.0)
    rows = gallery_rows(gallery, ["final"], f"market1501={market}", "smoke")
    assert np.array_equal(rows[1].images, rows[2].images)


@pytest.mark.parametrize("figure", ["pose_swap", "background_swap"])
def test_a_swap_figure_of_data_without_factors_is_refused(cli: Cli, market: Path, figure: str) -> None:
    result = cli("gallery", "original", "--figure", figure, "--data", f"market1501={market}")
    assert result.code == 2
    assert "factorial" in result.error
