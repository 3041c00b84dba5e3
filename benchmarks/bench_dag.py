"""Pipelines of trivial steps, two at a time: what a run costs, and what a further step does."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from benchmarks.lab import FLOWRUN, Lab, open_lab, parse_options
from benchmarks.projects import ONE_STEP, PIPELINES, Steps, chain, fan_out
from benchmarks.race import Contender, Result, race
from benchmarks.report import (
    Target,
    duration,
    print_results,
    print_table,
    print_targets,
    print_title,
)

ROUNDS = 3
PEERS = [name for name in PIPELINES if name != FLOWRUN]
SHAPES: Mapping[str, Steps] = {
    "A single step": ONE_STEP,
    "A chain of 10": chain(10),
    "A fan-out of 100": fan_out(100),
}


def main() -> None:
    options = parse_options(__doc__, rounds=ROUNDS)
    with open_lab(options, *PEERS) as lab:
        print_title("Pipelines of trivial steps", lab.tools, lab.rounds)
        races = {}
        for shape, steps in SHAPES.items():
            races[shape] = race(lab, _contenders(lab, steps))
            print_results(shape, races[shape])
        single, *longer = races
        print("### A further step\n")
        rows = [
            (name, *(duration(_slope(races, single, shape, name)) for shape in longer))
            for name in PIPELINES
        ]
        print_table(("", *(shape.lower() for shape in longer)), rows)
        print_targets([_target(shape, races[shape]) for shape in longer])


def _contenders(lab: Lab, steps: Steps) -> list[Contender]:
    return [
        Contender(name, partial(write, lab.tools[name], steps)) for name, write in PIPELINES.items()
    ]


def _slope(races: Mapping[str, Mapping[str, Result]], single: str, shape: str, name: str) -> float:
    """Give the seconds that each step beyond the first takes."""
    further_s = races[shape][name].wall_s - races[single][name].wall_s
    return further_s / (len(SHAPES[shape]) - 1)


def _target(shape: str, results: Mapping[str, Result]) -> Target:
    best = min((results[peer] for peer in PEERS), key=lambda result: result.wall_s)
    ours_s = results[FLOWRUN].wall_s
    return Target(
        f"{shape.lower()}: faster than {', '.join(PEERS)}",
        f"{duration(ours_s)} to {best.name}'s {duration(best.wall_s)}",
        ours_s < best.wall_s,
    )


if __name__ == "__main__":
    main()
