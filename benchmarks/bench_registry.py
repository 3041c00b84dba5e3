"""Searches over a large registry: `flowrun server` beside `mlflow server`, over the same data.

    python -m benchmarks.bench_registry [--models 10000] [--versions 10] [--postgres URL]

Each server runs alone over a store of 10,000 models with 10 versions each, which are written
straight into its tables: a SQLite file, or with `--postgres` (the URL of a server on which
databases may be made) a database there. `--here` takes flowrun and MLflow from the environment of
this interpreter instead of installing both.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlencode

from benchmarks import raw_http, registry_stores
from benchmarks.lab import FLOWRUN, PEERS, VARIABLES, Lab, Options, Tool, open_lab
from benchmarks.report import Target, duration, p50, p95, print_table, print_targets, say
from benchmarks.servers import started
from benchmarks.stores import new_store

MLFLOW = "mlflow"
P95_S = 0.050
PATIENCE_S = 120.0
"""For a first answer."""
MODELS, VERSIONS = "registered-models/search", "model-versions/search"
GET_MODEL, BY_ALIAS = "registered-models/get", "registered-models/alias"


def searches(models: int) -> dict[str, tuple[str, dict[str, object]]]:
    """Give what is asked, by name: path and query."""
    name = registry_stores.name_of(models // 2)
    data = registry_stores.digest_of(77)
    return {
        "models, first page of all": (MODELS, {"max_results": 100}),
        "models, name LIKE": (MODELS, _query("name LIKE '%model-07%'")),
        "models, by a tag": (MODELS, _query("tags.team = 'red'")),
        "models, newest change first": (
            MODELS,
            {"order_by": "last_updated_timestamp DESC", "max_results": 100},
        ),
        "versions, first page of all": (VERSIONS, {"max_results": 100}),
        "versions of a model": (VERSIONS, _query(f"name = '{name}'")),
        "versions of a run": (VERSIONS, _query(f"run_id = '{4321:032x}'")),
        "versions, by a common tag": (VERSIONS, _query("tags.team = 'red'")),
        "versions from a commit": (
            VERSIONS,
            _query(f"tags.`flowrun.commit` = '{registry_stores.commit_of(77)}'"),
        ),
        "versions from some data": (
            VERSIONS,
            _query(f"tags.`flowrun.data.{data}` = '{data}'"),
        ),
        "a model": (GET_MODEL, {"name": name}),
        "a version by alias": (BY_ALIAS, {"name": name, "alias": "champion"}),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", type=Path, default=PEERS, help="where to keep the other tools")
    parser.add_argument("--models", type=int, default=10_000)
    parser.add_argument("--versions", type=int, default=10, help="of each model")
    parser.add_argument("--count", type=int, default=200, help="requests of each kind")
    parser.add_argument("--within-s", type=float, default=30.0, help="for each kind")
    parser.add_argument("--only", choices=(FLOWRUN, MLFLOW), help="measure one, print no ratios")
    parser.add_argument("--here", action="store_true", help="do not install, take this environment")
    parser.add_argument("--postgres", metavar="URL", help="measure on this PostgreSQL, not SQLite")
    given = parser.parse_args()
    peers = () if given.only == FLOWRUN else (MLFLOW,)
    options = Options(rounds=1, peers=given.peers.absolute())
    with _lab_here() if given.here else open_lab(options, *peers) as lab:
        tools = {name: tool for name, tool in lab.tools.items() if given.only in {None, name}}
        versions = ", ".join(f"{tool.name} {tool.version}" for tool in tools.values())
        print(
            f"## Registry\n\n{versions}; {given.models:,} models with "
            f"{given.models * given.versions:,} versions, "
            f"{'PostgreSQL' if given.postgres else 'SQLite'}.\n"
        )
        found = {name: measure(lab, tool, given) for name, tool in tools.items()}
    print_found(found)
    print_targets(list(targets(found)))


def measure(lab: Lab, tool: Tool, given: argparse.Namespace) -> dict[str, list[float]]:
    """Time each kind of search over a full store."""
    rows_of = (
        registry_stores.flowrun_tables if tool.name == FLOWRUN else registry_stores.mlflow_tables
    )
    found: dict[str, list[float]] = {}
    with new_store(lab.folder, f"{tool.name}-registry", given.postgres) as store:
        with started(tool, lab.folder, store.uri):
            pass  # makes the tables
        say(f"{tool.name}: filling {given.models:,} models")
        store.fill(rows_of(given.models, given.versions))
        with started(tool, lab.folder, store.uri) as server:
            for name, (path, query) in searches(given.models).items():
                say(f"{tool.name}: {name}")
                asked = f"{path}?{urlencode(query)}"
                found[name] = times(server.url, asked, given.count, given.within_s)
    return found


def times(url: str, path: str, count: int, within_s: float) -> list[float]:
    """Give the seconds of each of `count` requests, or of as many as begin in time.

    A request whose connection ends is not counted: uvicorn, under MLflow's server, kills a worker
    that says nothing for 5 s, as one does that searches a large registry on a busy machine.
    """
    client = raw_http.RawClient(url)
    _asked(client, path)  # the first one opens the store
    found: list[float] = []
    began_s = time.perf_counter()
    while len(found) < count:
        began = time.perf_counter()
        if began - began_s > (within_s if found else PATIENCE_S):
            break
        if _asked(client, path):
            found.append(time.perf_counter() - began)
    client.close()
    return found


def _asked(client: raw_http.RawClient, path: str) -> bool:
    try:
        client.call("GET", path)
    except ConnectionError:
        say(f"  the server ended the connection on {path}")
        return False
    return True


def print_found(found: dict[str, dict[str, list[float]]]) -> None:
    """Print medians and the 95th percentile, and how many times longer MLflow takes."""
    header = ["", *(f"{name}, {what}" for name in found for what in ("p50", "p95"))]
    rows = []
    for name in next(iter(found.values())):
        cells = [
            duration(measured(tool[name])) for tool in found.values() for measured in (p50, p95)
        ]
        rows.append([name, *cells])
        if len(found) > 1:
            rows[-1].append(f"{p50(found[MLFLOW][name]) / p50(found[FLOWRUN][name]):.1f}")
    print_table([*header, *(["x flowrun"] if len(found) > 1 else [])], rows)


def targets(found: dict[str, dict[str, list[float]]]) -> Iterator[Target]:
    """Give what flowrun's registry promises."""
    for name, samples in found.get(FLOWRUN, {}).items():
        slowest = p95(samples)
        yield Target(f"{name}: p95 below {duration(P95_S)}", duration(slowest), slowest < P95_S)


def _query(text: str) -> dict[str, object]:
    return {"filter": text, "max_results": 100}


@contextmanager
def _lab_here() -> Iterator[Lab]:
    """Give a lab whose tools are those of this interpreter's environment."""
    prefix = Path(sys.executable).parents[1]
    with TemporaryDirectory(prefix="flowrun-bench-") as name:
        folder = Path(name)
        home = {"HOME": name, "PATH": str(prefix / "bin"), "FLOWRUN_HOME": f"{name}/home"}
        tools = {
            tool: Tool(tool, metadata.version(tool), prefix, {**VARIABLES, **home})
            for tool in (FLOWRUN, MLFLOW)
        }
        yield Lab(folder, 1, tools)


if __name__ == "__main__":
    main()
