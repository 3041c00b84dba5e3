"""The protocol server on loopback: calls a second, with one client and with eight.

Peers are not started here; MLflow 3.17 on the same machine does 15 to 51 log-metric and 15
create-run calls a second with one client, 60 and 56 with eight.
"""

from __future__ import annotations

import argparse
import http.client
import json
import multiprocessing
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.report import Target, print_table, print_targets
from flowrun.server.access import Access
from flowrun.server.app import create_app
from flowrun.server.loopback import LoopbackServer
from flowrun.stores import open_stores

TOKEN = "benchmark"  # noqa: S105 - of a server that lives for seconds
GOALS = {"log-metric": 1000, "get-run": 1500}


class Client:
    """One kept connection and one run of its own."""

    def __init__(self, url: str) -> None:
        """Start the run."""
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc)
        self._step = 0
        self._run_id = json.loads(self.create_run())["run"]["info"]["run_id"]

    def create_run(self) -> bytes:
        """Start another run."""
        return self._call("POST", "runs/create", {"experiment_id": "0", "start_time": 1})

    def log_metric(self) -> bytes:
        """Log one point."""
        return self._call("POST", "runs/log-metric", {"run_id": self._run_id, **self._point()})

    def log_batch(self) -> bytes:
        """Log 1,000 points in one call."""
        points = [self._point() for _ in range(1000)]
        return self._call("POST", "runs/log-batch", {"run_id": self._run_id, "metrics": points})

    def get_run(self) -> bytes:
        """Read the run."""
        return self._call("GET", f"runs/get?run_id={self._run_id}")

    def _call(self, method: str, path: str, body: object = None) -> bytes:
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        content = None if body is None else json.dumps(body)
        self._connection.request(method, f"/api/2.0/mlflow/{path}", content, headers)
        response = self._connection.getresponse()
        answer = response.read()
        assert response.status == 200, answer
        return answer

    def _point(self) -> dict[str, object]:
        self._step += 1
        return {"key": "loss", "value": 0.5, "timestamp": 1, "step": self._step}


CALLS: dict[str, tuple[Callable[[Client], bytes], int]] = {
    "log-metric": (Client.log_metric, 1000),
    "get-run": (Client.get_run, 1000),
    "create-run": (Client.create_run, 500),
    "log-batch of 1,000 points": (Client.log_batch, 20),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="the best of so many counts")
    rounds = parser.parse_args().rounds
    rates = {clients: measure(clients, rounds) for clients in (1, 8)}
    print("## Server\n\nCalls a second over loopback, SQLite, the best of several rounds.\n")
    rows = [(name, *(f"{rates[clients][name]:,.0f}" for clients in rates)) for name in CALLS]
    print_table(("call", *(f"{clients} client(s)" for clients in rates)), rows)
    print_targets(
        [
            Target(
                f"{name}: {goal:,}/s, one client",
                f"{rates[1][name]:,.0f}/s",
                rates[1][name] >= goal,
            )
            for name, goal in GOALS.items()
        ]
    )


def measure(clients: int, rounds: int) -> dict[str, float]:
    """Give the calls a second of all clients together, by the name of the call."""
    with (
        tempfile.TemporaryDirectory() as folder,
        open_stores(f"sqlite:///{folder}/flowrun.db", Path(folder)) as stores,
    ):
        server = LoopbackServer(
            lambda: create_app(
                tracking=stores.tracking,
                registry=stores.registry,
                artifacts_destination=stores.artifacts_destination,
                access=Access(token=TOKEN),
            )
        )
        try:
            spawn = multiprocessing.get_context("spawn")
            with spawn.Pool(clients) as pool:
                return {
                    name: max(
                        sum(pool.map(rate, [(server.url, name)] * clients, chunksize=1))
                        for _ in range(rounds)
                    )
                    for name in CALLS
                }
        finally:
            server.close()


def rate(task: tuple[str, str]) -> float:
    """Give the calls a second of one client; run in a process of its own."""
    url, name = task
    client = Client(url)
    call, count = CALLS[name]
    start = time.perf_counter()
    for _ in range(count):
        call(client)
    return count / (time.perf_counter() - start)


if __name__ == "__main__":
    main()
