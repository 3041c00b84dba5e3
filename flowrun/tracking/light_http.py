"""MLflow's REST protocol over a kept-alive connection: the light client's way to the server.

Light means: the standard library only, Python 3.9 or later, and no module of flowrun but those in
`tracking/light.py`, since these files are put into the environments of steps.
"""

from __future__ import annotations

import atexit
import base64
import http.client
import json
import os
import threading
from urllib.parse import quote, urlencode, urlsplit

TYPE_CHECKING = False  # typing is slow to import, and needed for nothing else
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, BinaryIO

_TIMEOUT_S = 120.0
_API = "/api/2.0/mlflow/"
_ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts/"


class TrackingError(Exception):
    """Something could not be recorded or read; the message says what and why."""

    def __init__(self, message: str, error_code: str = "") -> None:
        """Keep the server's `error_code` (MLflow's names), empty if no server spoke."""
        super().__init__(message)
        self.error_code = error_code


class Http:
    """Calls one server; may be used from several threads and forked processes."""

    def __init__(self, url: str, authorization: str | None = None) -> None:
        """Set where and with which `Authorization` header; nothing is sent yet.

        Raises:
            TrackingError: the URL is none that this client can speak to.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise TrackingError(
                f"tracking URI '{url}': flowrun's light client speaks to http:// and https:// "
                "servers only. Start `flowrun server` on that store, or log with `import mlflow`."
            )
        self.url = url
        self._is_https = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port
        self._prefix = parts.path.rstrip("/")
        self._headers = {"Authorization": authorization} if authorization else {}
        # By thread; a later thread that gets the number of an ended one may use its connection.
        self._connections: dict[int, http.client.HTTPConnection] = {}
        atexit.register(self.close)
        self._left_to_parent: list[http.client.HTTPConnection] = []
        os.register_at_fork(after_in_child=self._leave_to_parent)

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | str | None = None,
        query: Mapping[str, object] | None = None,
    ) -> dict[str, Any]:
        """Make one call and give its answer.

        Args:
            method: GET or POST.
            path: of the call below `/api/2.0/mlflow/`, such as `runs/create`.
            body: sent as JSON, which a text is already.
            query: sent in the address.

        Raises:
            TrackingError: the server refused it or can't be reached.
        """
        target = f"{self._prefix}{_API}{path}" + (f"?{urlencode(query)}" if query else "")
        text = body if body is None or isinstance(body, str) else json.dumps(body)
        content = None if text is None else text.encode()
        headers = {**self._headers, "Content-Type": "application/json"}
        status, answer = self._exchange(method, target, content, headers)
        return self._read(status, answer, f"{method} {path}")

    def put_artifact(self, path: str, file: BinaryIO, size_bytes: int) -> None:
        """Store a file's bytes at a path below `mlflow-artifacts:/`."""
        headers = {**self._headers, "Content-Length": str(size_bytes)}
        target = f"{self._prefix}{_ARTIFACTS}{quote(path)}"
        status, answer = self._exchange("PUT", target, file, headers, rewind_to=file.tell())
        self._read(status, answer, f"storing artifact {path}")

    def list_artifacts(self, path: str) -> list[dict[str, Any]]:
        """Give what a folder below `mlflow-artifacts:/` holds: `path` (its name), `is_dir`."""
        target = f"{self._prefix}{_ARTIFACTS.rstrip('/')}?{urlencode({'path': path})}"
        status, answer = self._exchange("GET", target, None, self._headers)
        files: list[dict[str, Any]] = self._read(status, answer, f"listing artifacts {path}").get(
            "files", []
        )
        return files

    def get_artifact(self, path: str) -> bytes:
        """Give a file's bytes from a path below `mlflow-artifacts:/`."""
        target = f"{self._prefix}{_ARTIFACTS}{quote(path)}"
        status, answer = self._exchange("GET", target, None, self._headers)
        if status != 200:
            self._read(status, answer, f"reading artifact {path}")
        return answer

    def close(self) -> None:
        """Close all connections; the next call opens a new one."""
        while self._connections:
            self._connections.popitem()[1].close()

    def _leave_to_parent(self) -> None:
        """Go on in a forked child, without the connections of its parent.

        To close one, or to let it go, would wait for ever if a thread of the parent, which isn't
        here, was reading from it: only the descriptor is closed.
        """
        self._left_to_parent.extend(self._connections.values())
        self._connections = {}
        for connection in self._left_to_parent:
            descriptor = -1 if connection.sock is None else connection.sock.detach()
            if descriptor >= 0:
                os.close(descriptor)

    def _exchange(
        self,
        method: str,
        target: str,
        content: bytes | BinaryIO | None,
        headers: dict[str, str],
        rewind_to: int = 0,
    ) -> tuple[int, bytes]:
        connection = self._connection()
        is_reused = connection.sock is not None
        try:
            try:
                return _send(connection, method, target, content, headers)
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                # A kept connection that the server has closed meanwhile is worth one new one.
                connection.close()
                if not is_reused:
                    raise
                if content is not None and not isinstance(content, bytes):
                    content.seek(rewind_to)
                return _send(connection, method, target, content, headers)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise TrackingError(
                f"can't reach the tracking server at {self.url} ({error}). "
                "If the run it belongs to is over, so is its server."
            ) from error

    def _connection(self) -> http.client.HTTPConnection:
        thread = threading.get_ident()
        if thread not in self._connections:
            kind = http.client.HTTPSConnection if self._is_https else http.client.HTTPConnection
            self._connections[thread] = kind(self._host, self._port, timeout=_TIMEOUT_S)
        return self._connections[thread]

    def _read(self, status: int, answer: bytes, what: str) -> dict[str, Any]:
        try:
            value = json.loads(answer or b"{}")
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise TrackingError(
                f"{what}: {self.url} answered {status} with no JSON; is it a tracking server?"
            )
        if status != 200:
            message, code = value.get("message"), str(value.get("error_code", ""))
            if message and code and status < 500:  # a refusal, whose words are the server's
                raise TrackingError(str(message), code)
            message = message or f"the server answered {status}"
            raise TrackingError(f"{what}: {message}", code)
        return value


def authorization(token: str | None, user: str | None, password: str | None) -> str | None:
    """Give the header for a token, or else for a user and password, as MLflow's client does."""
    if user or password:
        pair = f"{user or ''}:{password or ''}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"
    return f"Bearer {token}" if token else None


def _send(
    connection: http.client.HTTPConnection,
    method: str,
    target: str,
    content: bytes | BinaryIO | None,
    headers: dict[str, str],
) -> tuple[int, bytes]:
    connection.request(method, target, content, headers)
    with connection.getresponse() as response:
        return response.status, response.read()
