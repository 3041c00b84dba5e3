"""Runs the benchmarks: `python -m benchmarks [name ...]`, each in a process of its own.

Each can be run by itself, with options: `python -m benchmarks.bench_dag --rounds 5`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from benchmarks.lab import CHECKOUT
from benchmarks.report import print_machine

PREFIX = "bench_"


def main() -> None:
    names = sorted(
        path.stem.removeprefix(PREFIX) for path in Path(__file__).parent.glob(f"{PREFIX}*.py")
    )
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", nargs="*", help=f"of {', '.join(names)}; by default all")
    given = parser.parse_args().name
    if unknown := set(given) - set(names):
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}")
    print("# Benchmarks\n")
    print_machine()
    failed = [name for name in given or names if not _succeeds(name)]
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def _succeeds(name: str) -> bool:
    ended = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{PREFIX}{name}"], cwd=CHECKOUT, check=False
    )
    return ended.returncode == 0


if __name__ == "__main__":
    main()
