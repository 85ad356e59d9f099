"""Claims about downloads, against a server on this machine."""

import hashlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from anonbench.errors import WeightsError
from anonbench.weights import WeightsCard, WrongHashError, registry, weights_path
from anonbench.weights import download as module
from anonbench.weights.download import pull
from tests.weights_server import WeightsServer, serving

CONTENT = bytes(range(256)) * 400
SHA256 = hashlib.sha256(CONTENT).hexdigest()
Register = Callable[..., WeightsCard]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ANONBENCH_WEIGHTS", str(tmp_path / "weights"))
    for variable in ("ANONBENCH_OFFLINE", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path / "weights"


@pytest.fixture
def server() -> Iterator[WeightsServer]:
    with serving() as running:
        running.files["tiny.pth"] = CONTENT
        yield running


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Register:
    def make(*sources: str, **changes: object) -> WeightsCard:
        facts = {"name": "tiny", "description": "for tests", "licence": "CC0", "files": ("tiny.pth",)}
        card = WeightsCard.model_validate(facts | {"sha256": SHA256, "sources": sources} | changes)
        for place in (registry, module):
            monkeypatch.setattr(place, "weights_card", lambda name: card)
        return card

    return make


def part_of(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder / ".tiny.pth.part"


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_a_file_is_downloaded_verified_and_left_alone_afterwards(
    server: WeightsServer, register: Register, folder: Path
) -> None:
    register(server.url("tiny.pth"))
    assert pull("tiny").path == folder / "tiny.pth"
    assert (folder / "tiny.pth").read_bytes() == CONTENT
    assert pull("tiny").sha256 == SHA256
    assert len(server.requests) == 1
    assert visible(folder) == ["tiny.pth"]
    assert not part_of(folder).exists()


@pytest.mark.parametrize("sha256", [SHA256, SHA256[:8]], ids=["full", "prefix"])
def test_a_wrong_file_is_not_kept_and_both_hashes_are_named(
    sha256: str, server: WeightsServer, register: Register, folder: Path
) -> None:
    server.files["tiny.pth"] = b"another file"
    register(server.url("tiny.pth"), sha256=sha256)
    with pytest.raises(WeightsError, match=sha256) as error:
        pull("tiny")
    assert hashlib.sha256(b"another file").hexdigest() in str(error.value)
    assert not visible(folder)
    assert not part_of(folder).exists()


def test_the_next_source_is_tried_and_every_reason_is_told(
    server: WeightsServer, register: Register, folder: Path
) -> None:
    server.files["other.pth"] = b"another file"
    bad = [server.url("gone.pth"), "http://127.0.0.1:9/tiny.pth", server.url("other.pth")]
    register(*bad, server.url("tiny.pth"))
    assert pull("tiny").path.read_bytes() == CONTENT
    (folder / "tiny.pth").unlink()
    register(*bad)
    with pytest.raises(WeightsError) as error:
        pull("tiny")
    for source, reason in zip(bad, ("404 Not Found", "cannot connect", "must be"), strict=True):
        assert source in str(error.value)
        assert reason in str(error.value)
    assert "\n" not in str(error.value)


def test_a_killed_download_goes_on_where_it_stopped(
    server: WeightsServer, register: Register, folder: Path
) -> None:
    part_of(folder).write_bytes(CONTENT[:1000])
    register(server.url("tiny.pth"))
    assert pull("tiny").path.read_bytes() == CONTENT
    assert [asked for _, asked in server.requests] == ["bytes=1000-"]


def test_a_server_without_ranges_sends_all_of_it_again(
    server: WeightsServer, register: Register, folder: Path
) -> None:
    server.ranges = False
    part_of(folder).write_bytes(CONTENT[:1000])
    register(server.url("tiny.pth"))
    assert pull("tiny").path.read_bytes() == CONTENT


def test_a_connection_that_breaks_off_is_continued(
    server: WeightsServer, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_CHUNK", 1000)
    server.cut = [5000, 20_000]
    register(server.url("tiny.pth"))
    assert pull("tiny").path.read_bytes() == CONTENT
    assert [asked for _, asked in server.requests] == [None, "bytes=5000-", "bytes=25000-"]


def test_a_server_that_always_breaks_off_at_one_place_is_given_up(
    server: WeightsServer, register: Register, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_CHUNK", 1000)
    server.ranges, server.cut = False, [5000] * 50
    register(server.url("tiny.pth"))
    with pytest.raises(WeightsError, match="broke off"):
        pull("tiny")
    assert len(server.requests) == 2
    assert not visible(folder)


def test_pieces_of_two_files_are_noticed_and_fetched_anew(
    server: WeightsServer, register: Register, folder: Path
) -> None:
    part_of(folder).write_bytes(b"x" * 1000)
    register(server.url("tiny.pth"))
    assert pull("tiny").path.read_bytes() == CONTENT
    assert [asked for _, asked in server.requests] == ["bytes=1000-", None]


def test_a_part_that_is_already_whole_is_taken(
    server: WeightsServer, register: Register, folder: Path
) -> None:
    part_of(folder).write_bytes(CONTENT)
    register(server.url("tiny.pth"))
    assert pull("tiny").path.read_bytes() == CONTENT


def test_pieces_are_not_joined_where_no_hash_tells_whether_they_fit(
    server: WeightsServer, register: Register, folder: Path
) -> None:
    part_of(folder).write_bytes(b"x" * 1000)
    register(server.url("tiny.pth"), sha256=None)
    found = pull("tiny")
    assert found.path.read_bytes() == CONTENT
    assert found.card.trust == "first_use"
    assert (folder / "tiny.pth.sha256").read_text() == f"{SHA256}  tiny.pth\n"


def test_a_web_page_is_not_taken_for_the_file(server: WeightsServer, register: Register) -> None:
    server.content_type = "text/html; charset=utf-8"
    register(server.url("tiny.pth"), sha256=None)
    with pytest.raises(WeightsError, match="web page"):
        pull("tiny")


@pytest.mark.parametrize("by_variable", [True, False])
def test_offline_nothing_is_asked_and_the_message_says_what_is_missing(
    by_variable: bool, server: WeightsServer, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(server.url("tiny.pth"))
    if by_variable:
        monkeypatch.setenv("ANONBENCH_OFFLINE", "1")
    with pytest.raises(WeightsError, match=r"offline.*tiny\.pth"):
        pull("tiny", offline=not by_variable)
    assert not server.requests


def test_a_file_that_is_here_is_verified_offline_too(
    server: WeightsServer, register: Register, folder: Path
) -> None:
    register(server.url("tiny.pth"))
    folder.mkdir()
    (folder / "tiny.pth").write_bytes(b"another file")
    with pytest.raises(WrongHashError):
        pull("tiny", offline=True)
    assert (folder / "tiny.pth").read_bytes() == b"another file"


def test_the_proxy_of_the_environment_is_used(
    server: WeightsServer, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    register("http://weights.invalid/tiny.pth")
    monkeypatch.setenv("HTTP_PROXY", server.address)
    monkeypatch.setenv("http_proxy", server.address)
    assert pull("tiny").path.read_bytes() == CONTENT
    assert server.requests == [("http://weights.invalid/tiny.pth", None)]


def test_a_dead_proxy_is_named(register: Register, monkeypatch: pytest.MonkeyPatch) -> None:
    register("http://weights.invalid/tiny.pth")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with pytest.raises(WeightsError, match="HTTP_PROXY"):
        pull("tiny")


def test_google_drive_goes_through_gdown_or_is_left_out(
    server: WeightsServer, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    drive = "https://drive.google.com/uc?id=1"
    register(drive)
    monkeypatch.setitem(sys.modules, "gdown", None)
    with pytest.raises(WeightsError, match="pip install gdown"):
        pull("tiny")
    fake = ModuleType("gdown")
    fake.download = lambda url, output, quiet: Path(output).write_bytes(CONTENT)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "gdown", fake)
    assert pull("tiny").path.read_bytes() == CONTENT


def test_weights_that_need_a_hand_say_what_to_do(server: WeightsServer, register: Register) -> None:
    register(server.url("tiny.pkl"), by_hand="convert it")
    with pytest.raises(WeightsError, match=r"tiny\.pkl, convert it"):
        pull("tiny")
    assert not server.requests


def test_an_absent_file_names_the_command_that_gets_it(register: Register) -> None:
    register("http://weights.invalid/tiny.pth")
    with pytest.raises(WeightsError, match="anonbench weights pull tiny"):
        weights_path("tiny")
