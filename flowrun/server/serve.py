"""Runs an application under uvicorn: in the foreground for `flowrun server`, or on a thread."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from types import FrameType

import uvicorn

from flowrun.errors import UsageError
from flowrun.server.asgi import ASGIApp

_BACKLOG = 2048
# Longer than the pauses between a training step's calls, so that its connection is kept.
_KEEP_ALIVE_S = 75
_GRACE_S = 10


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
    with listen(host, port) as listener:
        serve_on(listener, app, on_ready=lambda: on_ready(url_of(listener, host)))


def serve_on(listener: socket.socket, app: ASGIApp, *, on_ready: Callable[[], None]) -> None:
    """Do the same on a socket that listens already."""
    server = uvicorn.Server(_config(app, log_level="warning", grace_s=_GRACE_S))
    with _stopped_by_signals(server):
        on_ready()
        server.run(sockets=[listener])


def serve_as_worker(closed: socket.socket, listener: socket.socket, app: ASGIApp) -> None:
    """Serve as one of several processes, until SIGTERM or the end of the one that started them."""
    server = uvicorn.Server(_config(app, log_level="warning", grace_s=_GRACE_S))
    with _stopped_by_signals(server):
        _serve_until(closed, listener, server)


def serve_within(
    around: AbstractAsyncContextManager[object],
    listener: socket.socket,
    app: ASGIApp,
    *,
    on_ready: Callable[[], None],
) -> None:
    """Serve on a socket that listens already, with something open around it on the same loop."""
    server = uvicorn.Server(_config(app, log_level="warning", grace_s=_GRACE_S))

    async def run() -> None:
        async with around:
            with _stopped_by_signals(server):
                on_ready()
                await server.serve(sockets=[listener])

    asyncio.run(run())


def serve_until(closed: socket.socket, listener: socket.socket, app: ASGIApp) -> None:
    """Serve on a socket that listens already, until `closed` has something to read, or its end."""
    _serve_until(closed, listener, uvicorn.Server(_config(app, log_level="critical", grace_s=1)))


def _serve_until(closed: socket.socket, listener: socket.socket, server: uvicorn.Server) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()

        def stop() -> None:
            loop.remove_reader(closed)
            server.should_exit = True

        loop.add_reader(closed, stop)
        await server.serve(sockets=[listener])

    asyncio.run(run())


@contextmanager
def _stopped_by_signals(server: uvicorn.Server) -> Iterator[None]:
    """Make SIGTERM and SIGINT its ordinary end, also before uvicorn listens to them.

    It has handlers of its own while it serves, and raises what they got again when it is done.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        del number, frame
        server.should_exit = True

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def url_of(listener: socket.socket, host: str) -> str:
    """Give the URL under which callers of this host name reach a listening socket."""
    return f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"


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


def listen(host: str, port: int) -> socket.socket:
    """Bind a socket and listen on it.

    By hand: what uvicorn binds for several workers suffers Nagle's algorithm (40 ms), since asyncio
    turns that off only on a socket that says it is TCP.

    Raises:
        UsageError: nobody can listen there.
    """
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
