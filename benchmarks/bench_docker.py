"""What a step in a container takes, beside the same container by `docker run`."""

from __future__ import annotations

import statistics
import subprocess
import time
from pathlib import Path

from benchmarks.lab import FLOWRUN, Tool, open_lab, parse_options, run_quietly
from benchmarks.report import Target, duration, print_table, print_targets, print_title
from tests.support.docker import IMAGE, docker_engine

ROUNDS = 9
MORE = 10
"""Steps that one of the pipelines has more than another: what they share falls out."""
LIMIT_S = 0.15
IN_CONTAINER = f"docker_env: {{image: '{IMAGE}'}}\n"


def main() -> None:
    options = parse_options(__doc__, rounds=ROUNDS)
    with docker_engine(), open_lab(options) as lab:
        print_title("A step in a container", lab.tools, lab.rounds)
        tool = lab.tools[FLOWRUN]
        process = _project(lab.folder / "process", 1, "")
        one = _project(lab.folder / "one", 1, IN_CONTAINER)
        many = _project(lab.folder / "many", 1 + MORE, IN_CONTAINER)
        bare, first, further = [], [], []
        for _ in range(lab.rounds):
            # Side by side in each round, so that what else the machine does meets all.
            bare += [_docker_run() for _ in range(MORE)]
            alone = _timed(tool, one)
            first.append(alone - _timed(tool, process))
            further.append((_timed(tool, many) - alone) / MORE)
    times = {
        "`docker run --rm`": statistics.median(bare),
        "each further step of a pipeline": statistics.median(further),
        "the first one, more than a step that is a process": statistics.median(first),
    }
    bare_s, *steps_s = times.values()
    rows = [(name, duration(s), f"{s / bare_s:.2f}") for name, s in times.items()]
    print_table(("", "time", "x `docker run`"), rows)
    which = ("each further step", "the first one, which loads Docker's SDK,")
    print_targets(
        [
            Target(
                f"{name} adds at most {duration(LIMIT_S)} to `docker run`",
                duration(step_s - bare_s),
                step_s - bare_s <= LIMIT_S,
            )
            for name, step_s in zip(which, steps_s, strict=True)
        ]
    )


def _project(folder: Path, count: int, env: str) -> Path:
    """Make a pipeline of steps, one after the other."""
    lines = ["entry_points:", "  main:", "    steps:"]
    for number in range(count):
        needs = f", needs: s{number - 1}" if number else ""
        lines.append(f"      s{number}: {{run: 'true'{needs}}}")
    folder.mkdir()
    (folder / "MLproject").write_text(env + "\n".join(lines) + "\n")
    return folder


def _timed(tool: Tool, project: Path) -> float:
    argv = tool.argv("run", str(project), "--quiet", "--env-manager", "local")
    began = time.perf_counter()
    run_quietly(argv, project, tool.variables)
    return time.perf_counter() - began


def _docker_run() -> float:
    command = ["docker", "run", "--rm", "--init", "--network", "host", IMAGE, "sh", "-c", "true"]
    began = time.perf_counter()
    subprocess.run(command, check=True)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
