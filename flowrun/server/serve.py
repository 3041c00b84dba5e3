"""Runs an application under uvicorn: in the foreground for `flowrun server`, or on a thread."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import uvicorn

from flowrun.errors import UsageError
from flowrun.server.asgi import ASGIApp

_BACKLOG = 2048
# Longer than the pauses between a training step's calls, so that its connection is kept.
_KEEP_ALIVE_S = 75


def serve(app: ASGIApp, host: str, port: int, *, on_ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT, and then answer what is in flight for up to 10 s.

    Args:
        app: what to serve.
        host: a name or address of the interface to listen on.
        port: 0 takes a free one.
        on_ready: called with the URL as soon as callers can connect.

    Raises:
        UsageError: nobody can listen there.
    """
    with _listen(host, port) as listener:
        config = _config(app, log_level="warning", grace_s=10)
        on_ready(f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}")
        uvicorn.Server(config).run(sockets=[listener])


def serve_until(closed: socket.socket, listener: socket.socket, app: ASGIApp) -> None:
    """Serve on a socket that listens already, until `closed` has something to read, or its end."""
    server = uvicorn.Server(_config(app, log_level="critical", grace_s=1))

    async def run() -> None:
        loop = asyncio.get_running_loop()

        def stop() -> None:
            loop.remove_reader(closed)
            server.should_exit = True

        loop.add_reader(closed, stop)
        await server.serve(sockets=[listener])

    asyncio.run(run())


def _config(app: ASGIApp, *, log_level: str, grace_s: int) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="asyncio",
        lifespan="off",
        ws="none",
        access_log=False,
        log_config=None,
        log_level=log_level,
        server_header=False,
        date_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=grace_s,
    )


def _listen(host: str, port: int) -> socket.socket:
    """Bind by hand: what uvicorn binds for several workers suffers Nagle's algorithm (40 ms)."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen(_BACKLOG)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise UsageError(
            f"Nothing can listen on {host}, port {port}: {error.strerror or error}.",
            "Choose another with --host and --port; --port 0 takes a free one.",
        ) from error
    return listener
