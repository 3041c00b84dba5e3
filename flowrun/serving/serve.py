"""`flowrun models serve`: a model's processes, and the server before them."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

from flowrun.server.access import Access
from flowrun.server.access_log import AccessLog
from flowrun.server.serve import serve_within
from flowrun.serving.app import MOST_BODY_BYTES, ScoringApp
from flowrun.serving.page import Page
from flowrun.serving.pool import Pool, PoolOptions
from flowrun.serving.worker import Launch
from flowrun.valueclass import valueclass


@valueclass
class ServeOptions:
    """What an operator may choose."""

    pool: PoolOptions
    access: Access
    most_body_bytes: int = MOST_BODY_BYTES
    access_log: AccessLog | None = None


def serve_model(
    launch: Launch,
    listener: socket.socket,
    options: ServeOptions,
    templates: Path,
    name: str,
    on_ready: Callable[[], None],
) -> None:
    """Serve until SIGTERM or SIGINT; then answer what is in flight, and end the processes.

    Args:
        launch: starts a process with the model.
        listener: listens already; callers wait until the model is loaded.
        options: how.
        templates: the folder of the page's files.
        name: what the model is called on the page.
        on_ready: called once the model is loaded.

    Raises:
        FlowrunError: the model can't be loaded.
    """
    pool = Pool(launch, options.pool)
    app = ScoringApp(
        pool,
        options.access,
        Page.read(templates, name),
        most_body_bytes=options.most_body_bytes,
        access_log=options.access_log,
    )
    serve_within(pool, listener, app, on_ready=on_ready)
