"""Lock files: making one beside `uv pip compile`, and what a run pays for using one.

Run it as `python -m benchmarks.bench_locks`. uv's cache has what both sides need: measured is what
they do with it, not the network.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from uv import find_uv_bin

from benchmarks.report import Target, duration, print_table, print_targets
from flowrun import api
from flowrun.engine.prepare.locked import locked_envs
from flowrun.engine.prepare.locked_sources import LockedSources, read_lock
from flowrun.engine.prepare.planning import Planner
from flowrun.envs.base import EnvRequest
from flowrun.settings import Settings, load_settings
from flowrun.sources.resolve import resolve
from flowrun.spec.load import LOCK_FILE
from flowrun.spec.lockfile import dump
from flowrun.surroundings import env_store, source_cache

ROUNDS = 9
STEPS = 1_000
PACKAGES = ("numpy", "pandas", "scikit-learn")
COLD_RATIO_LIMIT = 1.2
WARM_LIMIT_S = 0.02
ONE = "entry_points:\n  main: {command: 'true'}\n"
MANY = (
    ONE + "  all:\n    steps:\n" + "".join(f"      s{n}: {{run: 'true'}}\n" for n in range(STEPS))
)


def main() -> None:
    print("## Locks\n")
    with tempfile.TemporaryDirectory(prefix="flowrun-bench-") as name:
        folder = Path(name)
        settings = _settings(folder)
        project = _write_project(folder)
        lock = timed(lambda: api.lock(str(project), settings=settings))
        compile_ = timed(partial(_compile, folder, project, settings.variables))
        (project / LOCK_FILE).write_text(dump(api.lock(str(project), settings=settings).file))
        again = timed(lambda: api.lock(str(project), settings=settings))
        found = {entry: _time_to_find(settings, project, entry) for entry in ("main", "all")}
    rows = [
        ("flowrun lock", duration(lock)),
        ("uv pip compile --generate-hashes", duration(compile_)),
        ("flowrun lock, nothing to do", duration(again)),
        ("a run of 1 step finds its built environment by the lock file", duration(found["main"])),
        (f"a run of {STEPS:,} steps, each of them", duration(found["all"])),
    ]
    print_table((f"{', '.join(PACKAGES)}; medians of {ROUNDS} rounds", "time"), rows)
    print_targets(
        [
            Target(
                f"making a lock: at most {COLD_RATIO_LIMIT} times uv alone",
                f"{lock / compile_:.2f}",
                lock / compile_ <= COLD_RATIO_LIMIT,
            ),
            Target(
                f"warm environment found in at most {duration(WARM_LIMIT_S)}",
                duration(found["main"]),
                found["main"] <= WARM_LIMIT_S,
            ),
        ]
    )


def timed(work: Callable[[], object]) -> float:
    """Give the median time of some rounds, in seconds, after one that does not count."""
    times = []
    for _ in range(ROUNDS + 1):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times[1:])


def _time_to_find(settings: Settings, project: Path, entry_point: str) -> float:
    """Time everything that a run with a lock file does beyond planning, until it has its env."""
    cache = source_cache(settings)
    sources = LockedSources(lambda uri, _: resolve(uri, cache=cache, cwd=settings.cwd), cache)
    planner = Planner(cache, settings.cwd, find=sources)
    planned = planner.plan(str(project), entry_point, None, {})

    def find() -> None:
        envs = env_store(settings)
        sources.lock = read_lock(project / LOCK_FILE)
        given = locked_envs(planned, sources, envs, None).given
        for step in planned.plan.steps:
            assert step.env is not None
            its = given[step.id]
            directory = planned.projects[step.project].directory
            request = EnvRequest(step.env, directory, lock=its.lock, manager=its.manager)
            envs.ensure(request, None, lambda _: None)
        envs.close()

    return timed(find)


def _compile(folder: Path, project: Path, variables: Mapping[str, str]) -> None:
    (folder / "lock.txt").unlink(missing_ok=True)
    words = [find_uv_bin(), "pip", "compile", "--quiet", "--generate-hashes", "--output-file"]
    words += ["lock.txt", "--python", sys.executable, str(project / "requirements.txt")]
    subprocess.run(words, cwd=folder, env=dict(variables), check=True)


def _write_project(folder: Path) -> Path:
    project = folder / "project"
    project.mkdir()
    (project / "MLproject").write_text(MANY)
    (project / "python_env.yaml").write_text("dependencies: ['-r requirements.txt']\n")
    (project / "requirements.txt").write_text("\n".join(PACKAGES) + "\n")
    return project


def _settings(folder: Path) -> Settings:
    """Give these surroundings with a home of their own, without pip's settings."""
    own = {k: v for k, v in os.environ.items() if not k.startswith("PIP_")}
    variables = {**own, "PIP_CONFIG_FILE": os.devnull}
    return replace(load_settings(), home=folder / "home", variables=variables)


if __name__ == "__main__":
    main()
