"""Bad input is a one-line error that names the file and the mend, with exit code 2 or 3."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.conftest import Cli

pytestmark = pytest.mark.usefixtures("own_cache")


def check(cli: Cli, folder: Path) -> str:
    """The error of a folder that cannot be used."""
    result = cli("data", "check", f"folder={folder}")
    assert result.code == 3
    return result.error


def check_market(cli: Cli, root: Path) -> str:
    result = cli("data", "check", f"market1501={root}")
    assert result.code == 3
    return result.error


def a_market_file(root: Path) -> Path:
    return sorted((root / "bounding_box_test").iterdir())[0]


def test_a_path_that_does_not_exist(cli: Cli, tmp_path: Path) -> None:
    result = cli("run", "reid", "--model", "original", "--data", f"market1501={tmp_path / 'nowhere'}")
    assert result.code == 3
    assert "nowhere" in result.error
    assert "check the path" in result.error


def test_unknown_data_lists_what_there_is(cli: Cli) -> None:
    result = cli("run", "reid", "--model", "original", "--data", "duke=here")
    assert result.code == 2
    assert "market1501=PATH" in result.error


def test_an_empty_folder(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    error = check(cli, tmp_path / "empty")
    assert "empty" in error
    assert "0 images" in error
    assert ".png" in error


def test_a_text_file_named_jpg(cli: Cli, market: Path) -> None:
    path = a_market_file(market)
    path.write_text("not an image")
    assert path.name in check_market(cli, market)


def test_a_truncated_jpeg(cli: Cli, market: Path) -> None:
    path = a_market_file(market)
    path.write_bytes(path.read_bytes()[:400])
    assert path.name in check_market(cli, market)


@pytest.mark.parametrize(
    ("kind", "pixels"),
    [
        ("grey", np.full((128, 64), 90, np.uint8)),
        ("rgba", np.full((128, 64, 4), 90, np.uint8)),
        ("16-bit", np.full((128, 64), 9000, np.uint16)),
    ],
)
def test_images_that_are_not_8_bit_rgb(cli: Cli, tmp_path: Path, kind: str, pixels: np.ndarray) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    Image.fromarray(pixels).save(folder / f"{kind}.png")
    error = check(cli, folder)
    assert f"{kind}.png" in error
    assert "8-bit RGB" in error


def test_a_mask_of_another_size(cli: Cli, market: Path) -> None:
    mask = market / "masks" / a_market_file(market).with_suffix(".png").name
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(mask)
    error = check_market(cli, market)
    assert mask.name in error
    assert "64x64" in error.replace(" ", "")
    assert "128x64" in error.replace(" ", "")


def test_a_name_with_two_identities(cli: Cli, market: Path) -> None:
    path = a_market_file(market)
    path.rename(path.with_name("0001_0002_c1s1_000001_00.jpg"))
    assert "0001_0002_c1s1_000001_00.jpg" in check_market(cli, market)


def test_one_name_in_query_and_gallery(cli: Cli, market: Path) -> None:
    path = a_market_file(market)
    (market / "query" / path.name).write_bytes(path.read_bytes())
    assert path.name in check_market(cli, market)


def test_keypoints_that_are_no_json(cli: Cli, market: Path) -> None:
    (market / "keypoints.json").write_text("{")
    assert "keypoints.json" in check_market(cli, market)


def test_an_unknown_key_in_a_card(cli: Cli, tmp_path: Path) -> None:
    card = tmp_path / "mine.yaml"
    card.write_text("name: mine\nkind: blackout\ndescription: A box.\ncolour: red\n")
    result = cli("run", "reid", "--model", card)
    assert result.code == 2
    assert f"{card}:4: key 'colour'" in result.error


def test_an_unknown_option_in_a_card(cli: Cli, tmp_path: Path) -> None:
    card = tmp_path / "mine.yaml"
    card.write_text("name: mine\nkind: gaussian_blur\ndescription: A blur.\noptions: {radius: 3}\n")
    result = cli("run", "reid", "--model", card)
    assert result.code == 2
    assert "radius" in result.error


def test_a_checkpoint_that_is_another_file(cli: Cli, tmp_path: Path) -> None:
    from anonbench.resources import resource_dir

    text = (resource_dir("models") / "final.yaml").read_text()
    (tmp_path / "final.yaml").write_text(text)
    (tmp_path / "final.safetensors").write_bytes(b"something else")
    result = cli("run", "reid", "--model", tmp_path / "final.yaml")
    assert result.code == 3
    assert "final.safetensors" in result.error


def test_absent_official_weights(
    cli: Cli, market: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANONBENCH_WEIGHTS", str(tmp_path / "weights"))
    result = cli(
        "run", "fid", "--model", "original", "--data", f"market1501={market}", "--extractor", "inception_v3"
    )
    assert result.code == 3
    assert "pt_inception-2015-12-05-6726825d.pth" in result.error
    assert str(tmp_path / "weights") in result.error
    assert "https://" in result.error


def test_a_cache_that_cannot_be_written(
    cli: Cli, market: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A file in the folder's place stops the superuser too, unlike permissions.
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ANONBENCH_CACHE", str(tmp_path / "file" / "cache"))
    result = cli("run", "lpips", "--model", "original", "--data", f"market1501={market}")
    assert result.code == 3
    assert "ANONBENCH_CACHE" in result.error
    assert str(tmp_path / "file") in result.error


def test_an_out_folder_that_cannot_be_made(cli: Cli, market: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    out = tmp_path / "file" / "out"
    result = cli("run", "lpips", "--model", "original", "--data", f"market1501={market}", "--out", out)
    assert result.code == 3
    assert str(out) in result.error


def test_crops_in_which_nobody_is_detected(cli: Cli, market: Path) -> None:
    shutil.rmtree(market / "masks")
    (market / "keypoints.json").unlink()
    data = f"market1501={market}"
    result = cli("run", "lpips", "--model", "final", "--data", data)
    assert result.code == 3
    assert f"anonbench data detect {data}" in result.error
    untouched = cli("run", "lpips", "--model", "original", "--data", data, "--json")
    assert untouched.code == 0, untouched.err
    assert "_masked" not in untouched.out


def test_an_unknown_model_lists_the_known_ones(cli: Cli) -> None:
    result = cli("run", "reid", "--model", "nobody")
    assert result.code == 2
    assert "final" in result.error


def test_an_unknown_protocol_lists_the_known_ones(cli: Cli) -> None:
    result = cli("run", "nonsense", "--model", "final")
    assert result.code == 2
    assert "background_swap" in result.error


def test_swap_protocols_need_factorial_data(cli: Cli, market: Path) -> None:
    result = cli("run", "pose_swap", "--model", "original", "--data", f"market1501={market}")
    assert result.code == 2
    assert "synthetic" in result.error


def test_an_extractor_of_another_kind(cli: Cli) -> None:
    result = cli("run", "reid", "--model", "original", "--extractor", "mobilenet_v2")
    assert result.code == 2
    assert "osnet_synthetic" in result.error


def test_a_model_named_twice(cli: Cli) -> None:
    result = cli("compare", "final", "final")
    assert result.code == 2
    assert "twice" in result.error


def test_an_unknown_option_is_a_usage_error(cli: Cli) -> None:
    assert cli("run", "reid", "--model", "final", "--nonsense").code == 2


def test_anonymized_images_that_do_not_match_the_samples(cli: Cli, market: Path, tmp_path: Path) -> None:
    done = tmp_path / "done"
    done.mkdir()
    Image.fromarray(np.zeros((128, 64, 3), np.uint8)).save(done / "stranger.png")
    result = cli("run", "reid", "--model", f"folder={done}", "--data", f"market1501={market}")
    assert result.code == 3
    assert "stranger" in result.error
