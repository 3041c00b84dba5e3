"""A thousand trivial steps in ten layers, two at a time, and ten thousand of flowrun's.

Everything runs, in a new project each time. flowrun records each step as a run with its logs,
outputs and usage; the others record nothing of the kind. DVC runs one step at a time; it and redun
get a hundred steps.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from benchmarks.lab import FLOWRUN, Lab, open_lab, parse_options
from benchmarks.layers import FEW, WRITERS, steps_of, write_layers
from benchmarks.projects import JOBS
from benchmarks.race import Command, Contender, Result, measure
from benchmarks.report import (
    Target,
    duration,
    print_results,
    print_table,
    print_targets,
    print_title,
)

ROUNDS = 1
STEPS, MANY = 1_000, 10_000
BARE = "the steps alone"
LEAN = (FLOWRUN, "ninja", "doit")
"""Who gets through 10,000 steps in reasonable time."""
MOST_MIB = 400


def main() -> None:
    options = parse_options(__doc__, rounds=ROUNDS)
    with open_lab(options, *(name for name in WRITERS if name != FLOWRUN)) as lab:
        print_title("Thousands of steps", lab.tools, lab.rounds)
        first = _in_turns(lab, [*(_new(lab, name, STEPS) for name in WRITERS), _bare(lab)])
        print_results(f"{STEPS:,} steps, all of them run ({FEW} of DVC's and redun's)", first)
        kept = {name: _new(lab, name, MANY).prepare(_folder(lab, name)) for name in LEAN}
        again = {name: Contender(name, lambda _, name=name: kept[name]) for name in LEAN}
        many = _in_turns(lab, [again[FLOWRUN]])
        for name in LEAN[1:]:
            measure(lab, again[name])
        measure(lab, again[FLOWRUN])  # the digests of what is as new as this are not remembered
        same = _in_turns(lab, [*again.values()])
        print_results(f"{MANY:,} steps, nothing changed", same)
        ours = many[FLOWRUN]
        rows = [(f"{MANY:,} steps, all of them run", duration(ours.wall_s), duration(ours.cpu_s))]
        print_table(("", "time", "cpu"), rows)
        print_targets(_targets(first, ours, same[FLOWRUN]))


def _targets(first: dict[str, Result], many: Result, same: Result) -> list[Target]:
    ours = first[FLOWRUN]
    each_s = {name: first[name].wall_s / steps_of(name, STEPS) for name in first}
    best = min(("snakemake", "dvc"), key=each_s.__getitem__)
    beyond_s = (ours.wall_s - first[BARE].wall_s) / STEPS
    times = many.wall_s / ours.wall_s
    peak_mib = max(many.peak_mib, same.peak_mib)
    to_both = f"{duration(each_s[FLOWRUN])} to {best}'s {duration(each_s[best])}"
    return [
        Target("a step faster than Snakemake's and DVC's", to_both, each_s[FLOWRUN] < each_s[best]),
        Target("10 ms a step beyond its own process", duration(beyond_s), beyond_s <= 0.010),
        Target("10 times the steps take 12 times as long", f"{times:.1f} times", times <= 12),
        Target(f"{MOST_MIB} MiB for {MANY:,}", f"{peak_mib:.0f} MiB", peak_mib <= MOST_MIB),
        Target(f"{MANY:,} unchanged in 3 s", duration(same.wall_s), same.wall_s <= 3),
    ]


def _new(lab: Lab, name: str, count: int) -> Contender:
    return Contender(name, partial(write_layers, lab, name, steps_of(name, count)))


def _bare(lab: Lab) -> Contender:
    """Let a shell run what the steps run, and nothing else."""
    one = "sh step.sh in/{}.txt out/{}.txt {}"
    script = f"seq 0 {STEPS - 1} | xargs -P {JOBS} -I{{}} sh -c '{one}'"

    def prepare(folder: Path) -> Command:
        command = write_layers(lab, "ninja", STEPS * 10, folder)
        return Command(["/bin/sh", "-c", script], folder, command.variables)

    return Contender(BARE, prepare)


def _folder(lab: Lab, name: str) -> Path:
    folder = lab.folder / f"many-{name}"
    folder.mkdir()
    return folder


def _in_turns(lab: Lab, contenders: list[Contender]) -> dict[str, Result]:
    """Measure without a run to warm up, which would be the one that is measured."""
    rounds = [[measure(lab, each) for each in contenders] for _ in range(lab.rounds)]
    return {
        each.name: Result(each.name, [row[place] for row in rounds])
        for place, each in enumerate(contenders)
    }


if __name__ == "__main__":
    main()
