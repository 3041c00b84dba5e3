"""What a step in a container takes, beside the same container by `docker run`."""

from __future__ import annotations

import os
import resource
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.lab import FLOWRUN, Tool, open_lab, parse_options, run_quietly
from benchmarks.report import Target, duration, print_table, print_targets, print_title
from tests.support.docker import IMAGE, docker_engine

ROUNDS = 9
MORE = 10
"""Steps that one of the pipelines has more than another: what they share falls out."""
LIMIT_S = 0.15
DOCKER_RUN = ["docker", "run", "--rm", "--init", "--network=host", IMAGE, "sh", "-c", "true"]
IN_CONTAINER = f"docker_env: {{image: '{IMAGE}'}}\n"


@dataclass(frozen=True, slots=True)
class Taken:
    """What a command took: by the clock, and of the processor for itself and its children.

    Containers are no children; their engine makes them, for `docker run` too.
    """

    wall_s: float
    cpu_s: float

    def __sub__(self, other: Taken) -> Taken:
        return Taken(self.wall_s - other.wall_s, self.cpu_s - other.cpu_s)

    def __truediv__(self, count: int) -> Taken:
        return Taken(self.wall_s / count, self.cpu_s / count)


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
            bare += [_taken(DOCKER_RUN, lab.folder, os.environ) for _ in range(MORE)]
            alone = _run(tool, one)
            first.append(alone - _run(tool, process))
            further.append((_run(tool, many) - alone) / MORE)
    taken = {
        "`docker run --rm`": _median(bare),
        "each further step of a pipeline": _median(further),
        "the first one, more than a step that is a process": _median(first),
    }
    bare_s, *steps_s = (each.wall_s for each in taken.values())
    rows = [
        (name, duration(each.wall_s), f"{each.wall_s / bare_s:.2f}", duration(each.cpu_s))
        for name, each in taken.items()
    ]
    print_table(("", "time", "x `docker run`", "cpu of the command"), rows)
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


def _run(tool: Tool, project: Path) -> Taken:
    words = ("run", str(project), "--quiet", "--no-cache", "--env-manager", "local")
    return _taken(tool.argv(*words), project, tool.variables)


def _taken(argv: Sequence[str], directory: Path, variables: Mapping[str, str]) -> Taken:
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    run_quietly(argv, directory, variables)
    wall_s, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Taken(wall_s, cpu_s)


def _median(taken: Sequence[Taken]) -> Taken:
    return Taken(
        statistics.median(each.wall_s for each in taken),
        statistics.median(each.cpu_s for each in taken),
    )


if __name__ == "__main__":
    main()
