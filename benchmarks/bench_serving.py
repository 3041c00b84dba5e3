"""`flowrun models serve` beside `mlflow models serve`, and predicting from a large file.

    python -m benchmarks.bench_serving [--rounds 5] [--seconds 2] [--rows 10000000]

Both servers are of this environment, with their defaults, and serve the same model by the same
library: what is compared is what they add to it. They are asked in turns by clients that cost next
to nothing; memory is that of each alone, with all its processes.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import stopwatch
from benchmarks.lab import VARIABLES
from benchmarks.report import Target, duration, print_machine, print_table, print_targets

FLOWRUN, MLFLOW = "flowrun", "mlflow"
ROWS, CLIENTS = (1, 1000), (1, 8)
TIMES_MORE, P95_SHARE, MEMORY_SHARE, OVERHEAD = 4, 0.5, 0.5, 1.2

MAKE = """
import sys, warnings
import flowrun
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

x, y = load_wine(return_X_y=True, as_frame=True)
model = make_pipeline(StandardScaler(), LogisticRegression()).fit(x, y)
flowrun.sklearn.save_model(model, sys.argv[1], input_example=x.head(2))
"""

MAKE_ROWS = """
import sys
import flowrun, numpy, pandas
from sklearn.linear_model import LogisticRegression

names = ["a", "b", "c", "d"]
values = numpy.random.default_rng(0).normal(size=(int(sys.argv[2]), 4))
frame = pandas.DataFrame(values, columns=names)
few = frame.head(1000)
model = LogisticRegression().fit(few, few.sum(axis=1) > 0)
flowrun.sklearn.save_model(model, sys.argv[1] + "/rows-model", input_example=few.head(2))
frame.to_parquet(sys.argv[1] + "/rows.parquet")
frame.head(len(frame) // 10).to_csv(sys.argv[1] + "/rows.csv", index=False)
"""

BARE = """
import sys
import pandas, skops.io

source, target = sys.argv[2:]
model = skops.io.load(sys.argv[1] + "/model.skops")
is_csv = source.endswith(".csv")
frame = pandas.read_csv(source) if is_csv else pandas.read_parquet(source)
made = pandas.DataFrame({"prediction": model.predict(frame)})
made.to_csv(target, index=False) if is_csv else made.to_parquet(target)
"""


@dataclass
class Cell:
    """What was measured of one server with one kind of request."""

    rates: list[float] = field(default_factory=list)
    p50_s: list[float] = field(default_factory=list)
    p95_s: list[float] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="default: 5")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    parser.add_argument("--rows", type=int, default=10_000_000, help="of the file")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="flowrun-bench-") as name:
        folder = Path(name)
        print("## Serving\n")
        print_machine()
        run([sys.executable, "-W", "ignore", "-c", MAKE, str(folder / "model")], folder)
        targets = [
            *compare_servers(folder, given.rounds, given.seconds),
            *compare_files(folder, given.rows),
        ]
        print_targets(targets)


def compare_servers(folder: Path, rounds: int, seconds: float) -> list[Target]:
    """Ask both servers in turns, and look at the memory of each."""
    memory_mib = {}
    bodies = {rows: body_of(folder / "model", rows) for rows in ROWS}
    for server in (FLOWRUN, MLFLOW):
        with started(server, folder) as (port, pid):
            for body in bodies.values():
                rate_of(port, body, 1, 0.5)
            memory_mib[server] = stopwatch.tree_kib(pid, "Rss") / 1024
    cells: dict[tuple[str, int, int], Cell] = {}
    with started(FLOWRUN, folder) as (ours, _), started(MLFLOW, folder) as (theirs, _):
        ports = {FLOWRUN: ours, MLFLOW: theirs}
        for _ in range(rounds):
            for rows in ROWS:
                for clients in CLIENTS:
                    for server, port in ports.items():
                        cell = cells.setdefault((server, rows, clients), Cell())
                        took_s = sorted(rate_of(port, bodies[rows], clients, seconds))
                        cell.rates.append(len(took_s) / seconds)
                        cell.p50_s.append(took_s[len(took_s) // 2])
                        cell.p95_s.append(took_s[int(len(took_s) * 0.95)])
    print_servers(cells, memory_mib)
    return list(server_targets(cells, memory_mib))


def print_servers(cells: dict[tuple[str, int, int], Cell], memory_mib: dict[str, float]) -> None:
    """Print what was measured."""
    rows = []
    for number in ROWS:
        for clients in CLIENTS:
            shown = [f"{number} rows, {clients} client{'s' if clients > 1 else ''}"]
            for server in (FLOWRUN, MLFLOW):
                cell = cells[server, number, clients]
                shown += [
                    f"{statistics.median(cell.rates):.0f}",
                    duration(statistics.median(cell.p50_s)),
                    duration(statistics.median(cell.p95_s)),
                ]
            rows.append(tuple(shown))
    heads = [f"{server}, {what}" for server in (FLOWRUN, MLFLOW) for what in ("1/s", "p50", "p95")]
    print_table(("", *heads), rows)
    print_table(
        ("memory of all processes (RSS)", FLOWRUN, MLFLOW),
        [("", *(f"{memory_mib[server]:.0f} MiB" for server in (FLOWRUN, MLFLOW)))],
    )


def server_targets(
    cells: dict[tuple[str, int, int], Cell], memory_mib: dict[str, float]
) -> Iterator[Target]:
    """Compare with what is promised."""
    for rows in ROWS:
        for clients in CLIENTS:
            ours, theirs = cells[FLOWRUN, rows, clients], cells[MLFLOW, rows, clients]
            what = f"{rows} rows, {clients} clients"
            more = statistics.median(ours.rates) / statistics.median(theirs.rates)
            yield Target(
                f"{what}: {TIMES_MORE} times the requests", f"{more:.1f} times", more >= TIMES_MORE
            )
            share = statistics.median(ours.p95_s) / statistics.median(theirs.p95_s)
            yield Target(f"{what}: half the p95", f"{share:.2f} of it", share <= P95_SHARE)
    share = memory_mib[FLOWRUN] / memory_mib[MLFLOW]
    yield Target("half the memory", f"{share:.2f} of it", share <= MEMORY_SHARE)


def compare_files(folder: Path, rows: int) -> Iterator[Target]:
    """Predict from files: by the bare library, which reads all at once, and by flowrun."""
    run([sys.executable, "-W", "ignore", "-c", MAKE_ROWS, str(folder), str(rows)], folder)
    model = str(folder / "rows-model")
    shown = []
    for suffix, count in (("parquet", rows), ("csv", rows // 10)):
        source, target = str(folder / f"rows.{suffix}"), str(folder / f"made.{suffix}")
        bare = [sys.executable, "-c", BARE, model, source, target]
        ours = [str(Path(sys.executable).with_name("flowrun")), "models", "predict", "-m", model]
        ours += ["-i", source, "-o", target, "--env-manager", "local"]
        samples = [(timed(bare, folder), timed(ours, folder)) for _ in range(3)]
        (bare_s, bare_mib), (our_s, our_mib) = (
            [statistics.median(column) for column in zip(*of_it, strict=True)]
            for of_it in zip(*samples, strict=True)
        )
        what = f"{count:,} rows of {suffix}"
        sizes = (f"{bare_mib:.0f} MiB", f"{our_mib:.0f} MiB")
        shown.append((what, duration(bare_s), duration(our_s), *sizes))
        ratio = our_s / bare_s
        promise = f"{what} within {OVERHEAD} times the bare library"
        yield Target(promise, f"{ratio:.2f} times", ratio <= OVERHEAD)
    heads = ("from file to file", "library", "flowrun", "library, peak", "flowrun, peak")
    print_table(heads, shown)


def timed(argv: list[str], folder: Path) -> tuple[float, float]:
    """Run a command; give its seconds, and the most MiB that one of its processes had."""
    log = folder / "timed.log"
    done = run([sys.executable, "-I", "-S", stopwatch.__file__, str(log), *argv], folder)
    said = json.loads(done)
    return said["wall_s"], said["peak_kib"] / 1024


def rate_of(port: int, body: bytes, clients: int, seconds: float) -> list[float]:
    """Ask a server for some seconds; give how long each request took."""
    with multiprocessing.get_context("spawn").Pool(clients) as pool:
        pool.map(connected, [port] * clients)
        asked = [(port, body, seconds)] * clients
        return [took for of_it in pool.starmap(ask, asked, chunksize=1) for took in of_it]


def connected(port: int) -> None:
    """Do nothing, once this process is there."""
    socket.create_connection(("127.0.0.1", port)).close()


def body_of(model: Path, rows: int) -> bytes:
    """Give a request for so many rows."""
    example = json.loads((model / "serving_input_example.json").read_text())
    names = example["dataframe_split"]["columns"]
    numbers = random.Random(0)  # noqa: S311 - no secret
    data = [[numbers.gauss(10, 3) for _ in names] for _ in range(rows)]
    return json.dumps({"dataframe_split": {"columns": names, "data": data}}).encode()


def ask(port: int, body: bytes, seconds: float) -> list[float]:
    """Send one request after the other on one connection."""
    head = (
        f"POST /invocations HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    request = head.encode() + body
    took = []
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        end = time.perf_counter() + seconds
        while (began := time.perf_counter()) < end:
            connection.sendall(request)
            receive(connection)
            took.append(time.perf_counter() - began)
    return took


def receive(connection: socket.socket) -> None:
    """Read one answer, which must be good."""
    data = b""
    while b"\r\n\r\n" not in data:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        data += connection.recv(2**20)
    head, _, rest = data.partition(b"\r\n\r\n")
    assert b" 200 " in head.split(b"\r\n", 1)[0], data
    length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
    while len(rest) < length:
        rest += connection.recv(2**20)


@contextlib.contextmanager
def started(server: str, folder: Path) -> Iterator[tuple[int, int]]:
    """Start a server and wait until it answers; give its port and its process."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    argv = [str(Path(sys.executable).with_name(server)), "models", "serve"]
    argv += ["-m", str(folder / "model"), "-p", str(port), "--env-manager", "local"]
    log = folder / f"{server}.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            argv, env=variables(folder), stdout=output, stderr=output, start_new_session=True
        )
        try:
            wait_for_answer(process, port, log)
            yield port, process.pid
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(30)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_for_answer(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Ask until somebody says that the model is there."""
    while True:
        if process.poll() is not None:
            sys.exit(f"the server ended:\n{log.read_text()[-3000:]}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)) as asking:
            asking.sendall(b"GET /ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            if b" 200 " in asking.recv(1000):
                return
        time.sleep(0.05)


def run(argv: list[str], folder: Path) -> str:
    """Run a command; give what it prints."""
    done = subprocess.run(
        argv, cwd=folder, env=variables(folder), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        sys.exit(f"{done.stdout}\n{done.stderr[-4000:]}")
    return done.stdout


def variables(folder: Path) -> dict[str, str]:
    """Give the complete environment of what is measured."""
    path = f"{Path(sys.prefix) / 'bin'}:{os.defpath}"
    return {**VARIABLES, "HOME": str(folder), "PATH": path, "LANG": "C.UTF-8"}


if __name__ == "__main__":
    main()
