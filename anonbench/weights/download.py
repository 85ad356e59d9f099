"""Getting weight files: the sources of a card in order, resumed where they broke off, kept if the hash is right.

A file arrives under a hidden name, `.<name>.part`, and gets its own name only after its hash matched. Proxies
and certificates are those of the environment, as `requests` reads them.
"""

import os
from pathlib import Path
from urllib.parse import urlsplit

import requests
from filelock import FileLock

from anonbench.cache import make_folder
from anonbench.errors import WeightsError
from anonbench.progress import byte_bar
from anonbench.weights.files import file_sha256
from anonbench.weights.registry import (
    VerifiedWeights,
    WeightsCard,
    absent_message,
    find_file,
    verify_file,
    weights_card,
    weights_dir,
)

_CHUNK = 1 << 16
"""Bytes; when a connection breaks off, the last piece is lost."""
_TIMEOUT_S = (10, 60)
"""To connect, and between two pieces."""
_CONTINUATIONS = 20
"""How often a connection may break off, each time after it brought something."""

_REASONS: tuple[tuple[type[requests.RequestException], str], ...] = (
    (requests.exceptions.ProxyError, "the proxy does not answer; check HTTPS_PROXY and HTTP_PROXY"),
    (requests.exceptions.SSLError, "its certificate is not accepted; REQUESTS_CA_BUNDLE names others"),
    (requests.Timeout, "no answer in time"),
    (requests.exceptions.ChunkedEncodingError, "the connection broke off"),
    (requests.ConnectionError, "cannot connect"),
)
"""The most special first: most of them are also connection errors."""


class _SourceError(Exception):
    """Why one source did not give the file."""


def is_offline() -> bool:
    """Whether ANONBENCH_OFFLINE forbids downloads: set, and neither empty nor 0."""
    return os.environ.get("ANONBENCH_OFFLINE", "") not in ("", "0")


def pull(name: str, offline: bool = False) -> VerifiedWeights:
    """The verified weight file, downloaded if it is not here. A file that is here is never replaced.

    offline: download nothing, as if ANONBENCH_OFFLINE were set.
    Raises WeightsError with the reason of every source if none gives the file; WrongHashError if the file that
    is here is another one; UsageError for an unknown name.
    """
    card = weights_card(name)
    path = find_file(card)
    if path is None:
        _require_source(card, offline or is_offline())
        path = weights_dir() / card.files[0]
        make_folder(path.parent)
        with FileLock(path.with_name(f".{path.name}.lock")):
            if not path.is_file():  # else another process got it meanwhile
                _from_first_that_has_it(card, path)
    return verify_file(card, path)


def _require_source(card: WeightsCard, offline: bool) -> None:
    if card.package is not None or card.by_hand is not None:
        raise WeightsError(absent_message(card))
    if offline:
        raise WeightsError(f"offline, so nothing is downloaded: {absent_message(card)}")


def _from_first_that_has_it(card: WeightsCard, target: Path) -> None:
    part = target.with_name(f".{target.name}.part")
    if card.sha256 is None:
        part.unlink(missing_ok=True)  # nothing would tell whether the two halves belong together
    reasons = []
    for source in card.sources:
        try:
            _fetch_right(card, source, part)
            part.replace(target)
            return
        except _SourceError as error:
            reasons.append(f"{source}: {error}")
        except OSError as error:
            raise WeightsError(
                f"{target.parent}: cannot write ({error.strerror}); set ANONBENCH_WEIGHTS to another folder"
            ) from error
    raise WeightsError(
        f"weights '{card.name}': no source gave the file ({'; '.join(reasons)}); get {target.name} yourself and "
        f"put it into {target.parent}"
    )


def _fetch_right(card: WeightsCard, source: str, part: Path) -> None:
    """Complete `part` from a source. A wrong file is deleted; one that was continued is first tried anew."""
    continued = part.exists()
    _fetch(source, part)
    if continued and not _is_right(card, part):
        part.unlink()
        _fetch(source, part)
    if not _is_right(card, part):
        found = file_sha256(part)
        part.unlink()
        raise _SourceError(f"sha256 of what it gave is {found}, must be {card.sha256}")


def _is_right(card: WeightsCard, path: Path) -> bool:
    return file_sha256(path).startswith(card.sha256 or "")


def _fetch(source: str, part: Path) -> None:
    if urlsplit(source).hostname == "drive.google.com":
        _fetch_from_drive(source, part)
        return
    for _ in range(_CONTINUATIONS):
        before = _size(part)
        try:
            _stream(source, part)
            return
        except requests.RequestException as error:
            if _size(part) <= before:
                raise _SourceError(_reason(error)) from error
    raise _SourceError(f"the connection broke off {_CONTINUATIONS} times; the next pull continues")


def _stream(source: str, part: Path) -> None:
    """Append to `part` what it lacks, or write all of it where the server cannot continue."""
    have = _size(part)
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with requests.get(source, headers=headers, stream=True, timeout=_TIMEOUT_S) as response:
        if have and response.status_code == requests.codes.requested_range_not_satisfiable:
            return  # nothing is left to send: the hash tells whether the file is whole
        response.raise_for_status()
        if response.headers.get("Content-Type", "").startswith("text/html"):
            raise _SourceError("answers with a web page, not with the file; open it in a browser")
        continues = response.status_code == requests.codes.partial_content
        if continues and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            raise _SourceError("answers with another part of the file than it was asked for")
        done = have if continues else 0
        length = response.headers.get("Content-Length")
        total = done + int(length) if length else None
        with part.open("ab" if continues else "wb") as file, byte_bar(part.name[1:-5], total, done) as bar:
            for chunk in response.iter_content(_CHUNK):
                file.write(chunk)
                bar(len(chunk))


def _fetch_from_drive(source: str, part: Path) -> None:
    """Google Drive asks questions about large files, which gdown answers."""
    try:
        import gdown
    except ImportError as error:
        raise _SourceError(
            "Google Drive needs 'pip install gdown', or open the address in a browser"
        ) from error
    part.unlink(missing_ok=True)
    try:
        gdown.download(source, str(part), quiet=True)
    except Exception as error:  # its own types, those of requests, and those of the pages that it parses
        raise _SourceError(f"gdown: {str(error).strip().partition(chr(10))[0]}") from error
    if not part.is_file():
        raise _SourceError("gdown got no file; open the address in a browser")


def _reason(error: requests.RequestException) -> str:
    if isinstance(error, requests.HTTPError):
        return f"{error.response.status_code} {error.response.reason}"
    return next((reason for kind, reason in _REASONS if isinstance(error, kind)), type(error).__name__)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
