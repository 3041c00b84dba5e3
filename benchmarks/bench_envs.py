"""Environments: a cold build beside `uv venv` + `uv pip install`, and what a warm one costs a run.

Cold, both sides install the same requirements for the same Python from the same index, through a
uv cache of their own; flowrun also locks them with hashes. `nothing` starts without that cache and
without a flowrun store; `packages` with the cache; `packages, Python` also with a store that has
made another environment of this Python, as all but the first find it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from uv import find_uv_bin

from benchmarks.lab import FLOWRUN, PYTHON, Lab, Tool, open_lab, parse_options
from benchmarks.projects import LOCAL, MLPROJECT, commit
from benchmarks.race import Command, Contender, Result, Sample, race
from benchmarks.report import (
    Target,
    duration,
    print_results,
    print_table,
    print_targets,
    print_title,
    spread,
)
from flowrun.envs.base import EnvRequest
from flowrun.envs.store import EnvStore
from flowrun.spec.project import EnvKind, EnvSpec

ROUNDS = 9
SETS = {"small": ("click", "six", "packaging"), "large": ("numpy", "pandas", "scikit-learn")}
MADE = frozenset({"cache", "store", "store/envs", "store/resolved"})
STARTS = {
    "nothing": frozenset[str](),
    "packages": frozenset({"cache"}),
    "packages, Python": frozenset({"cache", "store"}),
}
"""What each kind of cold start keeps."""
REQUIREMENTS = "requirements.txt"
PYTHON_ENV = "python_env.yaml"
COLD_RATIO_LIMIT = 1.2
WARM_LIMIT_S = 0.05
WARM_TIMES_AS_MANY_ROUNDS = 3


def main() -> None:
    options = parse_options(__doc__, rounds=ROUNDS)
    with open_lab(options) as lab:
        print_title("Environments", lab.tools, lab.rounds)
        targets = [_cold_target(lab, name) for name in SETS]
        print_targets([*targets, _warm_target(lab)])


def _cold_target(lab: Lab, name: str) -> Target:
    folder = lab.folder / name
    project = _write_project(folder, SETS[name])
    ratios: dict[str, float] = {}
    rows = []
    for start, kept in STARTS.items():
        ours, theirs = _cold(lab, folder, project, kept)
        ratios[start] = ours.wall_s / theirs.wall_s
        times = [text for each in (ours, theirs) for text in (duration(each.wall_s), spread(each))]
        cpu = [duration(each.cpu_s) for each in (ours, theirs)]
        rows.append((start, *times, *cpu, f"{ratios[start]:.2f}"))
    print(f"### Cold, {name}: {', '.join(SETS[name])}\n")
    columns = ("flowrun", "from - to", "uv", "from - to", "cpu, flowrun", "cpu, uv", "flowrun / uv")
    print_table(("begins with", *columns), rows)
    return Target(
        f"cold, {name}: at most {COLD_RATIO_LIMIT} times uv alone",
        ", ".join(f"{ratio:.2f} ({start})" for start, ratio in ratios.items()),
        max(ratios.values()) <= COLD_RATIO_LIMIT,
    )


def _cold(lab: Lab, folder: Path, project: Path, kept: frozenset[str]) -> tuple[Result, Result]:
    """Measure both sides in turns, after one round that fills caches and does not count."""
    builders = {"flowrun": _build_with_flowrun, "uv": _build_with_uv}
    samples: dict[str, list[Sample]] = {name: [] for name in builders}
    for round_ in range(lab.rounds + 1):
        for name, build in builders.items():
            # Each side in its own place, so that neither uses what the other has just fetched.
            place = folder / name
            place.mkdir(exist_ok=True)
            _put_away(lab, *(place / each for each in sorted(MADE - kept, reverse=True)))
            # In a process of its own, which has to load what flowrun loads to build.
            with get_context("fork").Pool(1) as fresh:
                sample = fresh.apply(_timed, (partial(build, project, place),))
            if round_:
                samples[name].append(sample)
    ours, theirs = (Result(name, of_it) for name, of_it in samples.items())
    return ours, theirs


def _warm_target(lab: Lab) -> Target:
    """Measure the same run with and without an environment that is there already."""
    flowrun = lab.tools[FLOWRUN]
    contenders = [
        Contender.at(FLOWRUN, partial(_warm_project, flowrun, ()), lab.folder / "warm"),
        Contender.at(
            f"{FLOWRUN} {' '.join(LOCAL)}",
            partial(_warm_project, flowrun, LOCAL),
            lab.folder / "local",
        ),
    ]
    many = Lab(lab.folder, lab.rounds * WARM_TIMES_AS_MANY_ROUNDS, lab.tools)
    results = race(many, contenders)
    print_results(f"Warm: `flowrun run` of one trivial step, {many.rounds} rounds", results)
    warm, local = results.values()
    added_s = warm.wall_s - local.wall_s
    return Target(
        f"warm: adds at most {duration(WARM_LIMIT_S)}", duration(added_s), added_s <= WARM_LIMIT_S
    )


def _warm_project(tool: Tool, flags: Sequence[str], folder: Path) -> Command:
    requirements = "\n".join(SETS["small"])
    files = {"MLproject": MLPROJECT, **_env_files(requirements)}
    commit(tool, folder, files)
    return Command(tool.argv("run", ".", *flags), folder, tool.variables)


def _build_with_flowrun(project: Path, place: Path) -> None:
    store = EnvStore(
        place / "store", variables=_variables(place / "cache"), caller_python=Path(sys.executable)
    )
    store.ensure(EnvRequest(EnvSpec(EnvKind.IMPLIED), project), None, lambda _: None)


def _build_with_uv(project: Path, place: Path) -> None:
    # Each time in another folder, as each project has its own: uv remembers what it has asked an
    # interpreter by the interpreter's path.
    uv, env = Path(find_uv_bin()), place / os.urandom(4).hex()
    requirements = project / REQUIREMENTS
    commands: tuple[list[str | Path], ...] = (
        [uv, "venv", "--quiet", "--python", PYTHON, env],
        [uv, "pip", "install", "--quiet", "--python", env / "bin/python", "-r", requirements],
    )
    for words in commands:
        subprocess.run(words, env=_variables(place / "cache"), check=True)


def _variables(cache: Path) -> dict[str, str]:
    """Give the caller's variables without pip's settings, which only flowrun would honour."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    return {**kept, "PIP_CONFIG_FILE": os.devnull, "UV_CACHE_DIR": str(cache)}


def _put_away(lab: Lab, *folders: Path) -> None:
    """Move folders out of the way.

    They are removed at the end only: ext4 is slow to make folders where many were just removed,
    because it does not take up their inodes again for some seconds, but looks at each of them.
    """
    for folder in folders:
        if folder.exists():
            folder.rename(lab.folder / f"put-away-{os.urandom(6).hex()}")


def _write_project(folder: Path, requirements: Sequence[str]) -> Path:
    project = folder / "project"
    project.mkdir(parents=True)
    for name, text in _env_files("\n".join(requirements)).items():
        (project / name).write_text(text)
    return project


def _env_files(requirements: str) -> Mapping[str, str]:
    return {REQUIREMENTS: requirements, PYTHON_ENV: f"dependencies: ['-r {REQUIREMENTS}']"}


def _timed(action: Callable[[], None]) -> Sample:
    cpu, began = _cpu_s(), time.perf_counter()
    action()
    return Sample(time.perf_counter() - began, _cpu_s() - cpu, peak_kib=0)


def _cpu_s() -> float:
    """Give the processor time of this process and of its children that have ended."""
    return sum(os.times()[:4])


if __name__ == "__main__":
    main()
