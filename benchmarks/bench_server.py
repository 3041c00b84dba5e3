"""`flowrun server` beside `mlflow server`: the same requests, from the same client, in one run.

Each server runs alone, with its defaults: one worker of flowrun's, four of MLflow's. First over an
empty store, then over one of 100,000 runs, one of which has a metric of a million points.

`--postgres URL` (of a server on which databases may be made) measures the calls there too.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import os
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import raw_http, server_stores, stopwatch
from benchmarks.lab import FLOWRUN, PEERS, Lab, Options, Tool, open_lab
from benchmarks.report import Target, duration, print_table, print_targets

MLFLOW = "mlflow"
CLIENTS = (1, 8)
BATCH_ROWS = 1000
SEARCHES = {
    "filter and order by one metric": ("metrics.loss < 0.1", "metrics.loss ASC"),
    "filter by one, order by another": ("metrics.loss < 0.1", "metrics.accuracy DESC"),
    "filter by metric and param": ("metrics.loss < 0.5 AND params.lr = '0.01'", "metrics.loss ASC"),
}
RATIOS = {"log-metric": 20, "create-run": 20, "get-run": 20, "log-batch": 15}
SEARCH_RATIO, SEARCH_P95_S, HISTORY_RATIO = 20, 0.050, 10
MOST_MIB, READY_S = 150, 1.0


@dataclass
class Figures:
    """What was measured of one server."""

    rates: dict[tuple[str, int], float] = field(default_factory=dict)
    searches: dict[str, list[float]] = field(default_factory=dict)
    history_s: float = 0.0
    ready_s: float = 0.0
    peak_mib: float = 0.0


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured."""

    seconds: float
    runs: int
    points: int
    search_s: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", type=Path, default=PEERS, help="where to keep the other tools")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each count of calls")
    parser.add_argument("--runs", type=int, default=server_stores.RUNS)
    parser.add_argument("--points", type=int, default=server_stores.POINTS)
    parser.add_argument("--search-s", type=float, default=60.0, help="for each kind of search")
    parser.add_argument("--only", choices=(FLOWRUN, MLFLOW), help="measure one, print no ratios")
    parser.add_argument("--durability", help="of flowrun's SQLite store: normal or full")
    parser.add_argument("--postgres", help="URL of a PostgreSQL, to measure the calls there too")
    given = parser.parse_args()
    scale = Scale(given.seconds, given.runs, given.points, given.search_s)
    peers = () if given.only == FLOWRUN else (MLFLOW,)
    with open_lab(Options(rounds=1, peers=given.peers.absolute()), *peers) as lab:
        tools = {name: tool for name, tool in lab.tools.items() if given.only in {None, name}}
        versions = ", ".join(f"{tool.name} {tool.version}" for tool in tools.values())
        print(f"## Servers\n\n{versions}.\n")
        flags = ["--durability", given.durability] if given.durability else []
        figures = {name: measure(lab, tool, flags, scale) for name, tool in tools.items()}
        print_durability(lab, given.durability or "normal")
        print_figures(figures)
        if given.only is None:
            print_targets(list(targets(figures[FLOWRUN], figures[MLFLOW])))
        if given.postgres:
            on_postgres = {
                name: measure_on_postgres(lab, tool, given.postgres, scale)
                for name, tool in tools.items()
            }
            print("### On PostgreSQL\n")
            print_figures(on_postgres)


def measure(lab: Lab, tool: Tool, flags: list[str], scale: Scale) -> Figures:
    """Measure one server over a SQLite store, empty and full."""
    database = lab.folder / f"{tool.name}-store.db"
    flags = flags if tool.name == FLOWRUN else []
    uri = f"sqlite:///{database}"
    figures = Figures()
    say(f"{tool.name}: calls")
    with started(tool, lab.folder, uri, flags, figures) as url:
        measure_calls(url, scale, figures)
    say(f"{tool.name}: filling {scale.runs:,} runs")
    fill = server_stores.fill_flowrun if tool.name == FLOWRUN else server_stores.fill_mlflow
    fill(database, scale.runs, scale.points)
    with started(tool, lab.folder, uri, flags, figures) as url:
        measure_reading(url, tool, scale, figures)
    return figures


def measure_calls(url: str, scale: Scale, figures: Figures) -> None:
    """Count calls a second."""
    for call in raw_http.CALLS:
        for clients in CLIENTS:
            say(f"  {call}, {clients} client(s)")
            figures.rates[call, clients] = raw_http.rate(url, call, clients, scale.seconds)


def measure_reading(url: str, tool: Tool, scale: Scale, figures: Figures) -> None:
    """Time searches over the full store and the long history."""
    say(f"{tool.name}: history of {scale.points:,} points")
    run_id = f"{scale.runs:032x}"
    figures.history_s = raw_http.history_s(url, run_id, scale.points)
    for name, (text, order) in SEARCHES.items():
        say(f"{tool.name}: search, {name}")
        body = {
            "experiment_ids": ["0"],
            "filter": text,
            "order_by": [order],
            "max_results": 100,
        }
        figures.searches[name] = raw_http.times(
            url, "runs/search", body, count=100, within_s=scale.search_s
        )


