"""Nothing changed, and one file changed: what it costs to find out that 1,000 steps need not run.

Ten layers of steps, each of which reads what one of the layer before wrote. All have run before.
DVC and redun take minutes for 1,000 steps to run at all: they have 100.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from itertools import count
from pathlib import Path

from benchmarks.lab import FLOWRUN, Lab, open_lab, parse_options
from benchmarks.layers import WRITERS, steps_of, write_layers
from benchmarks.race import Command, Contender, Result, race
from benchmarks.report import (
    Target,
    duration,
    print_results,
    print_targets,
    print_title,
)

ROUNDS = 3
STEPS = 1000


def main() -> None:
    options = parse_options(__doc__, rounds=ROUNDS)
    with open_lab(options, *(name for name in WRITERS if name != FLOWRUN)) as lab:
        print_title("The cache", lab.tools, lab.rounds)
        same = race(lab, [_unchanged(lab, name) for name in WRITERS])
        print_results(f"Nothing changed, {STEPS} steps", same)
        one = race(lab, [_changed(lab, name) for name in WRITERS])
        print_results("One of the first files changed", one)
        ours_s = same[FLOWRUN].wall_s
        print_targets(
            [
                Target(f"{STEPS} steps in 0.5 s", duration(ours_s), ours_s <= 0.5),
                _faster_than_python(same),
            ]
        )
        print(f"{ours_s / same['ninja'].wall_s:.0f} times what ninja takes.\n")


def _faster_than_python(results: Mapping[str, Result]) -> Target:
    peers = [result for name, result in results.items() if name not in {FLOWRUN, "ninja"}]
    best = min(peers, key=lambda result: result.wall_s)
    ours_s = results[FLOWRUN].wall_s
    measured = f"{duration(ours_s)} to {best.name}'s {duration(best.wall_s)}"
    return Target("faster than every peer in Python", measured, ours_s < best.wall_s)


def _unchanged(lab: Lab, name: str) -> Contender:
    """Let one run once, which the race does to warm up, and then again and again."""
    return Contender.at(
        name, partial(write_layers, lab, name, steps_of(name, STEPS)), lab.folder / f"same-{name}"
    )


def _changed(lab: Lab, name: str) -> Contender:
    folder = lab.folder / f"changed-{name}"
    folder.mkdir()
    command = write_layers(lab, name, steps_of(name, STEPS), folder)
    rounds = count()

    def change(_: Path) -> Command:
        (folder / "in" / "0.txt").write_text(f"{next(rounds)}\n")
        return command

    return Contender(name, change)


if __name__ == "__main__":
    main()
