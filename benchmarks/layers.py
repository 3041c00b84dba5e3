"""The same steps for several tools: ten layers, where each step reads what one before it wrote."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.lab import FLOWRUN, Lab, Tool
from benchmarks.projects import JOBS, LOCAL, REDUN_CONFIG, commit
from benchmarks.race import Command

LAYERS = 10
FEW, FEW_OF = 100, frozenset({"dvc", "redun"})
"""These take many minutes for a thousand steps."""
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


def steps_of(name: str, count: int) -> int:
    """Give how many steps a tool gets instead of so many."""
    return min(FEW, count) if name in FEW_OF else count


def write_layers(lab: Lab, name: str, count: int, folder: Path) -> Command:
    """Write a tool's project of so many steps into a folder; give what runs it."""
    steps = layered(count)
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
