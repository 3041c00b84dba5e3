"""A server that answers as the test says, whatever it is asked: wrong, late, by half or not."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Reply:
    """One answer. `cut_bytes`: of its body only so many are sent before the connection ends."""

    status: int = 200
    body: str = "{}"
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_bytes: int | None = None
    is_dropped: bool = False
    """The connection ends without an answer."""
    body_after: threading.Event | None = None
    """The headers are sent at once, the body when this has happened."""


DROPPED = Reply(is_dropped=True)


@dataclass
class OddServer:
    """What it was asked, and where it is."""

    url: str
    asked: list[str] = field(default_factory=list)
    """Method and target of each request."""
    headers: list[Mapping[str, str]] = field(default_factory=list)


@contextmanager
def odd_server(replies: Sequence[Reply], tls: ssl.SSLContext | None = None) -> Iterator[OddServer]:
    """Serve: one reply for each request, the last one for all that come after."""
    left = list(replies)
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except ConnectionError:
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
            """Say nothing."""

        def __getattr__(self, name: str) -> object:
            if name.startswith("do_"):
                return self._answer
            raise AttributeError(name)

        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", "0")))
            with lock:
                server.asked.append(f"{self.command} {self.path}")
                server.headers.append(dict(self.headers))
                reply = left.pop(0) if len(left) > 1 else left[0]
            if reply.is_dropped:
                self.close_connection = True
                return
            body = reply.body.encode()
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if reply.body_after is not None:
                reply.body_after.wait()
            self.wfile.write(body if reply.cut_bytes is None else body[: reply.cut_bytes])
            self.close_connection = reply.cut_bytes is not None

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener.daemon_threads = True
    if tls is not None:
        listener.socket = tls.wrap_socket(listener.socket, server_side=True)
    server = OddServer(f"http{'s' if tls else ''}://127.0.0.1:{listener.server_address[1]}")
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()
