"""What the benchmarks print: Markdown, of which RESULTS.md is made, that a terminal shows well."""

from __future__ import annotations

import os
import platform
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.lab import FLOWRUN, Tool
from benchmarks.race import Result


@dataclass(frozen=True, slots=True)
class Target:
    """A figure that flowrun promises, and what was measured."""

    promise: str
    measured: str
    holds: bool


def print_title(title: str, tools: Mapping[str, Tool], rounds: int) -> None:
    """Print what is compared."""
    versions = ", ".join(f"{tool.name} {tool.version}" for tool in tools.values())
    print(f"## {title}\n\n{versions}; medians of {rounds} rounds, in turns.\n", flush=True)


def print_machine() -> None:
    """Print what the figures depend on."""
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    print(
        f"{len(os.sched_getaffinity(0))} cores, {memory_gib:.0f} GiB, {platform.system()} "
        f"{platform.machine()}, Python {platform.python_version()}.\n"
    )


def print_results(title: str, results: Mapping[str, Result]) -> None:
    """Print a race: each one's time, how far it is from flowrun's, and what it took."""
    ours = results[FLOWRUN]
    rows = [
        (
            result.name,
            duration(result.wall_s),
            spread(result),
            f"{result.wall_s / ours.wall_s:.3g}",
            duration(result.cpu_s),
            f"{result.peak_mib:.0f} MiB",
        )
        for result in results.values()
    ]
    print(f"### {title}\n")
    print_table(("", "time", "from - to", "x flowrun", "cpu", "peak of a process"), rows)


def print_targets(targets: Sequence[Target]) -> None:
    """Print which promises hold."""
    rows = [(t.promise, t.measured, "held" if t.holds else "MISSED") for t in targets]
    print_table(("target", "measured", ""), rows)


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows in columns; the first column is text, the others stand at the right."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    rules = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    for row in (header, rules, *rows):
        cells = [row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]
        print(f"| {' | '.join(cells)} |")
    print(flush=True)


def spread(result: Result) -> str:
    """Say between what the samples lie."""
    times = [sample.wall_s for sample in result.samples]
    return f"{duration(min(times))} - {duration(max(times))}"


def say(text: str) -> None:
    """Tell what takes time, where it does not get into the results."""
    print(text, file=sys.stderr, flush=True)


def p50(samples: Sequence[float]) -> float:
    """Give the median."""
    return statistics.median(samples)


def p95(samples: Sequence[float]) -> float:
    """Give what 95 of 100 samples stay below; of few samples, the slowest."""
    return sorted(samples)[min(len(samples) - 1, int(len(samples) * 0.95))]


def duration(seconds: float) -> str:
    """Say a time with three digits that count."""
    if abs(seconds) >= 1:
        return f"{seconds:.3g} s"
    if abs(seconds) >= 1e-3:
        return f"{seconds * 1e3:.3g} ms"
    return f"{seconds * 1e6:.3g} us"
