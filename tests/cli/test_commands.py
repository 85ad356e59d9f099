"""Commands that list and explain, and what every command keeps to."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from anonbench.cli.main import COMMANDS
from anonbench.detection.people import Person, PersonDetections
from tests.cli.conftest import Cli, standing_keypoints


def test_help_names_every_command_and_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from anonbench.cli.main import run_cli\n"
        "run_cli(['--help'])\n"
        "assert not {'torch', 'pandas', 'seaborn', 'anny'} & set(sys.modules), sorted(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert all(f"  {name} " in done.stdout for name in COMMANDS)


@pytest.mark.parametrize(
    "command",
    [[name] for name in COMMANDS]
    + [["data", "render"], ["data", "detect"], ["weights", "path"], ["models", "centres"]],
)
def test_every_command_explains_itself(cli: Cli, command: list[str]) -> None:
    result = cli(*command, "--help")
    assert result.code == 0
    assert "Usage: anonbench" in result.out


@pytest.mark.parametrize("command", [["models"], ["models", "list"]])
def test_models_lists_what_the_registry_loads_and_the_ablations_after_it(
    cli: Cli, command: list[str]
) -> None:
    result = cli(*command)
    assert result.code == 0
    main, ablations = result.out.split("Ablations")
    for name in (
        "baseline",
        "final",
        "original",
        "blackout",
        "noise",
        "gaussian_blur",
        "pixelate",
        "folder=PATH",
    ):
        assert name in main
    assert "ablation_" not in main
    for part in ("baseline", "base", "more_maps", "co_modulation", "discriminator", "larger"):
        assert f"ablation_{part} " in ablations


def test_centres_are_stored_beside_a_card(cli: Cli, tmp_path: Path) -> None:
    import yaml

    from anonbench.anonymizers.registry import load_anonymizer
    from tests.anonymizers.random_generators import ARCHITECTURE, publish_random

    published = publish_random(tmp_path, ARCHITECTURE)
    path = tmp_path / "random.yaml"
    path.write_text(yaml.safe_dump(published.model_dump(mode="json", exclude_defaults=True)))
    result = cli("models", "centres", path, "--count", 3, "--samples", 50)
    assert result.code == 0, result.err
    assert "3 centres of 50 w" in result.out
    assert load_anonymizer(str(path), {"truncation": "multimodal"}).card.name == "random"
    refused = cli("models", "centres", path, "--count", 60, "--samples", 50)
    assert refused.code == 2
    assert "60 centres of 50 samples" in refused.error


def test_a_model_is_described_by_the_first_clause_of_its_card() -> None:
    from anonbench.cli.models import first_clause

    assert first_clause("The final model (sections 4.6 to 4.10), slim: more. Still more.") == (
        "The final model (sections 4.6 to 4.10), slim"
    )
    assert first_clause("The images as they are. Ceiling.") == "The images as they are"
    assert first_clause("A box.") == "A box"


def test_protocols_explains_the_statistics_of_one(cli: Cli) -> None:
    result = cli("protocols", "fid")
    assert result.code == 0
    assert "value_at_infinity" in result.out
    assert "|m1 - m2|²" in result.out
    assert "reid" in cli("protocols", "nothing").error


def test_protocols_lists_the_presets(cli: Cli) -> None:
    result = cli("protocols")
    assert result.code == 0
    assert "background_swap" in result.out
    assert "288x160" in result.out


def test_weights_are_listed_with_their_state(cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANONBENCH_WEIGHTS", str(tmp_path_factory.mktemp("weights")))
        result = cli("weights", "list")
    assert result.code == 0
    assert "inception_v3" in result.out
    assert "missing" in result.out


def test_the_doctor_finds_every_packaged_model_ready(cli: Cli) -> None:
    result = cli("doctor")
    assert result.code == 0
    assert "PROBLEM" not in result.out
    assert "ready" in result.out


def test_data_check_counts_people_and_detections(cli: Cli, market: object) -> None:
    result = cli("data", "check", f"market1501={market}")
    assert result.code == 0
    assert "18 crops of 128x64" in result.out
    assert "query: 6" in result.out
    assert "identities: 6" in result.out
    assert "detection surface: 18" in result.out


def test_data_detect_writes_what_data_check_counts(
    cli: Cli, market: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class EveryoneStands:
        name, digest = "mediapipe", "everyone stands"

        def require(self) -> None: ...

        def detect(self, image: torch.Tensor) -> PersonDetections:
            mask = torch.zeros(image.shape[1:], dtype=torch.bool)
            mask[16:120, 16:48] = True
            person = Person.of_mask(mask, 0.9, torch.tensor(standing_keypoints()))
            assert person is not None
            return PersonDetections((128, 64), (person,))

    monkeypatch.setattr("anonbench.detection.mediapipe_people.MediapipePeople", EveryoneStands)
    data = f"market1501={market}"
    refused = cli("data", "detect", data)
    assert refused.code == 3
    assert "--overwrite" in refused.error
    shutil.rmtree(market / "masks")
    (market / "keypoints.json").unlink()
    detected = cli("data", "detect", data)
    assert detected.code == 0, detected.err
    assert detected.out.split("\n") == [
        "market1501: 18 crops",
        "  mask: 18",
        "  keypoints: 18",
        "  nothing: 0",
        "",
    ]
    assert f"anonbench data check {data}" in detected.err
    assert "detection surface: 18" in cli("data", "check", data).out


def test_data_detect_without_its_extra_says_what_to_install(
    cli: Cli, market: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mediapipe.python.solutions.pose", None)
    result = cli("data", "detect", f"market1501={market}")
    assert result.code == 2
    assert "pip install 'anonbench[detect]'" in result.error


def test_data_detect_is_for_files(cli: Cli) -> None:
    result = cli("data", "detect", "synthetic")
    assert result.code == 2
    assert "folder=PATH" in result.error


def test_rendered_people_read_back_as_a_folder(cli: Cli, tmp_path: object) -> None:
    out = f"{tmp_path}/people"
    rendered = cli("data", "render", "val", "--size", 72, 40, "--count", 8, "--out", out)
    assert rendered.code == 0, rendered.err
    checked = cli("data", "check", f"folder={out}")
    assert checked.code == 0, checked.err
    assert "detection none: 0" in checked.out


def test_an_interrupted_run_exits_with_4(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("anonbench.protocols.registry.protocol_card", interrupt)
    result = cli("protocols")
    assert result.code == 4
    assert "resumes" in result.err


def test_a_bug_is_one_line_unless_debug_is_asked_for(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(name: str) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr("anonbench.protocols.registry.protocol_card", break_down)
    result = cli("protocols")
    assert result.code == 70
    assert result.err == "internal error: ZeroDivisionError: oops; --debug shows where\n"
    with pytest.raises(ZeroDivisionError):
        cli("--debug", "protocols")
