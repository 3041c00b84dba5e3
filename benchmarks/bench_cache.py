"""Nothing changed, and one file changed: what it costs to find out that 1,000 steps need not run.

Ten layers of steps, each of which reads what one of the layer before wrote. All have run before.
DVC and redun take minutes for 1,000 steps to run at all: they have 100.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import count
from pathlib import Path

from benchmarks.lab import FLOWRUN, Lab, Tool, open_lab, parse_options
from benchmarks.projects import JOBS, LOCAL, REDUN_CONFIG, commit
from benchmarks.race import Command, Contender, Result, race
from benchmarks.report import (
    Target,
    duration,
    print_results,
    print_targets,
    print_title,
)

ROUNDS = 3
LAYERS = 10
STEPS = 1000
STEPS_OF = {"dvc": 100, "redun": 100}
SCRIPT = 'cat "$1" > "$2" && echo "$3" >> "$2"\n'
"""Each step writes something of its own: equal steps would run once."""
NINJA = "rule step\n  command = sh step.sh $in $out $out\n"
DODO = """\
DOIT_CONFIG = {"num_process": %s, "verbosity": 0}
STEPS = %r

def task_step():
    for name, source in STEPS.items():
        yield {
            "name": name,
            "file_dep": [source, "step.sh"],
            "targets": [f"out/{name}.txt"],
            "actions": [f"sh step.sh {source} out/{name}.txt {name}"],
        }
"""
SNAKEFILE = """\
STEPS = %r

rule all:
    input: expand("out/{step}.txt", step=STEPS)

rule step:
    input: lambda wildcards: STEPS[wildcards.step], "step.sh"
    output: "out/{step}.txt"
    shell: "sh step.sh {input[0]} {output} {wildcards.step}"
"""
REDUN_WORKFLOW = """\
from redun import File, script, task

redun_namespace = "bench"
STEPS = %r

@task()
def step(source: File, name: str):
    target = File(f"out/{name}.txt")
    return script(f"sh step.sh {source.path} {target.path} {name}", outputs=target)

@task()
def main() -> list:
    done = {}
    for name, source in STEPS.items():
        before = source.removeprefix("out/").removesuffix(".txt")
        done[name] = step(done[before] if before in done else File(source), name)
    return list(done.values())
"""
MLPROJECT = """\
name: layers
entry_points:
  step:
    parameters: {input: path, name: str}
    command: "sh step.sh {input} out.txt {name}"
    sources: [step.sh]
    outputs: {out: out.txt}
  main:
    steps:
"""


def layered(steps: int) -> dict[str, str]:
    """Give each step's name with the file that it reads."""
    width = steps // LAYERS
    return {
        f"s{layer}_{place}": f"out/s{layer - 1}_{place}.txt" if layer else f"in/{place}.txt"
        for layer in range(LAYERS)
        for place in range(width)
    }


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
    return Contender.at(name, partial(_written, lab, name), lab.folder / f"same-{name}")


def _changed(lab: Lab, name: str) -> Contender:
    folder = lab.folder / f"changed-{name}"
    folder.mkdir()
    command = _written(lab, name, folder)
    rounds = count()

    def change(_: Path) -> Command:
        (folder / "in" / "0.txt").write_text(f"{next(rounds)}\n")
        return command

    return Contender(name, change)


def _written(lab: Lab, name: str, folder: Path) -> Command:
    steps = layered(STEPS_OF.get(name, STEPS))
    inputs = {source: f"{source}\n" for source in steps.values() if source.startswith("in/")}
    tool = lab.tools[name]
    files, argv = WRITERS[name](tool, steps)
    commit(tool, folder, {"step.sh": SCRIPT, ".gitignore": "/out/\n", **inputs, **files})
    (folder / "out").mkdir()
    return Command(argv, folder, tool.variables)


Written = tuple[dict[str, str], list[str]]
"""The project's files, and the command that runs it."""


def _flowrun(tool: Tool, steps: Mapping[str, str]) -> Written:
    lines = []
    for name, source in steps.items():
        before = source.removeprefix("out/").removesuffix(".txt")
        value = f'"${{{{ steps.{before}.outputs.out }}}}"' if before in steps else source
        lines.append(
            f"      {name}: {{entry_point: step, with: {{input: {value}, name: {name}}}}}\n"
        )
    argv = tool.argv("run", ".", *LOCAL, "--jobs", JOBS, "--quiet")
    return {"MLproject": MLPROJECT + "".join(lines)}, argv


def _ninja(tool: Tool, steps: Mapping[str, str]) -> Written:
    lines = [f"build out/{name}.txt: step {source} | step.sh\n" for name, source in steps.items()]
    return {"build.ninja": NINJA + "".join(lines)}, tool.argv("-j", JOBS, "--quiet")


def _doit(tool: Tool, steps: Mapping[str, str]) -> Written:
    return {"dodo.py": DODO % (JOBS, dict(steps))}, tool.argv()


def _snakemake(tool: Tool, steps: Mapping[str, str]) -> Written:
    return {"Snakefile": SNAKEFILE % dict(steps)}, tool.argv("--cores", JOBS, "--quiet", "all")


def _dvc(tool: Tool, steps: Mapping[str, str]) -> Written:
    stages = [
        f"  {name}:\n    cmd: sh step.sh {source} out/{name}.txt {name}\n"
        f"    deps: [{source}, step.sh]\n    outs: [out/{name}.txt]\n"
        for name, source in steps.items()
    ]
    files = {"dvc.yaml": "stages:\n" + "".join(stages), ".dvc/config": ""}
    return files, tool.argv("repro", "--quiet")


def _redun(tool: Tool, steps: Mapping[str, str]) -> Written:
    files = {"workflow.py": REDUN_WORKFLOW % dict(steps), ".redun/redun.ini": REDUN_CONFIG}
    return files, tool.argv("run", "workflow.py", "main")


WRITERS: Mapping[str, Callable[[Tool, Mapping[str, str]], Written]] = {
    FLOWRUN: _flowrun,
    "ninja": _ninja,
    "doit": _doit,
    "snakemake": _snakemake,
    "dvc": _dvc,
    "redun": _redun,
}


if __name__ == "__main__":
    main()
