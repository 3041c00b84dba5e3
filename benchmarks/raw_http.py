"""A client that costs next to nothing: requests as bytes on one kept connection.

It acknowledges at once (TCP_QUICKACK). Otherwise `mlflow server` with its default of several
workers would take 40 ms more for each answer, which it sends in two pieces with Nagle's algorithm
on; what is compared here is the servers' own work.
"""

from __future__ import annotations

import json
import multiprocessing
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

API = "/api/2.0/mlflow"
_HEAD_END = b"\r\n\r\n"


class RawClient:
    """One connection, and one run of its own."""

    def __init__(self, url: str) -> None:
        """Connect and start the run."""
        parts = urlsplit(url)
        self._host = parts.netloc
        self._address = (parts.hostname, parts.port)
        self._connect()
        self._step = 0
        self.run_id = self.create_run()["run"]["info"]["run_id"]

    def create_run(self) -> dict:
        """Start another run."""
        return json.loads(self.call("POST", "runs/create", {"experiment_id": "0", "start_time": 1}))

    def log_metric(self) -> bytes:
        """Log one point."""
        return self.call("POST", "runs/log-metric", {"run_id": self.run_id, **self._point()})

    def log_batch(self) -> bytes:
        """Log 1,000 points in one call."""
        points = [self._point() for _ in range(1000)]
        return self.call("POST", "runs/log-batch", {"run_id": self.run_id, "metrics": points})

    def get_run(self) -> bytes:
        """Read the run."""
        return self.call("GET", f"runs/get?run_id={self.run_id}")

    def call(self, method: str, path: str, body: object = None) -> bytes:
        """Send a request to a path of the API and give the answer's body, which must be good."""
        content = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {API}/{path} HTTP/1.1\r\nHost: {self._host}\r\n"
        if content:
            head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n"
        request = head.encode() + b"\r\n" + content
        try:
            self._socket.sendall(request)
            status, answer = self._receive()
        except ConnectionError:
            # A server may close a connection that was idle, as MLflow's does after 5 s.
            self.close()
            self._connect()
            self._socket.sendall(request)
            status, answer = self._receive()
        assert status == 200, (method, path, status, answer[:1000])
        return answer

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def _connect(self) -> None:
        self._socket = socket.create_connection(self._address, timeout=600)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _receive(self) -> tuple[int, bytes]:
        data = bytearray()
        while (end := data.find(_HEAD_END)) < 0:
            data += self._more()
        head = bytes(data[:end]).lower()
        _, _, rest = head.partition(b"content-length:")
        length = int(rest.split(b"\r\n", 1)[0])
        total = end + len(_HEAD_END) + length
        while len(data) < total:
            data += self._more()
        return int(head.split(b" ", 2)[1]), bytes(data[end + len(_HEAD_END) :])

    def _more(self) -> bytes:
        # The kernel takes this back after a while, so it is said for each piece.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        data = self._socket.recv(2**20)
        if not data:
            raise ConnectionResetError("the server closed the connection")
        return data

    def _point(self) -> dict[str, object]:
        self._step += 1
        return {"key": "loss", "value": 0.5, "timestamp": 1, "step": self._step}


CALLS: dict[str, Callable[[RawClient], object]] = {
    "log-metric": RawClient.log_metric,
    "create-run": RawClient.create_run,
    "get-run": RawClient.get_run,
    "log-batch": RawClient.log_batch,
}


@dataclass(frozen=True, slots=True)
class Task:
    """What one client does, in a process of its own."""

    url: str
    call: str
    seconds: float


def rate(url: str, call: str, clients: int, seconds: float) -> float:
    """Give how many calls a second all clients together get answered."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(clients) as pool:
        pool.map(_count, [Task(url, "get-run", 0.05)] * clients, chunksize=1)  # imports are done
        return sum(pool.map(_count, [Task(url, call, seconds)] * clients, chunksize=1))


def times(url: str, path: str, body: object, *, count: int, within_s: float) -> list[float]:
    """Give the seconds of each of `count` requests, or of as many as begin `within_s`."""
    client = RawClient(url)
    found: list[float] = []
    deadline = time.perf_counter() + within_s
    while len(found) < count and (not found or time.perf_counter() < deadline):
        began = time.perf_counter()
        client.call("POST", path, body)
        found.append(time.perf_counter() - began)
    client.close()
    return found


def history_s(url: str, run_id: str, points: int) -> float:
    """Give the seconds that reading a metric's whole history takes, in pages."""
    client = RawClient(url)
    began = time.perf_counter()
    token, read = "", 0
    while True:
        path = f"metrics/get-history?run_id={run_id}&metric_key=loss&max_results=25000{token}"
        answer = json.loads(client.call("GET", path))
        read += len(answer["metrics"])
        if not answer.get("next_page_token"):
            break
        token = f"&page_token={answer['next_page_token']}"
    elapsed = time.perf_counter() - began
    assert read == points, (read, points)
    client.close()
    return elapsed


def _count(task: Task) -> float:
    client = RawClient(task.url)
    call = CALLS[task.call]
    count = 0
    began = time.perf_counter()
    while (elapsed := time.perf_counter() - began) < task.seconds:
        call(client)
        count += 1
    client.close()
    return count / elapsed
