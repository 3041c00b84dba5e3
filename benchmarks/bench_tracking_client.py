"""Logging from a step: `import flowrun` beside `import mlflow`, into the same store."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from benchmarks.lab import FLOWRUN, Lab, Tool, open_lab, parse_options
from benchmarks.projects import LOCAL, commit
from benchmarks.race import Command, Contender, Result, race
from benchmarks.report import duration, print_results, print_table, print_title

ROUNDS = 3
COUNTS = (1, 501)

SCRIPT = """\
import %(client)s

for step in range(%(count)s):
    %(client)s.log_metric("loss", 1 / (step + 1), step=step)
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
        print_title("A step of `flowrun run` that logs", lab.tools, lab.rounds)
        few, many = (race(lab, _contenders(lab, count)) for count in COUNTS)
        print_results("One metric, the run from beginning to end", few)
        print("### Each further `log_metric`\n")
        print_table(("", "time"), [(name, duration(_slope(few, many, name))) for name in lab.tools])


def _contenders(lab: Lab, count: int) -> list[Contender]:
    return [
        Contender.at(client, partial(_project, lab, client, count), lab.folder / f"{client}{count}")
        for client in lab.tools
    ]


def _project(lab: Lab, client: str, count: int, folder: Path) -> Command:
    """Write a project of one step; both clients are imported in the environment that has MLflow."""
    flowrun: Tool = lab.tools[FLOWRUN]
    files = {
        "log.py": SCRIPT % {"client": client, "count": count},
        "MLproject": MLPROJECT % {"python": lab.tools["mlflow"].prefix / "bin" / "python"},
    }
    commit(flowrun, folder, files)
    return Command(flowrun.argv("run", ".", *LOCAL), folder, flowrun.variables)


def _slope(few: Mapping[str, Result], many: Mapping[str, Result], client: str) -> float:
    """Give the seconds of a call, with its share of what is sent after the last one."""
    return (many[client].wall_s - few[client].wall_s) / (COUNTS[1] - COUNTS[0])


if __name__ == "__main__":
    main()
