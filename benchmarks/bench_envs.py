"""Environments: a cold build beside `uv venv` + `uv pip install`, and a warm start.

Run it as `python benchmarks/bench_envs.py [--runs N] [--large]`. Both sides install the same
requirements for the same Python; flowrun also locks them with hashes. `nothing` starts with neither
a uv cache nor a flowrun store; `packages` with a full uv cache; `packages, Python` also with a
store that has made another environment of this Python, as is usual.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import uv

from flowrun.envs.base import EnvRequest
from flowrun.envs.store import EnvStore
from flowrun.spec.project import EnvKind, EnvSpec

SMALL = ("click", "six", "packaging")
LARGE = ("numpy", "pandas", "scikit-learn")
FORGOTTEN = frozenset({"cache", "store", "store/envs", "store/resolved"})
STARTS = {
    "nothing": frozenset[str](),
    "packages": frozenset({"cache"}),
    "packages, Python": frozenset({"cache", "store"}),
}
"""What each kind of cold start keeps."""
REQUIREMENTS = "requirements.txt"
PYTHON = Path(sys.executable)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--large", action="store_true", help="numpy, pandas and scikit-learn too")
    options = parser.parse_args()
    sets = {"small": SMALL, "large": LARGE} if options.large else {"small": SMALL}
    with tempfile.TemporaryDirectory() as folder:
        for name, requirements in sets.items():
            bench_cold(Path(folder) / name, name, requirements, options.runs)
        bench_warm(Path(folder) / "warm", options.runs)


def bench_cold(folder: Path, name: str, requirements: tuple[str, ...], runs: int) -> None:
    project = make_project(folder, requirements)
    for start, kept in STARTS.items():
        ours: list[float] = []
        theirs: list[float] = []
        # One round that does not count, so that both sides find the same files in memory.
        for round_ in range(runs + 1):
            for times, build in ((theirs, build_with_uv), (ours, build_with_flowrun)):
                clear(folder / "uv-env", *(folder / each for each in FORGOTTEN - kept))
                took = timed(partial(build, project, folder / "cache"))
                if round_:
                    times.append(took)
        a, b = statistics.median(ours), statistics.median(theirs)
        print(f"cold {name:5} {start:16} flowrun {a:6.3f} s   uv {b:6.3f} s   ratio {a / b:.2f}")


def bench_warm(folder: Path, runs: int) -> None:
    project = make_project(folder, SMALL)
    code = (
        "import os, sys, time; t = time.perf_counter();"
        "from pathlib import Path; from flowrun.envs.base import EnvRequest;"
        "from flowrun.envs.store import EnvStore; from flowrun.spec.project import *;"
        "s = EnvStore(Path(sys.argv[2]), variables=dict(os.environ),"
        " caller_python=Path(sys.executable));"
        "r = EnvRequest(EnvSpec(EnvKind.IMPLIED), Path(sys.argv[1]));"
        "s.check(r, sys.argv[3]); s.ensure(r, sys.argv[3], lambda _: None);"
        "print(time.perf_counter() - t)"
    )

    def start(manager: str) -> float:
        words = [PYTHON, "-c", code, project, folder / "store", manager]
        return float(subprocess.run(words, capture_output=True, text=True, check=True).stdout)

    start("virtualenv")
    for manager in ("local", "virtualenv"):
        took = statistics.median(start(manager) for _ in range(3 * runs)) * 1000
        print(f"warm {manager:10} {took:6.1f} ms, imports counted")
    store = EnvStore(folder / "store", variables=os.environ, caller_python=PYTHON)
    request = EnvRequest(EnvSpec(EnvKind.IMPLIED), project)
    again = statistics.median(
        timed(lambda: store.ensure(request, None, print)) for _ in range(20 * runs)
    )
    print(f"warm {'each more':10} {again * 1000:6.1f} ms, for the next step of the same run")


def build_with_uv(project: Path, cache: Path) -> None:
    tool, target = uv.find_uv_bin(), project.parent / "uv-env"
    python = target / "bin/python"
    for words in (
        ["venv", "--quiet", "--python", PYTHON, target],
        ["pip", "install", "--quiet", "--python", python, "-r", project / REQUIREMENTS],
    ):
        subprocess.run([tool, *words], env=variables(cache), check=True)


def build_with_flowrun(project: Path, cache: Path) -> None:
    request = EnvRequest(EnvSpec(EnvKind.IMPLIED), project)
    folder = project.parent / "store"
    store = EnvStore(folder, variables=variables(cache), caller_python=PYTHON)
    store.ensure(request, None, lambda _: None)


def variables(cache: Path) -> dict[str, str]:
    """Return the caller's variables without pip's settings, which only flowrun would honour."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    return {**kept, "PIP_CONFIG_FILE": os.devnull, "UV_CACHE_DIR": str(cache)}


def clear(*folders: Path) -> None:
    for folder in folders:
        if folder.exists():
            subprocess.run(["chmod", "-R", "u+w", folder], check=True)
            shutil.rmtree(folder)


def make_project(folder: Path, requirements: tuple[str, ...]) -> Path:
    project = folder / "project"
    project.mkdir(parents=True)
    (project / REQUIREMENTS).write_text("\n".join(requirements))
    (project / "python_env.yaml").write_text("dependencies: ['-r requirements.txt']")
    return project


def timed(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
