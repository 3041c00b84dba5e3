"""One line for each request: what was asked and answered, and nothing that is secret.

Queries, bodies, headers and the names of callers are left out: they can hold values and
credentials.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum

from flowrun.server.asgi import Scope
from flowrun.server.meters import Metered


class LogFormat(StrEnum):
    """How a line looks."""

    JSON = "json"
    PLAIN = "plain"


class AccessLog:
    """Writes to a file descriptor, each line in one piece: several processes may share it."""

    def __init__(self, form: LogFormat, descriptor: int, now: Callable[[], int]) -> None:
        """Write to `descriptor`, which stays the caller's; `now` gives milliseconds since 1970."""
        self._line = _json_line if form is LogFormat.JSON else _plain_line
        self._descriptor = descriptor
        self._now = now

    def write(
        self, scope: Scope, route: Metered | None, status: int, length_bytes: int, seconds: float
    ) -> None:
        """Tell of a request that has ended."""
        client = scope.get("client")
        entry: dict[str, object] = {
            "time": datetime.fromtimestamp(self._now() / 1000, UTC).isoformat(
                timespec="milliseconds"
            ),
            "client": client[0] if client else None,
            "method": scope["method"],
            # As it was sent: percent-encoded, so that no line break of a caller's makes a line.
            "path": scope["raw_path"].decode("latin-1"),
            "route": route.path if route else None,
            "status": status,
            "bytes": length_bytes,
            "duration_ms": round(seconds * 1000, 3),
            "worker": os.getpid(),
        }
        with contextlib.suppress(OSError):  # a full disk or a closed pipe must not stop the server
            os.write(self._descriptor, self._line(entry).encode("utf-8", "backslashreplace"))


def _json_line(entry: dict[str, object]) -> str:
    return json.dumps(entry, separators=(",", ":")) + "\n"


def _plain_line(entry: dict[str, object]) -> str:
    return (
        "{time} {client} {method} {path} {status} {bytes} B {duration_ms} ms [{worker}]\n"
    ).format_map({**entry, "path": ascii(entry["path"])[1:-1]})
