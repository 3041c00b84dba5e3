"""Runs the benchmarks: `python -m benchmarks [name ...]`, each in a process of its own.

Each can be run by itself, with options: `python -m benchmarks.bench_dag --rounds 5`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from benchmarks.lab import CHECKOUT, PEERS
from benchmarks.report import print_machine

PREFIX = "bench_"
WITH_PEERS = frozenset(
    {"startup", "one_step", "dag", "tracking_client", "envs", "server", "cache", "thousands"}
)
"""The comparisons with tools that are installed for it."""


def main() -> None:
    names = sorted(
        path.stem.removeprefix(PREFIX) for path in Path(__file__).parent.glob(f"{PREFIX}*.py")
    )
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", nargs="*", help=f"of {', '.join(names)}; by default all")
    parser.add_argument("--peers", type=Path, default=PEERS, help="where to keep the other tools")
    given = parser.parse_args()
    if unknown := set(given.name) - set(names):
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}")
    print("# Benchmarks\n")
    print_machine()
    failed = [name for name in given.name or names if not _succeeds(name, given.peers)]
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def _succeeds(name: str, peers: Path) -> bool:
    options = ["--peers", str(peers.absolute())] if name in WITH_PEERS else []
    command = [sys.executable, "-m", f"benchmarks.{PREFIX}{name}", *options]
    return subprocess.run(command, cwd=CHECKOUT, check=False).returncode == 0


if __name__ == "__main__":
    main()
