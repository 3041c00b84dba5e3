"""The server that lives for the length of one run, inside the engine's process.

A run whose steps never connect must not pay for a server. So the socket listens at once, but what
serves it (uvicorn and the application, about 0.1 s of imports) is loaded when the first caller
connects; until then callers wait in the socket's backlog.
"""

from __future__ import annotations

import importlib
import selectors
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowrun.server.asgi import ASGIApp, Receive, Scope, Send

_UVICORN = "flowrun.server.serve"
_BACKLOG = 128
_GRACE_S = 1.0
_OVER = (
    b'{"error_code":"INVALID_STATE",'
    b'"message":"The run is over; its tracking server takes no more requests."}'
)


class LoopbackServer:
    """Serves an application on a free port, from the first connection until `close`."""

    url: str
    """Where it answers, such as `http://127.0.0.1:40123`."""
    was_used: bool
    """True once somebody has connected."""

    def __init__(self, make_app: Callable[[], ASGIApp], host: str = "127.0.0.1") -> None:
        """Bind a free port and listen.

        Args:
            make_app: called at most once, on the server's own thread.
            host: the IPv4 address of the interface to listen on.
        """
        self._make_app = make_app
        # asyncio turns Nagle's algorithm off only on a socket that says it is TCP.
        self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._listener.bind((host, 0))
        self._listener.listen(_BACKLOG)
        self.url = f"http://{host}:{self._listener.getsockname()[1]}"
        self._gate = _Gate()
        self.was_used = False
        self._closed, self._close = socket.socketpair()
        self._thread = threading.Thread(target=self._wait_and_serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Refuse further requests, and return once those in flight are answered or 1 s is over.

        uvicorn takes some 0.2 s more to end, on its own thread; nobody has to wait for that.
        """
        self._gate.close(_GRACE_S)
        self._close.close()
        if not self.was_used:
            self._thread.join(_GRACE_S)

    def _wait_and_serve(self) -> None:
        with self._listener, self._closed:
            if self._is_closed_before_first_caller():
                return
            self.was_used = True
            uvicorn_module = importlib.import_module(_UVICORN)
            self._gate.app = self._make_app()
            uvicorn_module.serve_until(self._closed, self._listener, self._gate)

    def _is_closed_before_first_caller(self) -> bool:
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._closed, selectors.EVENT_READ)
            return any(key.fileobj is self._closed for key, _ in selector.select())


class _Gate:
    """An ASGI application that counts the requests in flight, and refuses all once closed."""

    def __init__(self) -> None:
        self.app: ASGIApp = _refuse
        self._is_closed = False
        self._in_flight = 0
        self._changed = threading.Condition()

    def close(self, timeout_s: float) -> None:
        with self._changed:
            self._is_closed = True
            self._changed.wait_for(lambda: self._in_flight == 0, timeout_s)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._enter():
            await _refuse(scope, receive, send)
            return
        try:
            await self.app(scope, receive, send)
        finally:
            self._leave()

    def _enter(self) -> bool:
        with self._changed:
            self._in_flight += not self._is_closed
            return not self._is_closed

    def _leave(self) -> None:
        with self._changed:
            self._in_flight -= 1
            self._changed.notify_all()


async def _refuse(_scope: Scope, _receive: Receive, send: Send) -> None:
    # No status that clients retry for minutes: the run will not come back.
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(_OVER)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": 410, "headers": headers})
    await send({"type": "http.response.body", "body": _OVER})
