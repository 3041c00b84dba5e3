"""`flowrun server` as a user starts it: a process of its own, and plain requests to it.

with running_server(space, "--workers", "2") as server:
    assert server.get("/health").body == b"OK"
"""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.serving import Answer, ask
from tests.support.space import Space


@dataclass(frozen=True)
class RunningServer:
    """A server that says it is ready."""

    url: str
    process: subprocess.Popen[str]

    def call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request on a connection of its own."""
        return ask(self.url, method, path, body, headers)

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        """GET a path."""
        return self.call("GET", path, None, headers)

    def post(self, path: str, body: object) -> Answer:
        """Send JSON to a path below /api/2.0/mlflow/."""
        kind = {"Content-Type": "application/json"}
        return self.call("POST", f"/api/2.0/mlflow/{path}", json.dumps(body).encode(), kind)

    def new_run(self) -> str:
        """Start a run in the default experiment and give its id."""
        answer = self.post("runs/create", {"experiment_id": "0"})
        assert answer.status == 200, answer.body
        return str(answer.json["run"]["info"]["run_id"])

    def workers(self) -> list[int]:
        """Give the process ids of the server's children that are alive."""
        tasks = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in tasks.read_text().split() if _is_alive(int(pid))]


@contextlib.contextmanager
def running_server(space: Space, *flags: str | Path, **variables: str) -> Iterator[RunningServer]:
    """Start `flowrun server` on a free port; stop it at the end, which must go well."""
    process = space.start("server", "--port", "0", *flags, **variables)
    assert process.stdout is not None
    assert process.stderr is not None
    told = process.stderr if "--access-log" in flags else process.stdout
    line = told.readline()
    while line.startswith("Clients need "):
        line = told.readline()
    if not line.startswith("flowrun serves at "):
        process.kill()
        raise AssertionError(f"the server did not start: {line}{''.join(process.communicate())}")
    try:
        yield RunningServer(line.split()[3], process)
    except BaseException:
        process.kill()
        process.communicate()
        raise
    if process.poll() is None:
        process.terminate()
    process.communicate(timeout=30)
    assert process.returncode == 0


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
