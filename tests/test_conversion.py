"""Claims about checkpoints of other projects: nothing is read unchecked, run, or dropped without a word."""

import hashlib
import json
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from anonbench.conversion import convert_checkpoint
from anonbench.errors import CacheError, UsageError, WeightsError
from anonbench.weights import WrongHashError

STATE = {"conv.weight": torch.arange(6.0).reshape(2, 3), "conv.bias": torch.ones(2, dtype=torch.float16)}
CHECKPOINT = {
    "generator": {"conv.weight": torch.zeros(2, 3), "conv.bias": torch.zeros(2)},
    "EMA_generator": STATE,
    "D_optimizer": {"state": {0: {"exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 0.1}]},
    "step": 12,
}


def saved(path: Path, content: object) -> tuple[Path, str]:
    """A checkpoint file and its sha256."""
    torch.save(content, path)
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "out" / "weights.safetensors"


def assert_equal(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)


def test_the_chosen_state_is_written_and_everything_beside_it_is_named(tmp_path: Path, target: Path) -> None:
    source, sha256 = saved(tmp_path / "run.ckpt", CHECKPOINT)
    done = convert_checkpoint(source, target, sha256, "EMA_generator")
    assert_equal(load_file(target), STATE)
    assert done.tensors == 2
    assert done.left_out == ("generator", "D_optimizer", "step")
    assert done.sha256 == hashlib.sha256(target.read_bytes()).hexdigest()


def test_the_header_says_where_the_tensors_are_from(tmp_path: Path, target: Path) -> None:
    source, sha256 = saved(tmp_path / "run.ckpt", CHECKPOINT)
    convert_checkpoint(source, target, sha256, "EMA_generator")
    with safe_open(target, framework="pt") as file:
        origin = json.loads(file.metadata()["source"])
    assert origin == {"file": "run.ckpt", "sha256": sha256, "key": "EMA_generator"}


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    source, sha256 = saved(tmp_path / "run.ckpt", CHECKPOINT)
    digests = {
        convert_checkpoint(source, tmp_path / f"{i}.safetensors", sha256, "EMA_generator").sha256
        for i in "abcd"
    }
    assert len(digests) == 1


@pytest.mark.parametrize("content", [STATE, {"state_dict": STATE}, {"model": {"state_dict": STATE}}])
def test_a_file_with_one_state_and_nothing_else_needs_no_key(
    content: object, tmp_path: Path, target: Path
) -> None:
    source, sha256 = saved(tmp_path / "a.pth", content)
    assert convert_checkpoint(source, target, sha256).left_out == ()
    assert_equal(load_file(target), STATE)


def test_a_dotted_key_leads_into_containers_and_their_other_entries_are_named(
    tmp_path: Path, target: Path
) -> None:
    source, sha256 = saved(tmp_path / "a.pth", {"net.v1": {"state_dict": STATE, "lr": 0.1}, "epoch": 3})
    done = convert_checkpoint(source, target, sha256, "net.v1.state_dict")
    assert_equal(load_file(target), STATE)
    assert done.left_out == ("epoch", "net.v1.lr")


def test_a_single_tensor_is_stored_under_the_name_of_its_file(tmp_path: Path, target: Path) -> None:
    source, sha256 = saved(tmp_path / "embed_map.torch", torch.arange(4.0))
    convert_checkpoint(source, target, sha256)
    assert_equal(load_file(target), {"embed_map": torch.arange(4.0)})


def test_tensors_that_share_memory_are_kept_apart(tmp_path: Path, target: Path) -> None:
    whole = torch.arange(6.0).reshape(2, 3)
    state = {"whole": whole, "again": whole, "row": whole[1], "transposed": whole.T}
    source, sha256 = saved(tmp_path / "a.pth", state)
    convert_checkpoint(source, target, sha256)
    assert_equal(load_file(target), state)


def test_without_a_hash_the_real_one_is_told_and_nothing_is_read(tmp_path: Path, target: Path) -> None:
    source = tmp_path / "unread.ckpt"
    source.write_bytes(b"not even a checkpoint")
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    with pytest.raises(UsageError, match=f"its sha256 is {digest}"):
        convert_checkpoint(source, target, None)
    with pytest.raises(WrongHashError, match=f"sha256 is {digest}, not {'0' * 64}"):
        convert_checkpoint(source, target, "0" * 64)
    assert not target.exists()


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path, target: Path) -> None:
    source = tmp_path / "a.ckpt"
    source.write_bytes(b"not a checkpoint")
    with pytest.raises(WeightsError, match=r"a\.ckpt: not a PyTorch checkpoint"):
        convert_checkpoint(source, target, hashlib.sha256(source.read_bytes()).hexdigest())


class Exploit:
    def __init__(self, witness: str) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (self.witness,)


def test_a_pickle_that_would_run_code_is_refused_and_not_run(tmp_path: Path, target: Path) -> None:
    source, sha256 = saved(
        tmp_path / "evil.ckpt", {"EMA_generator": STATE, "x": Exploit(str(tmp_path / "ran"))}
    )
    with pytest.raises(
        WeightsError, match=r"evil\.ckpt: holds a \w+\.mkdir, and reading that would run code"
    ):
        convert_checkpoint(source, target, sha256, "EMA_generator")
    assert not (tmp_path / "ran").exists()
    assert not target.exists()


def test_the_progress_that_deep_privacy2_stores_is_read_as_a_dictionary(tmp_path: Path, target: Path) -> None:
    easydict = type("EasyDict", (dict,), {"__module__": "easydict"})
    source, sha256 = saved_with("easydict", easydict, tmp_path / "dp2.ckpt")
    assert convert_checkpoint(source, target, sha256, "EMA_generator").left_out == ("train_state",)


def saved_with(module: str, cls: type, path: Path) -> tuple[Path, str]:
    """A checkpoint that holds an instance of a class of an importable module."""
    fake = ModuleType(module)
    setattr(fake, cls.__name__, cls)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, module, fake)
        return saved(path, {"EMA_generator": STATE, "train_state": cls(total_time=1.5)})


def test_an_ambiguous_file_lists_its_states(tmp_path: Path, target: Path) -> None:
    source, sha256 = saved(tmp_path / "a.ckpt", CHECKPOINT)
    with pytest.raises(WeightsError, match=r"step \(int\).*choose with --key: generator, EMA_generator$"):
        convert_checkpoint(source, target, sha256)


def test_a_key_that_is_not_there_lists_the_states(tmp_path: Path, target: Path) -> None:
    source, sha256 = saved(tmp_path / "a.ckpt", CHECKPOINT)
    with pytest.raises(WeightsError, match=r"has no dictionary 'ema'; choose with --key: generator, EMA_"):
        convert_checkpoint(source, target, sha256, "ema")


def test_entries_that_are_not_tensors_are_listed_and_refused(tmp_path: Path, target: Path) -> None:
    source, sha256 = saved(tmp_path / "a.ckpt", {"model": STATE | {"steps": 3, "name": "x"}})
    with pytest.raises(WeightsError, match=r"not tensors: steps \(int\), name \(str\)"):
        convert_checkpoint(source, target, sha256, "model")
    assert not target.exists()


@pytest.mark.parametrize(("content", "message"), [([1], "holds a list"), ({}, "holds no tensors")])
def test_a_file_without_tensors_is_refused(
    content: object, message: str, tmp_path: Path, target: Path
) -> None:
    source, sha256 = saved(tmp_path / "a.ckpt", content)
    with pytest.raises(WeightsError, match=message):
        convert_checkpoint(source, target, sha256)


def test_an_output_that_exists_or_has_another_ending_is_refused(tmp_path: Path) -> None:
    source, sha256 = saved(tmp_path / "a.pth", STATE)
    existing = tmp_path / "there.safetensors"
    existing.write_bytes(b"mine")
    with pytest.raises(UsageError, match="exists already"):
        convert_checkpoint(source, existing, sha256)
    assert existing.read_bytes() == b"mine"
    with pytest.raises(UsageError, match=r"must end in \.safetensors"):
        convert_checkpoint(source, tmp_path / "a.pt", sha256)


def test_an_output_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    source, sha256 = saved(tmp_path / "a.pth", STATE)
    with pytest.raises(CacheError, match=r"a\.pth"):
        convert_checkpoint(source, source / "out.safetensors", sha256)
