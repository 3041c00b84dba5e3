"""The last lines of what failed steps printed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from flowrun.errors import FlowrunError
from flowrun.proof.recorded import RecordedStep
from flowrun.stores import Stores
from flowrun.tracking.artifacts import Artifacts

MOST_STEPS = 20
LINES = 30
BYTES = 16_384
LOGS = ("logs/stderr.log", "logs/stdout.log")
"""The first one that holds something is shown."""
_CHUNK_BYTES = 1 << 20


def last_lines(stores: Stores, steps: Iterable[RecordedStep]) -> dict[str, str]:
    """Give the last lines of the first few steps by their ids; of those that printed something."""
    found: dict[str, str] = {}
    for step in list(steps)[:MOST_STEPS]:
        text = _printed(stores.open_artifacts(step.artifact_uri))
        if text:
            found[step.id] = text
    return found


def _printed(artifacts: Artifacts) -> str:
    for path in LOGS:
        try:
            text = _tail(artifacts, path).decode("utf-8", "replace").strip("\n")
        except (FlowrunError, OSError):
            continue  # nothing was kept: the report is about what is there
        if text.strip():
            return "\n".join(text.splitlines()[-LINES:])
    return ""


def _tail(artifacts: Artifacts, path: str) -> bytes:
    with artifacts.open(path) as file:
        last: deque[bytes] = deque(maxlen=2)
        while chunk := file.read(_CHUNK_BYTES):
            last.append(chunk)
    return b"".join(last)[-BYTES:]
