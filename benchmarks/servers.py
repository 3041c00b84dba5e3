"""Starts `flowrun server` or `mlflow server` to be measured, and ends it with all it started."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import stopwatch
from benchmarks.lab import Tool


@dataclass(frozen=True, slots=True)
class Serving:
    """A server that answers."""

    url: str
    pid: int
    ready_s: float
    """From its start to its first answer."""

    def memory_mib(self) -> float:
        """Give what all its processes hold now, shared pages once."""
        return stopwatch.tree_kib(self.pid) / 1024


@contextlib.contextmanager
def started(tool: Tool, folder: Path, uri: str, flags: Sequence[str] = ()) -> Iterator[Serving]:
    """Start a server over a store and wait until it answers, and then until it is quiet."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    argv = tool.argv("server", "--host", "127.0.0.1", "--port", str(port))
    argv += ["--backend-store-uri", uri, *flags]
    log = folder / f"{tool.name}.log"
    with log.open("ab") as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            argv,
            cwd=folder,
            env=dict(tool.variables),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            _wait_for_answer(process, port, log)
            ready_s = time.perf_counter() - began
            _wait_until_quiet(process.pid)
            yield Serving(f"http://127.0.0.1:{port}", process.pid, ready_s)
        finally:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(30)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # whatever it has left behind
            process.wait()


def _wait_for_answer(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Ask every 5 ms until somebody answers."""
    while True:
        if process.poll() is not None:
            sys.exit(f"the server ended:\n{log.read_text()[-3000:]}")
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.005)
        finally:
            connection.close()


def _wait_until_quiet(pid: int) -> None:
    """Wait until the server's processes use less than a tenth of a core."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        before = _tree_ticks(pid)
        time.sleep(1)
        if _tree_ticks(pid) - before < 10:
            return


def _tree_ticks(pid: int) -> int:
    """Give the processor time of a process and its children, in ticks of 10 ms."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12]) + sum(_tree_ticks(int(child)) for child in children)
