"""`anonbench train` as its users meet it: killed, resumed, spread over processes, and given nonsense."""

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import torch

from anonbench.anonymizers.registry import load_anonymizer
from anonbench.cards import ModelCard, read_card
from anonbench.crops import PersonCrops
from anonbench.datasets.fdh import FDHDataset
from anonbench.datasets.shards import write_shards
from anonbench.errors import DataError
from tests.cli.conftest import Cli
from tests.training.tiny_run import SIZE, crops

COUNT = 12
TINY = [
    "architecture.resolution=[16,16]",
    "architecture.generator.base_channels=2",
    "architecture.generator.style_dim=8",
    "architecture.appearance_mapper.base_channels=2",
    "architecture.discriminator.base_channels=2",
    "training.batch_size=4",
    "training.losses.r1_interval=3",
]
EVERY_8 = ["--log-every", "8", "--checkpoint-every", "24", "--samples-every", "1000"]


class Noise:
    """Squares of noise before noise, one person each."""

    name, digest, size, notes = "noise", "0" * 64, SIZE, ()
    samples = pd.DataFrame(
        {"key": [f"crop{i}" for i in range(COUNT)], "person_id": -1, "camera_id": -1, "role": "train"}
    )

    def __len__(self) -> int:
        return COUNT

    def load(self, indices: list[int]) -> PersonCrops:
        found = crops(COUNT).select(indices)
        return PersonCrops(**{**vars(found), "key": tuple(f"crop{i}" for i in indices)})


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("fdh")
    write_shards(Noise(), root / "train", per_shard=5)
    return root


def train(out: Path, data: Path, images: int, *more: object) -> list[str]:
    """The arguments of a run of a tiny `final`."""
    settings = [part for setting in TINY for part in ("--set", setting)]
    line = ["train", "final", "--out", out, "--data", f"fdh={data}", "--images", images]
    return [str(part) for part in (*line, "--accelerator", "cpu", *EVERY_8, *settings, *more)]


def anonbench(arguments: list[str]) -> "subprocess.Popen[str]":
    """A real process."""
    program = Path(sys.executable).with_name("anonbench")
    return subprocess.Popen([program, *arguments], stderr=subprocess.PIPE, text=True)


def losses(out: Path) -> list[dict[str, float]]:
    """The lines of a log, without times."""
    lines = map(json.loads, (out / "log.jsonl").read_text().splitlines())
    return [{k: v for k, v in line.items() if k != "seconds"} for line in lines]


@pytest.mark.parametrize(
    ("precision", "number", "code"), [("fp32", signal.SIGKILL, -signal.SIGKILL), ("bf16", signal.SIGTERM, 4)]
)
def test_a_stopped_run_goes_on_with_the_losses_of_one_that_was_not(
    cli: Cli, shards: Path, tmp_path: Path, precision: str, number: signal.Signals, code: int
) -> None:
    stopped, whole = tmp_path / "stopped", tmp_path / "whole"
    process = anonbench(train(stopped, shards, 10**6, "--precision", precision))
    for seen in waiting_for(stopped):
        if seen >= 32:  # beyond the checkpoint: after SIGKILL, what came since must be done again
            break
    process.send_signal(number)
    _, err = process.communicate(timeout=120)
    assert process.returncode == code
    assert ("interrupted; the same command resumes" in err) == (code == 4)
    end = losses(stopped)[-1]["images"] + 24
    for out in (stopped, whole):
        assert cli(*train(out, shards, end, "--precision", precision)).code == 0
    assert losses(stopped) == losses(whole)
    assert read_card(stopped / "final.yaml", ModelCard).training["record"]["images"] == end
    assert (stopped / "final.safetensors").read_bytes() == (whole / "final.safetensors").read_bytes()


def waiting_for(out: Path) -> Iterator[int]:
    """Images seen, as the log tells while it grows."""
    for _ in range(1200):
        lines = (out / "log.jsonl").read_text().splitlines() if (out / "log.jsonl").exists() else []
        yield json.loads(lines[-2])["images"] if len(lines) > 1 else 0
        time.sleep(0.1)
    raise AssertionError("the run does not start")


def test_two_processes_compute_what_one_does_with_two_micro_batches(
    cli: Cli, shards: Path, tmp_path: Path
) -> None:
    process = anonbench(train(tmp_path / "two", shards, 24, "--precision", "fp32", "--devices", 2))
    _, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    assert cli(*train(tmp_path / "one", shards, 24, "--precision", "fp32", "--accumulate", 2)).code == 0
    for together, alone in zip(losses(tmp_path / "two"), losses(tmp_path / "one"), strict=True):
        assert together == pytest.approx(alone, rel=1e-3, abs=2e-5)


def test_only_crops_that_the_filter_kept_are_trained_on(cli: Cli, shards: Path, tmp_path: Path) -> None:
    keep = tmp_path / "kept.csv"
    keep.write_text("key,error,kept\n" + "".join(f"crop{i},0.1,{i != 3}\n" for i in range(COUNT)))
    result = cli(*train(tmp_path / "run", shards, 4, "--keep", keep))
    assert result.code == 0, result.err
    assert f"{COUNT - 1} crops to train on" in result.err
    assert cli(*train(tmp_path / "run", shards, 4)).code == 3  # other data, another run