def measure_on_postgres(lab: Lab, tool: Tool, server: str, scale: Scale) -> Figures:
    """Measure the calls over a new database of a PostgreSQL server."""
    name = f"bench_{tool.name}_{time.time_ns()}"
    base = server.rstrip("/").rpartition("/")[0]
    figures = Figures()
    psql("psql", server, "-qc", f"CREATE DATABASE {name}")
    try:
        with started(tool, lab.folder, f"{base}/{name}", [], figures) as url:
            measure_calls(url, scale, figures)
    finally:
        psql("psql", server, "-qc", f"DROP DATABASE {name} WITH (FORCE)")
    return figures


def psql(*argv: str) -> None:
    """Run PostgreSQL's own client."""
    subprocess.run(argv, check=True)


@contextlib.contextmanager
def started(
    tool: Tool, folder: Path, uri: str, flags: list[str], figures: Figures
) -> Iterator[str]:
    """Start a server and wait until it answers; note how long that took, and its memory."""
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
            wait_for_answer(process, port, log)
            figures.ready_s = figures.ready_s or time.perf_counter() - began
            wait_until_quiet(process.pid)
            yield f"http://127.0.0.1:{port}"
            peak_mib = stopwatch.tree_kib(process.pid) / 1024
            figures.peak_mib = max(figures.peak_mib, peak_mib)
        finally:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(30)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # whatever it has left behind
            process.wait()


def wait_for_answer(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
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


def wait_until_quiet(pid: int) -> None:
    """Wait until the server's processes use less than a tenth of a core."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        before = tree_ticks(pid)
        time.sleep(1)
        if tree_ticks(pid) - before < 10:
            return


def tree_ticks(pid: int) -> int:
    """Give the processor time of a process and its children, in ticks of 10 ms."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12]) + sum(tree_ticks(int(child)) for child in children)


def print_durability(lab: Lab, ours: str) -> None:
    """Say what each store promises of a write that it has answered."""
    journals = {}
    for name in lab.tools:
        path = lab.folder / f"{name}-store.db"
        if path.exists():
            with contextlib.closing(sqlite3.connect(path)) as connection:
                (journals[name],) = connection.execute("PRAGMA journal_mode").fetchone()
    told = {
        FLOWRUN: f"durability {ours}: an answered write survives the end of any process"
        + (", and a power cut" if ours == "full" else ""),
        MLFLOW: "synchronous FULL: an answered write survives a power cut",
    }
    for name, journal in journals.items():
        print(f"- {name}: SQLite, journal mode {journal}; {told[name]}.")
    print()


def print_figures(figures: Mapping[str, Figures]) -> None:
    """Print all figures, one column for each server."""
    names = list(figures)
    rows = [
        (
            f"{call}, {clients} client(s)",
            *(f"{figures[n].rates[call, clients]:,.0f}/s" for n in names),
        )
        for call in raw_http.CALLS
        for clients in CLIENTS
    ]
    if any(one.searches for one in figures.values()):
        for search in SEARCHES:
            rows.append(
                (
                    f"search, {search}: p50",
                    *(duration(p50(figures[n].searches[search])) for n in names),
                )
            )
            rows.append(
                (
                    f"search, {search}: p95",
                    *(duration(p95(figures[n].searches[search])) for n in names),
                )
            )
        rows.append(("history", *(duration(figures[n].history_s) for n in names)))
    rows.append(("first answer", *(duration(figures[n].ready_s) for n in names)))
    rows.append(("memory of all processes", *(f"{figures[n].peak_mib:,.0f} MiB" for n in names)))
    print_table(("", *names), rows)


def targets(ours: Figures, theirs: Figures) -> Iterator[Target]:
    """Give what flowrun's server promises."""
    for call, goal in RATIOS.items():
        for clients in CLIENTS:
            ratio = ours.rates[call, clients] / theirs.rates[call, clients]
            yield Target(
                f"{call}, {clients} client(s): {goal} times", f"{ratio:.1f}", ratio >= goal
            )
    for name in SEARCHES:
        ratio = p50(theirs.searches[name]) / p50(ours.searches[name])
        yield Target(f"search, {name}: {SEARCH_RATIO} times", f"{ratio:.0f}", ratio >= SEARCH_RATIO)
        slowest = p95(ours.searches[name])
        yield Target(
            f"search, {name}: p95 below {duration(SEARCH_P95_S)}",
            duration(slowest),
            slowest < SEARCH_P95_S,
        )
    ratio = theirs.history_s / ours.history_s
    yield Target(f"history: {HISTORY_RATIO} times", f"{ratio:.1f}", ratio >= HISTORY_RATIO)
    yield Target(
        f"memory: at most {MOST_MIB} MiB", f"{ours.peak_mib:.0f} MiB", ours.peak_mib <= MOST_MIB
    )
    yield Target(
        f"first answer within {duration(READY_S)}", duration(ours.ready_s), ours.ready_s < READY_S
    )


def p50(samples: list[float]) -> float:
    """Give the median."""
    return statistics.median(samples)


def p95(samples: list[float]) -> float:
    """Give what 95 of 100 samples stay below; of few samples, the slowest."""
    return sorted(samples)[min(len(samples) - 1, int(len(samples) * 0.95))]


def say(text: str) -> None:
    """Tell what takes time."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
