"""Measures several commands in turns: what slows the machine for a while slows them all."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import stopwatch
from benchmarks.lab import PYTHON, Lab


@dataclass(frozen=True, slots=True)
class Command:
    """What is measured."""

    argv: Sequence[str]
    directory: Path
    variables: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Contender:
    """One who takes part in a race."""

    name: str
    prepare: Callable[[Path], Command]
    """Called with an empty folder before each round; what it does is not measured."""

    @classmethod
    def at(cls, name: str, write: Callable[[Path], Command], folder: Path) -> Contender:
        """Make one that runs the same command in the same place each round."""
        folder.mkdir()
        command = write(folder)
        return cls(name, lambda _: command)


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement."""

    wall_s: float
    cpu_s: float
    """Of the command and all its children."""
    peak_kib: int
    """The most that any one of its processes had in memory."""


@dataclass(frozen=True, slots=True)
class Result:
    """A contender's samples."""

    name: str
    samples: Sequence[Sample]

    @property
    def wall_s(self) -> float:
        """Median."""
        return statistics.median(sample.wall_s for sample in self.samples)

    @property
    def cpu_s(self) -> float:
        """Median."""
        return statistics.median(sample.cpu_s for sample in self.samples)

    @property
    def peak_mib(self) -> float:
        """Median."""
        return statistics.median(sample.peak_kib for sample in self.samples) / 1024


def race(lab: Lab, contenders: Sequence[Contender]) -> dict[str, Result]:
    """Let each contender go once for warming up, then measure them in turns."""
    samples: dict[str, list[Sample]] = {contender.name: [] for contender in contenders}
    for number in range(lab.rounds + 1):
        for contender in contenders:
            _show(f"round {number} of {lab.rounds}: {contender.name}")
            sample = measure(lab, contender)
            if number > 0:
                samples[contender.name].append(sample)
    _show("")
    return {name: Result(name, of_it) for name, of_it in samples.items()}


def measure(lab: Lab, contender: Contender, *, measures_tree: bool = False) -> Sample:
    """Measure one command once; leave if it fails.

    Args:
        measures_tree: the sample's memory is that of all processes together, and its times say
            nothing.
    """
    folder = lab.folder / "rounds" / str(sum(1 for _ in lab.folder.glob("rounds/*")))
    folder.mkdir(parents=True)
    command = contender.prepare(folder)
    log = lab.folder / "stderr.log"
    flags = ["--tree"] if measures_tree else []
    timed = subprocess.run(
        [PYTHON, "-I", "-S", stopwatch.__file__, *flags, str(log), *command.argv],
        cwd=command.directory,
        env=command.variables,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if timed.returncode != 0:
        sys.exit(f"{contender.name}: {' '.join(command.argv)} failed:\n{log.read_text()[-4000:]}")
    return Sample(**json.loads(timed.stdout))


def _show(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
