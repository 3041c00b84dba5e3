"""`flowrun server` in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.space import Space, interrupt

TIMEOUT_S = 30


@contextmanager
def server_process(space: Space, *words: str, **variables: str) -> Iterator[str]:
    """Run a space's server on a free port until the end of the block; give its URL."""
    process = space.start("server", "--port", "0", *words, **variables)
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        line = process.stdout.readline()
        assert line.startswith("flowrun serves at "), line + process.stderr.read()
        yield line.split()[3]
    finally:
        interrupt(process)
        process.communicate(timeout=TIMEOUT_S)
