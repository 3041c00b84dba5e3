"""Conda environments: a cold build beside py-rattler's bare solve and install, and a warm look-up.

Run it as `python -m benchmarks.bench_conda`. Each measurement is a process of its own. Cold, both
sides begin with the same imports, those of a run; they have an empty package cache and the same
channel in a folder, made from what is installed beside this. rattler alone neither compares the
archives with their hashes nor keeps environments from sharing files, starts no Python to see that
it works, and writes no lock. Both leave without taking the interpreter apart, as flowrun's command
does: rattler's threads may still be there (0.28). Warm, both sides have read a project file before.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from benchmarks.lab import FLOWRUN, Lab
from benchmarks.race import Command, Contender, race
from benchmarks.report import Target, duration, print_results, print_targets
from tests.support.conda_channel import CondaChannel, installed_package, python_package

ROUNDS = 7
SETS = {"small": ("click",), "large": ("click", "numpy", "scipy")}
COLD_RATIO_LIMIT = 1.2
WARM_LIMIT_S = 0.02
WARM_TIMES_AS_MANY_ROUNDS = 3
RATTLER = "py-rattler"
IMPORTS = """
import flowrun.envs.conda.backend, flowrun.envs.conda.installing, flowrun.envs.conda.solving
import flowrun.envs.store, flowrun.spec.load
"""
BARE = f"""{IMPORTS}
import asyncio, os, sys
from pathlib import Path
from rattler import Channel, Client, Gateway, SourceConfig, VirtualPackage, install, solve
folder, channel, *names = sys.argv[1:]
async def main():
    gateway = Gateway(
        cache_dir=Path(folder) / "repodata", default_config=SourceConfig(sharded_enabled=False),
        client=Client(),
    )
    records = await solve(
        [Channel(channel)], names, gateway=gateway, virtual_packages=VirtualPackage.detect()
    )
    await install(
        records, Path(folder) / "prefix", cache_dir=Path(folder) / "pkgs", show_progress=False,
        client=Client(),
    )
asyncio.run(main())
os._exit(0)
"""
ENSURE = """
import os, sys
from pathlib import Path
from flowrun.envs.base import EnvRequest
from flowrun.envs.store import EnvStore
from flowrun.spec.load import load_project
from flowrun.spec.project import EnvKind, EnvSpec
store, project, manager = sys.argv[1:]
load_project(Path(project))
envs = EnvStore(Path(store), variables=dict(os.environ), caller_python=Path(sys.executable))
request = EnvRequest(EnvSpec(EnvKind.IMPLIED), Path(project))
envs.check(request, manager)
envs.ensure(request, manager, lambda _: None)
os._exit(0)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"default: {ROUNDS}")
    given = parser.parse_args()
    print(f"## Conda environments\n\nMedians of {given.rounds} rounds, in turns.\n", flush=True)
    with tempfile.TemporaryDirectory(prefix="bench-conda-") as name:
        lab = Lab(Path(name), given.rounds, {})
        channel = CondaChannel(lab.folder / "channel")
        channel.add(python_package(), *map(installed_package, SETS["large"]))
        targets = [_cold(lab, channel, name, names) for name, names in SETS.items()]
        print_targets([*targets, _warm(lab, channel)])


def _cold(lab: Lab, channel: CondaChannel, name: str, names: Sequence[str]) -> Target:
    specs = ["python", *names]
    project = _project(lab.folder / f"project-{name}", channel, specs)
    results = race(
        lab,
        [
            Contender(FLOWRUN, partial(_ensure, project)),
            Contender(RATTLER, lambda folder: _python(BARE, folder, channel.url, *specs)),
        ],
    )
    print_results(f"Cold, {name}: {', '.join(specs)}", results)
    ratio = results[FLOWRUN].wall_s / results[RATTLER].wall_s
    return Target(
        f"cold, {name}: at most {COLD_RATIO_LIMIT} times {RATTLER} alone",
        f"{ratio:.2f}",
        ratio <= COLD_RATIO_LIMIT,
    )


def _warm(lab: Lab, channel: CondaChannel) -> Target:
    """Measure a process that gets an environment, one of conda's and the caller's own."""
    project = _project(lab.folder / "project-warm", channel, ["python", *SETS["small"]])
    store = lab.folder / "warm-store"
    many = Lab(lab.folder, lab.rounds * WARM_TIMES_AS_MANY_ROUNDS, lab.tools)
    local = f"{FLOWRUN} --env-manager local"
    results = race(
        many,
        [
            Contender(FLOWRUN, lambda _: _python(ENSURE, store, project, "conda")),
            Contender(local, lambda _: _python(ENSURE, store, project, "local")),
        ],
    )
    print_results(f"Warm: get an environment that is there, {many.rounds} rounds", results)
    added_s = results[FLOWRUN].wall_s - results[local].wall_s
    return Target(
        f"warm: adds at most {duration(WARM_LIMIT_S)}", duration(added_s), added_s <= WARM_LIMIT_S
    )


def _project(folder: Path, channel: CondaChannel, specs: Sequence[str]) -> Path:
    folder.mkdir()
    text = f"channels: ['{channel.url}']\ndependencies: [{', '.join(specs)}]\n"
    (folder / "conda.yaml").write_text(text)
    return folder


def _ensure(project: Path, folder: Path) -> Command:
    return _python(IMPORTS + ENSURE, folder / "store", project, "conda")


def _python(code: str, *words: str | Path) -> Command:
    argv = [sys.executable, "-c", code, *map(str, words)]
    return Command(argv, Path(str(words[0])).parent, _variables())


def _variables() -> Mapping[str, str]:
    """Give the caller's variables, with which imports are compiled once."""
    return {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}


if __name__ == "__main__":
    main()
