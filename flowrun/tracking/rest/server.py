"""Calls of one server: MLflow's JSON calls, and files; repeated where that is safe.

A call is repeated when the server is busy or gone for a while: after a broken connection and the
statuses 429, 502, 503 and 504. A call that is not `is_repeatable` is repeated only if the server
can't have carried it out: it was not reached, or said 429 or 503.
"""

from __future__ import annotations

import http.client
import json
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import BinaryIO, TypeVar
from urllib.parse import urlencode

from flowrun.errors import (
    FlowrunError,
    InvalidValueError,
    NotFoundError,
    StoreError,
    UnsupportedError,
)
from flowrun.tracking.fields import Fields
from flowrun.tracking.rest.address import ServerAddress
from flowrun.tracking.rest.answers import WrongAddressError, read_json, refusal
from flowrun.tracking.rest.connections import Connections, proxy_authorization
from flowrun.tracking.rest.outage import Outage
from flowrun.tracking.wire import compact
from flowrun.valueclass import valueclass
from flowrun.version import __version__

T = TypeVar("T")

MLFLOW_API = "/api/2.0/mlflow/"
_INFO_API = "/api/3.0/mlflow/"
_BUSY = frozenset({429, 503})
"""Statuses of a server that has not begun to carry the call out."""
_UNCERTAIN = frozenset({502, 504})
"""Statuses of a proxy that got no answer."""


@valueclass
class Request:
    """One call."""

    method: str
    target: str
    """Path and query below the server's URL."""
    what: str
    """What it is called in messages."""
    content: bytes | BinaryIO | None = None
    """A file is sent from where it stands."""
    size_bytes: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    is_repeatable: bool = True


@valueclass
class _Missed:
    """Why one attempt came to nothing, though a later one may do better."""

    reason: str
    may_have_acted: bool
    is_reached: bool = False
    wanted_s: float | None = None


@valueclass
class Answer:
    """A good answer whose body is still on its way; ended by `done` or `abort`."""

    response: http.client.HTTPResponse
    connection: http.client.HTTPConnection
    connections: Connections

    def read(self) -> bytes:
        """Read all of it."""
        body = self.response.read()
        self.done()
        return body

    def done(self) -> None:
        """Say that all was read: the connection serves the next call."""
        self.connections.give_back(self.connection)

    def abort(self) -> None:
        """Say that no more is wanted."""
        self.response.close()
        self.connection.close()