def test_market_1501_is_trained_on_with_surfaces_from_the_surface_head(
    cli: Cli, market: Path, tmp_path: Path
) -> None:
    (market / "bounding_box_test").rename(market / "bounding_box_train")
    gallery = market / "bounding_box_test"
    gallery.mkdir()
    moved = sorted((market / "bounding_box_train").iterdir())[0]
    moved.rename(gallery / moved.name)
    (
        market / "masks" / sorted(gallery.parent.glob("bounding_box_train/*"))[0].with_suffix(".png").name
    ).unlink()
    arguments = [part.replace("fdh=", "market1501=") for part in train(tmp_path / "run", market, 4)]
    result = cli(*arguments)
    assert result.code == 0, result.err
    assert "1 without a surface left out" in result.err


def test_a_model_on_another_body_template_carries_it(cli: Cli, shards: Path, tmp_path: Path) -> None:
    root = tmp_path / "fdh"
    shutil.copytree(shards, root)
    (root / "train" / "dataset.json").unlink()  # now they are FDH's own, whose vertices are SMPL's
    embedding = torch.randn(27_554, 16, generator=torch.Generator().manual_seed(0))
    torch.save(embedding, root / "embed_map.torch")
    result = cli(*train(tmp_path / "run", root, 4))
    assert result.code == 3
    assert "flip_probability 0" in result.error
    assert cli(*train(tmp_path / "run", root, 4, "--set", "training.flip_probability=0")).code == 0
    model = load_anonymizer(str(tmp_path / "run" / "final.yaml"))
    people = FDHDataset(root).load(range(3))
    assert people.template == "smpl_27554"
    assert model.anonymize(people).shape == people.image.shape
    with pytest.raises(DataError, match="makehuman_13380"):
        model.anonymize(crops(2))


def test_a_damaged_crop_is_named_in_one_line_by_worker_processes_too(
    cli: Cli, shards: Path, tmp_path: Path
) -> None:
    root = tmp_path / "fdh"
    shutil.copytree(shards, root)
    for shard in sorted((root / "train").glob("*.tar")):
        shard.write_bytes(shard.read_bytes().replace(b"\x89PNG", b"\x00PNG"))
    result = cli(*train(tmp_path / "run", root, 8, "--workers", 1))
    assert result.code == 3
    assert "crop" in result.error


def test_protocols_that_the_data_cannot_serve_are_refused_at_once(
    cli: Cli, shards: Path, tmp_path: Path
) -> None:
    result = cli(*train(tmp_path / "run", shards, 4, "--protocol", "reid"))
    assert result.code == 2
    assert "needs identities" in result.error


def test_a_loss_that_is_not_finite_stops_the_run(cli: Cli, shards: Path, tmp_path: Path) -> None:
    result = cli(*train(tmp_path, shards, 48, "--set", "training.learning_rate=1.0e+30"))
    assert result.code == 3
    assert "is not finite" in result.error
    assert "training.learning_rate" in result.error


@pytest.mark.parametrize(
    ("more", "code", "told"),
    [
        (["--set", "training.losses.kll=1"], 2, "'losses.kll': unknown key"),
        (["--set", "training.losses.kl=-1"], 2, "'losses.kl'"),
        (["--set", "training.losses"], 2, "write path.to.key=value"),
        (["--set", "training.images.x=1"], 2, "'images' is a value"),
        (["--accumulate", "3"], 2, "batch of 4 cannot be split"),
        (["--data", "duke=here"], 2, "there are: synthetic, fdh=PATH"),
        (["--data", "fdh=nowhere"], 3, "nowhere"),
        (["--keep", "nowhere.csv"], 3, "nowhere.csv"),
        (["--out", "/proc/anonbench"], 2, "choose another folder"),
        (["--devices", "none"], 2, "--devices"),
        (["--accelerator", "cuda", "--devices", "64"], 2, "--accelerator cuda --devices 64"),
        (["--protocol", "nonsense"], 2, "nonsense"),
        (["--data", "synthetic", "--set", "training.data={name: synthetic, version: 999, count: 4, "
          "context_correlation: 0.7}"], 3, "the card asks for 999"),
        (["--data", "synthetic", "--set", "training.data={name: fdh, count: 4}"], 2, "--data fdh=PATH"),
    ],
)  # fmt: skip
def test_nonsense_is_one_line_before_anything_starts(
    cli: Cli, shards: Path, tmp_path: Path, more: list[str], code: int, told: str
) -> None:
    result = cli(*train(tmp_path / "run", shards, 8), *more)
    assert result.code == code, result.err
    assert told in result.error


def test_more_processes_than_devices_are_refused(
    cli: Cli, shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    result = cli(*train(tmp_path / "run", shards, 8, "--devices", 1))
    assert result.code == 2
    assert "2 processes were started for 1 devices" in result.error


def test_models_without_weights_to_learn_are_refused(cli: Cli, tmp_path: Path) -> None:
    result = cli("train", "blackout", "--out", tmp_path)
    assert result.code == 2
    assert "nothing to train" in result.error


def test_the_folder_of_another_run_is_refused(cli: Cli, shards: Path, tmp_path: Path) -> None:
    assert cli(*train(tmp_path, shards, 4)).code == 0
    result = cli(*train(tmp_path, shards, 8, "--set", "training.losses.kl=0.5"))
    assert result.code == 3
    assert "training.losses.kl was the default, is now 0.5" in result.error
