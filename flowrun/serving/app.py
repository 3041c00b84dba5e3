"""MLflow's scoring protocol over HTTP: `/invocations`, `/ping`, and what is told of the model.

Source: MLflow 3.17, mlflow/pyfunc/scoring_server.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from flowrun.errors import FlowrunError
from flowrun.models.scoring.replies import JSON, Body, Reply, problem
from flowrun.server.access import Access
from flowrun.server.access_log import AccessLog
from flowrun.server.asgi import Receive, Scope, Send
from flowrun.server.body import ClientGoneError
from flowrun.server.messages import Headers, Permission
from flowrun.server.meters import CLIENT_GONE, CONTENT_TYPE, Meters
from flowrun.server.problems import (
    UnknownRouteError,
    WrongMethodError,
    bug_response,
    problem_response,
)
from flowrun.serving.gauges import gauges
from flowrun.serving.openapi import openapi_json
from flowrun.serving.page import Page
from flowrun.serving.pool import Pool
from flowrun.valueclass import valueclass
from flowrun.version import __version__

MOST_BODY_BYTES = 64 * 2**20
_log = logging.getLogger("flowrun.serving")


@valueclass
class ScoringRoute:
    """One of the paths that are served."""

    method: str
    path: str
    permission: Permission
    summary: str


PING = ScoringRoute("GET", "/ping", Permission.PUBLIC, "Say whether the model can be asked.")
HEALTH = ScoringRoute("GET", "/health", Permission.PUBLIC, "The same.")
VERSION = ScoringRoute("GET", "/version", Permission.PUBLIC, "Give flowrun's version.")
INVOCATIONS = ScoringRoute("POST", "/invocations", Permission.WRITE, "Predict.")
METRICS = ScoringRoute("GET", "/metrics", Permission.READ, "Tell counters for Prometheus.")
OPENAPI = ScoringRoute("GET", "/openapi.json", Permission.READ, "Describe all this.")
PAGE = ScoringRoute("GET", "/", Permission.READ, "Show a page to try the model.")
SCRIPT = ScoringRoute("GET", "/try.js", Permission.PUBLIC, "Give the page's script.")
STYLES = ScoringRoute("GET", "/try.css", Permission.PUBLIC, "Give the page's styles.")
ROUTES = (PING, HEALTH, VERSION, INVOCATIONS, METRICS, OPENAPI, PAGE, SCRIPT, STYLES)
_BY_PATH = {route.path: route for route in ROUTES}


@valueclass
class ScoringApp:
    """The ASGI application over a pool of processes."""

    pool: Pool
    access: Access
    page: Page
    meters: Meters = field(default_factory=lambda: Meters(ROUTES))
    access_log: AccessLog | None = None
    most_body_bytes: int = MOST_BODY_BYTES

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await send({"type": "websocket.close"})
            return
        began_s = time.perf_counter()
        self.meters.enter()
        exchange = _Exchange()
        try:
            status, headers, body = await self._answer(scope, receive, exchange)
            exchange.length_bytes = len(body)
            await send({"type": "http.response.start", "status": status, "headers": headers})
            sent = b"" if scope["method"] == "HEAD" else body
            await send({"type": "http.response.body", "body": sent})
            exchange.status = status
        except ClientGoneError:
            pass
        finally:
            seconds = time.perf_counter() - began_s
            self.meters.leave(exchange.route, exchange.status, seconds)
            if self.access_log is not None:
                self.access_log.write(
                    scope, exchange.route, exchange.status, exchange.length_bytes, seconds
                )

    async def _answer(
        self, scope: Scope, receive: Receive, exchange: _Exchange
    ) -> tuple[int, Headers, bytes]:
        try:
            reply, extra = await self._reply(scope, receive, exchange)
        except ClientGoneError:
            raise
        except FlowrunError as error:
            response = problem_response(error)
            assert isinstance(response.body, bytes)  # noqa: S101 - a problem is a text
            return response.status, response.headers, response.body
        except Exception:  # noqa: BLE001 - the edge: a bug becomes an answer and a log entry
            _log.exception("%s %s failed", scope["method"], scope["path"])
            response = bug_response()
            assert isinstance(response.body, bytes)  # noqa: S101 - as above
            return response.status, response.headers, response.body
        headers = [
            (b"content-type", reply.content_type.encode()),
            (b"content-length", str(len(reply.body)).encode()),
            (b"x-content-type-options", b"nosniff"),
            *extra,
        ]
        return reply.status, headers, reply.body

    async def _reply(
        self, scope: Scope, receive: Receive, exchange: _Exchange
    ) -> tuple[Reply, Headers]:
        headers: Mapping[bytes, bytes] = dict(scope["headers"])
        method, path = scope["method"], scope["path"]
        route = exchange.route = _BY_PATH.get(path)
        # Who may not call does not learn what there is.
        self.access.admit(headers, Permission.READ if route is None else route.permission)
        if route is None:
            raise UnknownRouteError(f"This server has no '{path}'.")
        if route.method != ("GET" if method == "HEAD" else method):
            raise WrongMethodError(f"{path} does not take {method}, only {route.method}.")
        if route is INVOCATIONS:
            return await self._invoke(headers, receive), ()
        return self._tell(route)

    async def _invoke(self, headers: Mapping[bytes, bytes], receive: Receive) -> Reply:
        body = await self._read(headers, receive)
        if body is None:
            return problem(
                "INVALID_PARAMETER_VALUE",
                f"The request's body is larger than {self.most_body_bytes} bytes. Send fewer rows "
                "at once, or start the server with a larger --max-body-mb.",
                413,
            )
        content_type = headers.get(b"content-type", b"").decode("latin-1")
        return await self.pool.ask(Body(content_type, body))

    async def _read(self, headers: Mapping[bytes, bytes], receive: Receive) -> bytes | None:
        """Give the body; None if it is too large."""
        announced = headers.get(b"content-length", b"0")
        if announced.isdigit() and int(announced) > self.most_body_bytes:
            return None
        pieces: list[bytes] = []
        size_bytes = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGoneError("the caller closed the connection")
            piece = message.get("body", b"")
            size_bytes += len(piece)
            if size_bytes > self.most_body_bytes:
                return None
            pieces.append(piece)
            if not message.get("more_body", False):
                return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _tell(self, route: ScoringRoute) -> tuple[Reply, Headers]:
        if route in {PING, HEALTH}:
            return Reply(200 if self.pool.alive else 503, JSON, b"\n"), ()
        if route is VERSION:
            return Reply(200, JSON, __version__.encode()), ()
        if route is METRICS:
            text = self.meters.text() + gauges(self.pool)
            return Reply(200, CONTENT_TYPE.decode(), text.encode()), ()
        if route is OPENAPI:
            return Reply(200, JSON, openapi_json(self.pool.about)), ()
        if route is SCRIPT:
            return Reply(200, "text/javascript; charset=utf-8", self.page.script), ()
        if route is STYLES:
            return Reply(200, "text/css; charset=utf-8", self.page.styles), ()
        shown = self.page.render(self.pool.about)
        return Reply(200, "text/html; charset=utf-8", shown), self.page.headers


@dataclass(slots=True)
class _Exchange:
    """What is known of one request, for the meters and the log, as it becomes known."""

    route: ScoringRoute | None = None
    status: int = CLIENT_GONE
    length_bytes: int = 0