class Server:
    """A tracking server; may be called from any thread."""

    def __init__(self, address: ServerAddress) -> None:
        """Note where it is; nothing is sent yet."""
        self.address = address
        self._connections = Connections(address)
        self._outage = Outage(address.patience_s, time.monotonic)
        self._headers = {"User-Agent": f"flowrun/{__version__}", **proxy_authorization(address)}
        if address.authorization is not None:
            self._headers["Authorization"] = address.authorization
        self._pause = threading.Event()
        self._flowrun_version: str | None = None

    @property
    def url(self) -> str:
        """Where it is, without credentials."""
        return self.address.url

    def get(
        self,
        path: str,
        query: Mapping[str, object],
        read: Callable[[Fields], T],
        api: str = MLFLOW_API,
    ) -> T:
        """Ask for something.

        Args:
            path: of the call below `api`, such as `runs/get`.
            query: what is None is left out.
            read: makes the result of the answer's fields.
            api: `/api/2.0/mlflow/` or another group of calls.

        Raises:
            FlowrunError: what the server refused, by its error code; StoreError if it can't be
                reached or does not speak MLflow's protocol.
        """
        text = urlencode({k: v for k, v in query.items() if v is not None}, doseq=True)
        target = f"{api}{path}?{text}" if text else f"{api}{path}"
        return self._json_call(Request("GET", target, f"GET {path}"), read)

    def send(
        self,
        method: str,
        path: str,
        body: Mapping[str, object],
        read: Callable[[Fields], T],
        *,
        api: str = MLFLOW_API,
        is_repeatable: bool = True,
    ) -> T:
        """Make a call with a JSON body; what is None in it, or an empty list, is left out."""
        content = json.dumps(compact(**body)).encode()
        request = Request(
            method,
            f"{api}{path}",
            f"{method} {path}",
            content,
            len(content),
            {"Content-Type": "application/json"},
            is_repeatable,
        )
        return self._json_call(request, read)

    def do(
        self,
        method: str,
        path: str,
        body: Mapping[str, object],
        *,
        api: str = MLFLOW_API,
        is_repeatable: bool = True,
    ) -> None:
        """Make a call whose answer says nothing."""
        self.send(method, path, body, _nothing, api=api, is_repeatable=is_repeatable)

    def exchange(self, request: Request, take: Callable[[Answer], T]) -> T:
        """Make any call; `take` makes the result of a good answer."""
        attempt = 0
        while True:
            attempt += 1
            start = None if isinstance(request.content, bytes | None) else request.content.tell()
            outcome = self._try(request, take)
            match outcome:
                case _Missed():
                    self._wait(request, outcome, attempt)
                case FlowrunError():
                    raise outcome
                case (result,):
                    return result
            if start is not None and not isinstance(request.content, bytes | None):
                request.content.seek(start)

    @property
    def flowrun_version(self) -> str | None:
        """Which flowrun the server is; None for MLflow's own, or another that speaks like it."""
        if self._flowrun_version is None:
            try:
                version = self.get("server-info", {}, _flowrun_version, _INFO_API)
            except (NotFoundError, UnsupportedError, WrongAddressError):
                version = ""  # MLflow before 3.4
            self._flowrun_version = version
        return self._flowrun_version or None

    def close(self) -> None:
        """Close its connections."""
        self._connections.close()

    def _json_call(self, request: Request, read: Callable[[Fields], T]) -> T:
        fields = read_json(self.exchange(request, Answer.read), request.what, self.url)
        try:
            return read(fields)
        except InvalidValueError as error:
            raise StoreError(
                f"{self.url} answered {request.what} with something that is not MLflow's "
                f"protocol: {error.message}"
            ) from error

    def _try(
        self,
        request: Request,
        take: Callable[[Answer], T],
    ) -> tuple[T] | _Missed | FlowrunError:
        try:
            connection = self._connections.take()
        except ssl.SSLError as error:
            raise self._tls_failure(error) from error
        except OSError as error:
            return _Missed(error.strerror or str(error), may_have_acted=False)
        try:
            return self._speak(connection, request, take)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            reason = str(error) or type(error).__name__
            return _Missed(f"the connection broke: {reason}", may_have_acted=True)
        except BaseException:
            connection.close()
            raise

    def _speak(
        self,
        connection: http.client.HTTPConnection,
        request: Request,
        take: Callable[[Answer], T],
    ) -> tuple[T] | _Missed | FlowrunError:
        headers = {**self._headers, **request.headers}
        if request.content is not None:
            headers["Content-Length"] = str(request.size_bytes)
        target = f"{self._connections.prefix}{request.target}"
        try:
            connection.request(request.method, target, request.content, headers)
        except (BrokenPipeError, ConnectionResetError):
            if isinstance(request.content, bytes | None):
                raise
            # A server that refuses a file does so before it has read it all.
        response = connection.getresponse()
        if response.status in {200, 206}:
            self._outage.answered()
            return (take(Answer(response, connection, self._connections)),)
        body = response.read()
        self._connections.give_back(connection)
        if response.status in _BUSY | _UNCERTAIN:
            return _Missed(
                f"it answered {response.status}",
                may_have_acted=response.status in _UNCERTAIN,
                is_reached=True,
                wanted_s=_seconds(response.headers.get("Retry-After")),
            )
        self._outage.answered()
        location = response.headers.get("Location")
        return refusal(response.status, body, location, request.what, self.url)

    def _wait(self, request: Request, missed: _Missed, attempt: int) -> None:
        """Wait before the next attempt, or raise what is wrong if there may be none."""
        pause_s = self._outage.pause_s(
            attempt, is_reached=missed.is_reached, wanted_s=missed.wanted_s
        )
        where = f"the tracking server at {self.url}"
        if missed.may_have_acted and not request.is_repeatable:
            raise StoreError(
                f"{where} went away during {request.what} ({missed.reason}); "
                "whether it did that is not known, so it is not asked again"
            )
        if pause_s is None:
            tried = f", for {self._outage.patience_s:g} s" if attempt > 1 else ""
            raise StoreError(f"{where} can't be reached{tried}: {missed.reason}")
        self._pause.wait(pause_s)

    def _tls_failure(self, error: ssl.SSLError) -> FlowrunError:
        if isinstance(error, ssl.SSLCertVerificationError):
            return StoreError(
                f"the certificate of {self.url} is not trusted: {error.verify_message}",
                "Name the file of its authority in MLFLOW_TRACKING_SERVER_CERT_PATH, or set "
                "MLFLOW_TRACKING_INSECURE_TLS=true if nobody can come between.",
            )
        return StoreError(
            f"{self.url} does not speak TLS as it should: {error.reason or error}",
            "Is it a server for http:// instead of https://?",
        )


def _flowrun_version(fields: Fields) -> str:
    return fields.text_or("flowrun_version")


def _nothing(fields: Fields) -> None:
    del fields


def _seconds(text: str | None) -> float | None:
    """Read `Retry-After`; a date in it is rare, and then the pause is our own."""
    return float(text) if text is not None and text.isdecimal() else None
