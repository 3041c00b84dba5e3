"""The server as an ASGI application: finds the route, lets the caller in, runs the handler.

It is written on bare ASGI, since the time of one call is the time of a training step's log_metric:
no middleware, no model classes; what the store answers at once runs on the event loop itself
(`calling.py`).
"""

from __future__ import annotations

import asyncio
import io
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

from flowrun.errors import FlowrunError
from flowrun.registry.store import RegistryStore
from flowrun.server.access import Access
from flowrun.server.access_log import AccessLog
from flowrun.server.asgi import ASGIApp, Receive, Scope, Send
from flowrun.server.body import ClientGoneError, body_file, read_json, read_query
from flowrun.server.calling import Caller
from flowrun.server.cors import is_preflight, preflight_response, shared_headers
from flowrun.server.messages import (
    Call,
    FileBody,
    Headers,
    Permission,
    Response,
    Route,
    Stores,
    json_response,
)
from flowrun.server.meters import CLIENT_GONE, Meters
from flowrun.server.problems import UnknownRouteError, bug_response, problem_response
from flowrun.server.routes import served_routes
from flowrun.server.table import RouteTable
from flowrun.server.webhooks.deliver import Webhooks
from flowrun.tracking.store import TrackingStore
from flowrun.tracking.trace_store import TraceStore
from flowrun.valueclass import valueclass

_CHUNK_BYTES = 2**18
_NO_FILE: BinaryIO = io.BytesIO()
_log = logging.getLogger("flowrun.server")


def create_app(
    *,
    tracking: TrackingStore,
    registry: RegistryStore,
    artifacts_destination: str,
    access: Access,
    traces: TraceStore | None = None,
    prefix: str = "",
    webhooks: Webhooks | None = None,
    options: AppOptions | None = None,
) -> ASGIApp:
    """Give the application that serves these stores by MLflow's REST protocol.

    Args:
        tracking: experiments, runs and logged models.
        registry: registered models.
        artifacts_destination: the directory or fsspec URL under which `mlflow-artifacts:/` lies.
        access: who may call.
        traces: traces with their spans and assessments; None answers that there are none.
        prefix: what all paths begin with, such as `/mlflow`.
        webhooks: who is told of changes; None refuses the calls for them.
        options: what a server of its own has beside; by default nothing of it.
    """
    options = options or AppOptions()
    stores = Stores(
        tracking,
        registry,
        artifacts_destination,
        webhooks=webhooks,
        traces=traces,
        artifact_roots=options.artifact_roots,
        storage_variables=options.storage_variables,
        meters=options.meters,
    )
    routes = served_routes(
        proxies_artifacts=options.proxies_artifacts, only_artifacts=options.only_artifacts
    )
    table = RouteTable(routes)
    return _App(stores, access, prefix.rstrip("/"), table, options, Caller(tracking.pace))


@valueclass
class AppOptions:
    """What an operator may choose."""

    proxies_artifacts: bool = True
    """Artifacts below `mlflow-artifacts:/` are passed on."""
    only_artifacts: bool = False
    """Nothing else is."""
    artifact_roots: tuple[str, ...] = ()
    """See `Stores`."""
    storage_variables: Mapping[str, str] = field(default_factory=dict)
    """See `Stores`."""
    frame_options: bytes | None = None
    """Whose pages may show the server's in a frame (X-Frame-Options); None says nothing."""
    meters: Meters | None = None
    """Counts every request, and is told at `/metrics`."""
    access_log: AccessLog | None = None
    """Gets a line for every request."""


