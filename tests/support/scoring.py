"""A model served by `flowrun models serve` in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.serving import Answer, ask

STOP_TIMEOUT_S = 30


@dataclass(frozen=True)
class Scoring:
    """A running server of a model."""

    url: str
    process: subprocess.Popen[str]
    log: Path
    """What it and the model have said on standard error."""

    def call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request."""
        return ask(self.url, method, path, body, headers)

    def ask(self, said: object) -> Answer:
        """Have something predicted from JSON."""
        kind = {"Content-Type": "application/json"}
        return self.call("POST", "/invocations", json.dumps(said).encode(), kind)

    def children(self) -> list[int]:
        """Give the processes that it has started."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in path.read_text().split()]


@contextmanager
def scoring(
    folder: Path, model: Path | str, *words: str, manager: str = "local", **variables: str
) -> Iterator[Scoring]:
    """Serve a model on a free port until the end of the block; by default where the tests run.

    Args:
        folder: for flowrun's home and the log.
        model: a folder, or another URI.
        words: more of the command line.
        manager: what makes the model's environment.
        variables: more of the environment.
    """
    log = folder / "serving.log"
    argv = [sys.executable, "-m", "flowrun", "models", "serve", "-m", str(model), "-p", "0"]
    environment = {**os.environ, "FLOWRUN_HOME": str(folder / "home"), **variables}  # noqa: TID251
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*argv, "--env-manager", manager, *words],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=output,
            text=True,
            start_new_session=True,
        )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line.startswith("flowrun serves "), line + log.read_text()
        yield Scoring(line.split()[4], process, log)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise
