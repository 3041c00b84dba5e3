"""Logging from a training loop: `import flowrun` beside `import mlflow`, into the same store."""

from __future__ import annotations

import json
import statistics
import subprocess
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmarks.lab import FLOWRUN, Lab, Tool, open_lab, parse_options
from benchmarks.projects import LOCAL, commit
from benchmarks.race import Command, Contender, race
from benchmarks.report import (
    Target,
    duration,
    print_results,
    print_table,
    print_targets,
    print_title,
)
from benchmarks.servers import started

ROUNDS = 3
CALLS = {FLOWRUN: 20_000, "mlflow": 500}
RATIO, SLOWEST_S = 20, 0.001

SCRIPT = """\
import %(client)s

%(client)s.log_metric("loss", 0.5, step=0)
"""

# The longest pause of a loop that calls nothing is the machine's own.
LOOP = """\
import json
import sys
import time

import %(client)s as client


def nothing(key, value, step):
    pass


def times(log, count):
    taken = []
    for step in range(count):
        began = time.perf_counter()
        log("loss", 1 / (step + 1), step=step)
        taken.append(time.perf_counter() - began)
        while time.perf_counter() - began < %(pace_s)s:
            pass
    return sorted(taken)


count = %(count)s
with client.start_run():
    client.log_metric("first", 1.0)
    idle = times(nothing, count)
began = time.perf_counter()
with client.start_run():
    client.log_metric("first", 1.0)
    taken = times(client.log_metric, count)
whole_s = time.perf_counter() - began
figures = [taken[count // 2], taken[-1 - count // 1000], taken[-1], idle[-1]]
print(json.dumps([count / whole_s, *figures]))
"""

MLPROJECT = """\
name: logging
entry_points:
  main:
    command: "%(python)s log.py"
"""


def main() -> None:
    options = parse_options(__doc__, rounds=ROUNDS)
    with open_lab(options, "mlflow") as lab:
        print_title("Logging from Python", lab.tools, lab.rounds)
        contenders = [
            Contender.at(client, partial(_project, lab, client), lab.folder / f"one-{client}")
            for client in lab.tools
        ]
        print_results(
            "A step that logs one metric, the run from beginning to end", race(lab, contenders)
        )
        _compare_calls(lab)


def _compare_calls(lab: Lab) -> None:
    """Log in a loop to one server, as fast as it goes and at a pace, and print what calls take."""
    uri = f"sqlite:///{lab.folder / 'store.db'}"
    with started(lab.tools[FLOWRUN], lab.folder, uri) as server:
        fast = {name: _median_calls(lab, name, server.url, pace_s=0) for name in lab.tools}
        paced = _median_calls(lab, FLOWRUN, server.url, pace_s=0.0002)
    print("### `log_metric` in a loop, to the same `flowrun server`\n")
    rows = [(f"{name}, without a pause", *_shown(calls)) for name, calls in fast.items()]
    rows.append((f"{FLOWRUN}, 5,000 a second", *_shown(paced)))
    header = ("", "calls, all recorded", "median", "99.9 of 100", "longest", "an empty loop's")
    print_table(header, rows)
    ratio = fast[FLOWRUN].rate / fast["mlflow"].rate
    longest_s = paced.longest_s
    print_targets(
        [
            Target(f"{RATIO} times MLflow's calls", f"{ratio:.0f} times", ratio >= RATIO),
            Target(
                "no call of 5,000 a second above 1 ms", duration(longest_s), longest_s <= SLOWEST_S
            ),
        ]
    )


class Calls(NamedTuple):
    """What the calls of one loop took."""

    rate: float
    """Calls a second, until the last point was recorded."""
    median_s: float
    most_s: float
    """All but one in a thousand were this quick."""
    longest_s: float
    idle_s: float
    """The longest round of a loop that calls nothing: the machine's own pause."""


def _median_calls(lab: Lab, name: str, url: str, *, pace_s: float) -> Calls:
    """Run the loop some times, and give the median of each figure."""
    tool = lab.tools[name]
    count = CALLS[name] if not pace_s else 5000
    script = LOOP % {"client": name, "count": count, "pace_s": pace_s}
    found = []
    for _ in range(lab.rounds):
        output = subprocess.run(
            [str(tool.prefix / "bin" / "python"), "-c", script],
            env={**tool.variables, "MLFLOW_TRACKING_URI": url},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        found.append(json.loads(next(line for line in output.splitlines() if line[:1] == "[")))
    return Calls(*map(statistics.median, zip(*found, strict=True)))


def _shown(calls: Calls) -> tuple[str, ...]:
    times = (calls.median_s, calls.most_s, calls.longest_s, calls.idle_s)
    return f"{calls.rate:,.0f}/s", *map(duration, times)


def _project(lab: Lab, client: str, folder: Path) -> Command:
    """Write a project of one step; both clients are imported in the environment that has MLflow."""
    flowrun: Tool = lab.tools[FLOWRUN]
    files = {
        "log.py": SCRIPT % {"client": client},
        "MLproject": MLPROJECT % {"python": lab.tools["mlflow"].prefix / "bin" / "python"},
    }
    commit(flowrun, folder, files)
    return Command(flowrun.argv("run", ".", *LOCAL), folder, flowrun.variables)


if __name__ == "__main__":
    main()
