"""A conda channel over HTTP that is slow, wants a login, or hangs up, as a test says."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class ChannelServer:
    """Serves the files of a folder; archives come in two halves."""

    folder: Path
    login: str = ""
    """`user:password` that it asks for; '' for nobody's."""
    port: int = 0
    asked: list[str] = field(default_factory=list)
    between_halves: threading.Event = field(default_factory=threading.Event)
    """Set when the first half of an archive has been sent."""
    may_go_on: threading.Event = field(default_factory=threading.Event)
    """Until it is set, no second half is sent."""
    hangs_up: bool = False
    """Whether it closes the connection instead of sending the second half."""

    def url(self, login: str = "") -> str:
        """Give its address, as the parent of the channels."""
        return f"http://{login + '@' if login else ''}127.0.0.1:{self.port}"


@contextmanager
def channel_server(folder: Path, *, login: str = "") -> Iterator[ChannelServer]:
    """Serve a folder of channels; at the end, let go whoever waits."""
    channels = ChannelServer(folder, login)
    channels.may_go_on.set()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            channels.asked.append(self.path)
            known = base64.b64encode(channels.login.encode()).decode()
            if channels.login and self.headers.get("Authorization") != f"Basic {known}":
                self.send_error(401)
                return
            file = folder / self.path.lstrip("/")
            if not file.is_file():
                self.send_error(404)
                return
            content = file.read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self._send(content, is_archive=file.suffix == ".conda")

        do_HEAD = do_GET  # noqa: N815 - the name that http.server looks for

        def _send(self, content: bytes, *, is_archive: bool) -> None:
            half = len(content) // 2 if is_archive else len(content)
            self.wfile.write(content[:half])
            self.wfile.flush()
            if is_archive:
                channels.between_halves.set()
                channels.may_go_on.wait()
                if channels.hangs_up:
                    return
                self.wfile.write(content[half:])

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """Say nothing of clients that were killed."""

    server = Server(("127.0.0.1", 0), Handler)
    channels.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield channels
    finally:
        channels.may_go_on.set()
        server.shutdown()
        server.server_close()
        thread.join()