@valueclass
class _App:
    stores: Stores
    access: Access
    prefix: str
    table: RouteTable
    options: AppOptions
    caller: Caller

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._serve(scope, receive, send)
        elif scope["type"] == "lifespan":
            await _live(receive, send)
        else:
            await send({"type": "websocket.close"})

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        began_s = time.perf_counter()
        meters, access_log = self.options.meters, self.options.access_log
        if meters is not None:
            meters.enter()
        exchange = _Exchange()
        try:
            response = await self._answer(scope, receive, exchange)
            exchange.length_bytes = response.length_bytes
            await self._send(scope, response, send)
            exchange.status = response.status
        except ClientGoneError:
            pass
        finally:
            seconds = time.perf_counter() - began_s
            if meters is not None:
                meters.leave(exchange.route, exchange.status, seconds)
            if access_log is not None:
                access_log.write(
                    scope, exchange.route, exchange.status, exchange.length_bytes, seconds
                )

    async def _answer(self, scope: Scope, receive: Receive, exchange: _Exchange) -> Response:
        try:
            return await self._call(scope, receive, exchange)
        except ClientGoneError:
            raise
        except FlowrunError as error:
            return problem_response(error)
        except Exception:  # noqa: BLE001 - the edge: a bug becomes an answer and a log entry
            _log.exception("%s %s failed", scope["method"], scope["path"])
            return bug_response()

    async def _call(self, scope: Scope, receive: Receive, exchange: _Exchange) -> Response:
        method: str = scope["method"]
        headers: Mapping[bytes, bytes] = dict(scope["headers"])
        if is_preflight(method, headers):
            self.access.admit(headers, Permission.PUBLIC)
            return preflight_response()
        route, values, user = self._admit(method, scope["path"], headers, exchange)
        body = _NO_FILE
        if route.takes_file:
            fields = read_query(scope["query_string"])
            body = body_file(receive)
        elif method in {"GET", "HEAD"}:
            fields = read_query(scope["query_string"])
        else:
            fields = await read_json(receive, headers, method)
        if values:
            fields = fields.with_values(values)
        call = Call(self.stores, fields, user, headers, body)
        answer = await self.caller.answer(route, call)
        return answer if isinstance(answer, Response) else json_response(answer)

    def _admit(
        self, method: str, path: str, headers: Mapping[bytes, bytes], exchange: _Exchange
    ) -> tuple[Route, Mapping[str, str], str]:
        try:
            route, values = self.table.find(method, self._below_prefix(path))
        except FlowrunError:
            # Who may not call does not learn what there is.
            self.access.admit(headers, Permission.READ)
            raise
        exchange.route = route
        return route, values, self.access.admit(headers, route.permission)

    def _below_prefix(self, path: str) -> str:
        if not path.startswith(self.prefix + "/"):
            raise UnknownRouteError(f"This server has no '{path}'; all is below {self.prefix}/.")
        return path[len(self.prefix) :]

    async def _send(self, scope: Scope, response: Response, send: Send) -> None:
        extra: list[tuple[bytes, bytes]] = []
        if self.options.frame_options is not None:
            extra.append((b"x-frame-options", self.options.frame_options))
        if self.access.origins:
            origin = dict(scope["headers"]).get(b"origin", b"")
            if self.access.shares_with(origin):
                extra += shared_headers(origin)
        headers = [*response.headers, *extra] if extra else response.headers
        await _send_response(response, headers, send, without_body=scope["method"] == "HEAD")


@dataclass(slots=True)
class _Exchange:
    """What is known of one request, for the meters and the log, as it becomes known."""

    route: Route | None = None
    status: int = CLIENT_GONE
    length_bytes: int = 0


async def _send_response(
    response: Response, headers: Headers, send: Send, *, without_body: bool
) -> None:
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    if isinstance(response.body, bytes):
        await send({"type": "http.response.body", "body": response.body})
    elif without_body:
        response.body.file.close()
        await send({"type": "http.response.body", "body": b""})
    else:
        await _send_file(response.body, send)


async def _send_file(body: FileBody, send: Send) -> None:
    rest = body.length_bytes
    try:
        await asyncio.to_thread(body.file.seek, body.start)
        while rest > 0:
            chunk = await asyncio.to_thread(body.file.read, min(rest, _CHUNK_BYTES))
            if not chunk:
                break  # cut off meanwhile: the length tells the client
            rest -= len(chunk)
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        await asyncio.to_thread(body.file.close)


async def _live(receive: Receive, send: Send) -> None:
    """Say yes to the server's start and stop: there is nothing to prepare."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
