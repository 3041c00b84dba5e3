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
from flowrun.engine.locked import Asked, plan_as_locked
from flowrun.envs.base import EnvRequest
from flowrun.settings import Settings, load_settings
from flowrun.spec.load import LOCK_FILE
from flowrun.spec.lockfile import dump
from flowrun.surroundings import env_store, planner_of, source_cache

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
        _find(settings, project, "main")  # is built here, once
        plain = {
            entry: timed(partial(_plan, settings, project, entry)) for entry in ("main", "all")
        }
        found = {
            entry: timed(partial(_find, settings, project, entry)) for entry in ("main", "all")
        }
    rows = [
        ("flowrun lock", duration(lock)),
        ("uv pip compile --generate-hashes", duration(compile_)),
        ("flowrun lock, nothing to do", duration(again)),
        ("1 step: plan", duration(plain["main"])),
        ("1 step: plan and find its environment by the lock file", duration(found["main"])),
        (f"{STEPS:,} steps: plan", duration(plain["all"])),
        (f"{STEPS:,} steps: plan and find each one's environment", duration(found["all"])),
    ]
    print_table((f"{', '.join(PACKAGES)}; medians of {ROUNDS} rounds", "time"), rows)
    added, many = found["main"] - plain["main"], (found["all"] - plain["all"]) / STEPS
    print_targets(
        [
            Target(
                f"making a lock: at most {COLD_RATIO_LIMIT} times uv alone",
                f"{lock / compile_:.2f}",
                lock / compile_ <= COLD_RATIO_LIMIT,
            ),
            Target(
                f"warm environment found in at most {duration(WARM_LIMIT_S)}",
                f"{duration(added)}; of {STEPS:,} steps {duration(many)} each",
                added <= WARM_LIMIT_S,
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


def _plan(settings: Settings, project: Path, entry_point: str) -> None:
    planner_of(settings).plan(str(project), entry_point, None, {})


def _find(settings: Settings, project: Path, entry_point: str) -> None:
    envs = env_store(settings)
    asked = Asked(str(project), entry_point, None, {}, is_locked=True)
    cache = source_cache(settings)
    planned, given = plan_as_locked(asked, cache, settings.cwd, envs, lambda _: None)
    for step in planned.plan.steps:
        assert step.env is not None
        code, its = planned.projects[step.project], given[step.id]
        request = EnvRequest(step.env, code.directory, lock=its.lock, manager=its.manager)
        envs.ensure(request, None, lambda _: None)
    envs.close()


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
