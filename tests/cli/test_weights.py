"""Claims about `anonbench weights convert`."""

import hashlib
from pathlib import Path

import pytest
import torch

from tests.cli.conftest import Cli


def test_the_command_prints_the_hash_for_the_card_and_what_it_left_out(cli: Cli, tmp_path: Path) -> None:
    source = tmp_path / "run.ckpt"
    torch.save({"EMA_generator": {"weight": torch.ones(2)}, "step": 12}, source)
    sha256 = hashlib.sha256(source.read_bytes()).hexdigest()
    target = tmp_path / "weights.safetensors"
    refused = cli("weights", "convert", source, "-o", target)
    assert refused.code == 2
    assert sha256 in refused.error
    done = cli("weights", "convert", source, "--sha256", sha256, "--key", "EMA_generator", "-o", target)
    assert done.code == 0
    assert hashlib.sha256(target.read_bytes()).hexdigest() in done.out
    assert "left out: step" in done.out
    absent = cli("weights", "convert", tmp_path / "gone.ckpt", "-o", tmp_path / "b.safetensors")
    assert absent.code == 3
    assert "gone.ckpt: not found" in absent.error


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ANONBENCH_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path / "weights"


def test_pull_of_what_is_here_downloads_nothing_and_tells_hash_and_trust(cli: Cli, folder: Path) -> None:
    done = cli("weights", "pull", "mobilenet_v2", "--offline")
    assert done.code == 0
    assert "2f518e773d4402dde55f981ae3078a72ba95c3adccae1d55051a4be844d50197  published" in done.out


def test_offline_every_missing_file_of_a_protocol_is_named_in_one_error(cli: Cli, folder: Path) -> None:
    refused = cli("weights", "pull", "--protocol", "fid", "--offline")
    assert refused.code == 3
    for name in ("inception_v3", "clip_vit_b32"):
        assert f"'{name}' not found" in refused.error
    assert "mobilenet_v2" in refused.out


def test_pull_of_nothing_or_of_an_unknown_name_is_a_usage_error(cli: Cli, folder: Path) -> None:
    assert "--all" in cli("weights", "pull").error
    unknown = cli("weights", "pull", "inception_v4")
    assert unknown.code == 2
    assert "inception_v3" in unknown.error


def test_verify_checks_what_is_here_and_asks_the_network(cli: Cli, folder: Path) -> None:
    done = cli("weights", "verify")
    assert done.code == 0
    assert "mobilenet_v2" in done.out
    missing = cli("weights", "verify", "mobilenet_v2", "lpips.alex")
    assert missing.code == 3
    assert "alexnet-owt-7be5be79.pth" in missing.error


def test_verify_pins_and_refuses_a_file_that_changed(cli: Cli, folder: Path) -> None:
    folder.mkdir()
    path = folder / "maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth"
    path.write_bytes(b"another file")
    refused = cli("weights", "verify", "maskrcnn_resnet50_fpn")
    assert refused.code == 3
    assert "must be bf2d0c1e" in refused.error
