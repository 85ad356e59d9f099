"""A web server on this machine that gives files, in pieces where asked, and breaks off where told to."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class WeightsServer:
    """Files by path. cut: bytes after which each of the coming answers breaks off.

    requests: path and Range of everything that was asked, in order.
    """

    address: str
    files: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    content_type: str = "application/octet-stream"
    cut: list[int] = field(default_factory=list)
    requests: list[tuple[str, str | None]] = field(default_factory=list)

    def url(self, path: str) -> str:
        """Address of a file."""
        return f"{self.address}/{path}"


@contextmanager
def serving() -> Iterator[WeightsServer]:
    """A running server; it also answers as a proxy, which is asked for whole addresses."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            """Nothing on stderr."""

        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            state.requests.append((self.path, asked))
            content = state.files.get(self.path.rpartition("/")[2])
            if content is None:
                self.send_error(404, "Not Found")
                return
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and state.ranges else 0
            if start >= len(content):
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            self.send_header("Content-Length", str(len(content) - start))
            self.send_header("Content-Type", state.content_type)
            self.end_headers()
            sent = content[start:]
            self.wfile.write(sent[: state.cut.pop(0)] if state.cut else sent)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state = WeightsServer(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
