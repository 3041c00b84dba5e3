"""Git repositories served over HTTP by git's own `http-backend`, as a git host does."""

from __future__ import annotations

import base64
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.support.repositories import GIT, VARIABLES


@dataclass
class GitHost:
    """A running host: the repositories below `root`, at `url/name`."""

    root: Path
    url: str
    login: str | None
    """`user:password`, asked of everybody; None lets everybody in."""
    requests: list[str] = field(default_factory=list)
    """Method and path, one a request."""
    authorizations: list[str] = field(default_factory=list)
    """The Authorization headers that came, in plain text."""
    redirect: str | None = None
    """Answer every request by pointing to this address."""
    is_old: bool = False
    """Speak git's first protocol only, in which a commit is given if a ref leads right to it."""
    files: dict[str, bytes] = field(default_factory=dict)
    """Path to content, for what is no repository."""

    @property
    def place(self) -> str:
        """The host and port."""
        return self.url.removeprefix("http://")


@contextmanager
def git_host(root: Path, login: str | None = None) -> Iterator[GitHost]:
    """Serve the repositories below a folder on a port of this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    host = GitHost(root, f"http://127.0.0.1:{server.server_address[1]}", login)
    _Handler.hosts[server.server_address[1]] = host
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield host
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    hosts: dict[int, GitHost] = {}  # noqa: RUF012 - one entry a server of this process

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self._body())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the inherited name
        """Say nothing."""

    def _answer(self, body: bytes) -> None:
        host = self.hosts[self.connection.getsockname()[1]]
        path, _, query = self.path.partition("?")
        host.requests.append(f"{self.command} {self.path}")
        given = self.headers.get("Authorization", "")
        if given:
            host.authorizations.append(base64.b64decode(given.removeprefix("Basic ")).decode())
        if host.redirect:
            self._send(302, {"Location": host.redirect + self.path}, b"")
        elif host.login and host.login not in host.authorizations[-1:]:
            self._send(401, {"WWW-Authenticate": 'Basic realm="git"'}, b"")
        elif path in host.files:
            self._send(200, {"Content-Type": "application/octet-stream"}, host.files[path])
        else:
            status, headers, content = _backend(host, path, query, body, self)
            self._send(status, headers, content)

    def _send(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body


def _backend(
    host: GitHost, path: str, query: str, body: bytes, request: _Handler
) -> tuple[int, dict[str, str], bytes]:
    variables = {
        **VARIABLES,
        "GIT_PROJECT_ROOT": str(host.root),
        "GIT_HTTP_EXPORT_ALL": "1",
        "REQUEST_METHOD": request.command,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "CONTENT_TYPE": request.headers.get("Content-Type", ""),
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_CONTENT_ENCODING": request.headers.get("Content-Encoding", ""),
        "GIT_PROTOCOL": "" if host.is_old else request.headers.get("Git-Protocol", ""),
        "REMOTE_ADDR": "127.0.0.1",
    }
    done = subprocess.run(
        [GIT, "http-backend"], env=variables, input=body, capture_output=True, check=False
    )
    head, _, content = done.stdout.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if line)
    status = int(headers.pop("Status", "200").split()[0])
    return status, headers, content
