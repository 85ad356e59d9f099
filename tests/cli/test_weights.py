"""Claims about `anonbench weights convert`."""

import hashlib
from pathlib import Path

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
