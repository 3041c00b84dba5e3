"""A private package index on this machine: PEP 503 pages and files behind a login."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

LOGIN = "me:secret"


@dataclass
class Index:
    """A running index: the wheels in `folder`."""

    folder: Path
    port: int
    requests: list[str] = field(default_factory=list)

    def url(self, path: str, login: str = LOGIN) -> str:
        return f"http://{login + '@' if login else ''}127.0.0.1:{self.port}/{path}"


@contextmanager
def private_index(folder: Path) -> Iterator[Index]:
    """Serve the wheels of a folder under /simple/ and /files/, to who knows the login."""
    index = Index(folder, 0)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            index.requests.append(self.path)
            login = base64.b64encode(LOGIN.encode()).decode()
            if self.headers.get("Authorization") != f"Basic {login}":
                return self._answer(401, b"")
            kind, _, name = self.path.strip("/").partition("/")
            if kind == "files" and (folder / name).is_file():
                return self._answer(200, (folder / name).read_bytes())
            wheels = sorted(folder.glob(f"{name}-*.whl")) if kind == "simple" else []
            links = [_link(wheel) for wheel in wheels]
            return self._answer(200 if links else 404, "\n".join(links).encode())

        do_HEAD = do_GET  # noqa: N815 - the name that http.server looks for

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            if status == 401:
                self.send_header("WWW-Authenticate", 'Basic realm="index"')
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    index.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield index
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _link(wheel: Path) -> str:
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    return f'<a href="/files/{wheel.name}#sha256={digest}">{wheel.name}</a>'
