"""`flowrun server` beside `mlflow server`: the same requests, from the same client, in one run.

    python -m benchmarks.bench_server [--postgres URL] [--only NAME] [--part calls|reading]

Each server runs alone, with its defaults: one worker of flowrun's, four of MLflow's. First over an
empty store, then over one of 100,000 runs, one of which has a metric of a million points. The
stores are SQLite files; with `--postgres` (the URL of a server on which databases may be made, as
`postgresql://me@127.0.0.1:5432/postgres`) they are databases there instead.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import raw_http, server_stores
from benchmarks.lab import FLOWRUN, PEERS, Lab, Options, Tool, open_lab
from benchmarks.report import Target, duration, p50, p95, print_table, print_targets, say
from benchmarks.servers import Serving, started
from benchmarks.stores import new_store

MLFLOW = "mlflow"
CALLS, READING = "calls", "reading"
CLIENTS = (1, 8)
SEARCHES = {
    "filter and order by one metric": ("metrics.loss < 0.1", "metrics.loss ASC"),
    "filter by one, order by another": ("metrics.loss < 0.1", "metrics.accuracy DESC"),
    "filter by metric and param": ("metrics.loss < 0.5 AND params.lr = '0.01'", "metrics.loss ASC"),
    "newest first": ("", "attributes.start_time DESC"),
    "by a tag, newest first": ("tags.team = 'red'", "attributes.start_time DESC"),
    "by a param, order by a metric": ("params.lr = '0.1'", "metrics.loss ASC"),
    "by a tag and a metric, order by another": (
        "tags.team = 'red' AND metrics.loss < 0.1",
        "metrics.accuracy DESC",
    ),
    "a few runs by a metric": ("metrics.loss < 0.001", "attributes.start_time DESC"),
}
RATIOS = {"log-metric": 20, "create-run": 20, "get-run": 20, "log-batch": 15}
SEARCH_RATIO, SEARCH_P95_S, HISTORY_RATIO = 20, 0.050, 10
MOST_MIB, READY_S = 150, 1.0


@dataclass
class Figures:
    """What was measured of one server."""

    settings: str = ""
    rates: dict[tuple[str, int], float] = field(default_factory=dict)
    searches: dict[str, list[float]] = field(default_factory=dict)
    history_s: float = 0.0
    ready_s: float = 0.0
    peak_mib: float = 0.0


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured."""

    parts: frozenset[str]
    seconds: float
    runs: int
    points: int
    search_s: float
    postgres: str | None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", type=Path, default=PEERS, help="where to keep the other tools")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each count of calls")
    parser.add_argument("--runs", type=int, default=server_stores.RUNS)
    parser.add_argument("--points", type=int, default=server_stores.POINTS)
    parser.add_argument("--search-s", type=float, default=60.0, help="for each kind of search")
    parser.add_argument("--only", choices=(FLOWRUN, MLFLOW), help="measure one, print no ratios")
    parser.add_argument(
        "--part", choices=(CALLS, READING), help="calls over an empty store, or reading a full one"
    )
    parser.add_argument("--durability", help="of flowrun's SQLite store: normal or full")
    parser.add_argument("--postgres", metavar="URL", help="measure on this PostgreSQL, not SQLite")
    given = parser.parse_args()
    if given.durability and given.postgres:
        parser.error("--durability is SQLite's; PostgreSQL's own settings decide that for it")
    parts = frozenset({given.part} if given.part else {CALLS, READING})
    scale = Scale(parts, given.seconds, given.runs, given.points, given.search_s, given.postgres)
    peers = () if given.only == FLOWRUN else (MLFLOW,)
    with open_lab(Options(rounds=1, peers=given.peers.absolute()), *peers) as lab:
        tools = {name: tool for name, tool in lab.tools.items() if given.only in {None, name}}
        versions = ", ".join(f"{tool.name} {tool.version}" for tool in tools.values())
        print(f"## Servers\n\n{versions}.\n")
        figures = {
            name: measure(lab, tool, given.durability, scale) for name, tool in tools.items()
        }
    for name, one in figures.items():
        print(f"- {name}: {one.settings}.")
    print()
    print_figures(figures)
    if given.only is None:
        print_targets(list(targets(figures[FLOWRUN], figures[MLFLOW])))


