"""One more step in a container, beside the same container by `docker run`."""

from __future__ import annotations

import statistics
import subprocess
import time
from pathlib import Path

from benchmarks.lab import FLOWRUN, Tool, open_lab, parse_options, run_quietly
from benchmarks.report import Target, duration, print_targets, print_title
from tests.support.docker import IMAGE, docker_engine

ROUNDS = 5
FEW, MANY = 2, 12
"""Steps of the two pipelines that are compared: what they share falls out of the difference."""
LIMIT_S = 0.15


def main() -> None:
    options = parse_options(__doc__, rounds=ROUNDS)
    with docker_engine(), open_lab(options) as lab:
        print_title("A step in a container", lab.tools, lab.rounds)
        tool = lab.tools[FLOWRUN]
        few, many = (_project(lab.folder, count) for count in (FEW, MANY))
        steps, runs = [], []
        for _ in range(lab.rounds):
            # Side by side in each round, so that what else the machine does meets both.
            short = _timed(tool, few)
            runs += [_docker_run() for _ in range(MANY - FEW)]
            steps.append((_timed(tool, many) - short) / (MANY - FEW))
        step_s, run_s = statistics.median(steps), statistics.median(runs)
        print(f"| one more step | {duration(step_s)} |")
        print(f"| `docker run --rm` | {duration(run_s)} |\n")
        added_s = step_s - run_s
        what = f"a step adds at most {duration(LIMIT_S)} to `docker run`"
        print_targets([Target(what, duration(added_s), added_s <= LIMIT_S)])


def _project(folder: Path, count: int) -> Path:
    """Make a pipeline of steps in containers, one after the other."""
    lines = [f"docker_env: {{image: '{IMAGE}'}}", "entry_points:", "  main:", "    steps:"]
    for number in range(count):
        needs = f", needs: s{number - 1}" if number else ""
        lines.append(f"      s{number}: {{run: 'true'{needs}}}")
    project = folder / f"steps-{count}"
    project.mkdir()
    (project / "MLproject").write_text("\n".join(lines) + "\n")
    return project


def _timed(tool: Tool, project: Path) -> float:
    began = time.perf_counter()
    run_quietly(tool.argv("run", str(project), "--quiet"), project, tool.variables)
    return time.perf_counter() - began


def _docker_run() -> float:
    command = ["docker", "run", "--rm", "--init", "--network", "host", IMAGE, "sh", "-c", "true"]
    began = time.perf_counter()
    subprocess.run(command, check=True)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