def measure(lab: Lab, tool: Tool, durability: str | None, scale: Scale) -> Figures:
    """Measure one server over a store of its own, empty and full."""
    figures = Figures()
    is_ours = tool.name == FLOWRUN
    flags = ["--durability", durability] if durability and is_ours else []
    with new_store(lab.folder, f"{tool.name}-store", scale.postgres) as store:
        say(f"{tool.name}: first answer")
        with started(tool, lab.folder, store.uri, flags) as server:
            figures.ready_s = server.ready_s
            if CALLS in scale.parts:
                measure_calls(server.url, scale, figures)
            note_memory(server, figures)
        if READING in scale.parts:
            say(f"{tool.name}: filling {scale.runs:,} runs")
            tables = server_stores.flowrun_tables if is_ours else server_stores.mlflow_tables
            store.fill(tables(scale.runs, scale.points))
            with started(tool, lab.folder, store.uri, flags) as server:
                measure_reading(server.url, scale, figures)
                note_memory(server, figures)
        figures.settings = store.settings()
        if scale.postgres is None:
            figures.settings += f"; {promise(tool.name, durability or 'normal')}"
    return figures


def measure_calls(url: str, scale: Scale, figures: Figures) -> None:
    """Count calls a second."""
    for call in raw_http.CALLS:
        for clients in CLIENTS:
            say(f"  {call}, {clients} client(s)")
            figures.rates[call, clients] = raw_http.rate(url, call, clients, scale.seconds)


def measure_reading(url: str, scale: Scale, figures: Figures) -> None:
    """Time searches over the full store and the long history."""
    say(f"  history of {scale.points:,} points")
    run_id = server_stores.run_id_of(scale.runs)
    figures.history_s = raw_http.history_s(url, run_id, scale.points)
    for name, (text, order) in SEARCHES.items():
        say(f"  search, {name}")
        body = {
            "experiment_ids": ["0"],
            "filter": text,
            "order_by": [order],
            "max_results": 100,
        }
        figures.searches[name] = raw_http.times(
            url, "runs/search", body, count=100, within_s=scale.search_s
        )


def note_memory(server: Serving, figures: Figures) -> None:
    """Keep the most that was seen."""
    figures.peak_mib = max(figures.peak_mib, server.memory_mib())


def promise(name: str, durability: str) -> str:
    """Say what a SQLite store promises of a write that it has answered."""
    if name == MLFLOW:
        return "synchronous FULL: an answered write survives a power cut"
    survived = "the end of any process" + (", and a power cut" if durability == "full" else "")
    return f"durability {durability}: an answered write survives {survived}"


def print_figures(figures: Mapping[str, Figures]) -> None:
    """Print all figures, one column for each server."""
    servers = list(figures.values())
    rows = [
        (f"{call}, {clients} client(s)", *(f"{one.rates[call, clients]:,.0f}/s" for one in servers))
        for call, clients in servers[0].rates
    ]
    for search in servers[0].searches:
        for measured in (p50, p95):
            times = (duration(measured(one.searches[search])) for one in servers)
            rows.append((f"search, {search}: {measured.__name__}", *times))
    if servers[0].history_s:
        rows.append(("history", *(duration(one.history_s) for one in servers)))
    rows.append(("first answer", *(duration(one.ready_s) for one in servers)))
    rows.append(("memory of all processes", *(f"{one.peak_mib:,.0f} MiB" for one in servers)))
    print_table(("", *figures), rows)


def targets(ours: Figures, theirs: Figures) -> Iterator[Target]:
    """Give what flowrun's server promises."""
    for call, clients in ours.rates:
        goal = RATIOS[call]
        ratio = ours.rates[call, clients] / theirs.rates[call, clients]
        yield Target(f"{call}, {clients} client(s): {goal} times", f"{ratio:.1f}", ratio >= goal)
    for name in ours.searches:
        ratio = p50(theirs.searches[name]) / p50(ours.searches[name])
        yield Target(f"search, {name}: {SEARCH_RATIO} times", f"{ratio:.0f}", ratio >= SEARCH_RATIO)
        slowest = p95(ours.searches[name])
        yield Target(
            f"search, {name}: p95 below {duration(SEARCH_P95_S)}",
            duration(slowest),
            slowest < SEARCH_P95_S,
        )
    if ours.history_s:
        ratio = theirs.history_s / ours.history_s
        yield Target(f"history: {HISTORY_RATIO} times", f"{ratio:.1f}", ratio >= HISTORY_RATIO)
    yield Target(
        f"memory: at most {MOST_MIB} MiB", f"{ours.peak_mib:.0f} MiB", ours.peak_mib <= MOST_MIB
    )
    yield Target(
        f"first answer within {duration(READY_S)}", duration(ours.ready_s), ours.ready_s < READY_S
    )


if __name__ == "__main__":
    main()
