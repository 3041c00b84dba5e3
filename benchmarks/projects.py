"""The same pipeline of trivial steps, written as each tool's users write it.

In every tool a step is a shell command: `true`, or where steps are ordered by the files that they
leave behind (DVC, Snakemake) one that makes an empty file. All are committed git repositories.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from benchmarks.lab import FLOWRUN, Tool, run_quietly
from benchmarks.race import Command

Steps = Mapping[str, Sequence[str]]
"""Name of each step to the steps that it needs."""

JOBS = "2"
LOCAL = ("--env-manager", "local")

ONE_STEP: Steps = {"only": ()}

MLPROJECT = """\
name: trivial
entry_points:
  main:
    command: "true"
"""
"""One step, for flowrun and for MLflow."""

REDUN_CONFIG = f"""\
[backend]
db_uri = sqlite:///redun.db

[executors.default]
type = local
max_workers = {JOBS}
"""

REDUN_WORKFLOW = """\
from redun import task

redun_namespace = "bench"
NEEDS = %s

@task(script=True)
def step(name: str, after: list) -> str:
    return "true"

@task()
def main() -> list:
    done = {}
    for name, needs in NEEDS.items():
        done[name] = step(name, [done[need] for need in needs])
    return list(done.values())
"""

SNAKEFILE = """\
NEEDS = %s

rule all:
    input: expand("{step}.done", step=NEEDS)

rule step:
    input: lambda wildcards: expand("{step}.done", step=NEEDS[wildcards.step])
    output: touch("{step}.done")
    shell: "true"
"""


def chain(length: int) -> Steps:
    """Give steps that each need the one before."""
    names = [f"s{number}" for number in range(length)]
    return {name: names[max(0, at - 1) : at] for at, name in enumerate(names)}


def fan_out(width: int) -> Steps:
    """Give one step, and `width` that need it."""
    return {"first": (), **{f"s{number}": ["first"] for number in range(width)}}


def flowrun_project(tool: Tool, steps: Steps, folder: Path) -> Command:
    """Write a pipeline of inline commands; each is to run, whatever ran before."""
    lines = [f'      {name}: {{run: "true", needs: [{_list(n)}]}}' for name, n in steps.items()]
    text = "\n".join(["name: bench", "entry_points:", "  main:", "    steps:", *lines, ""])
    commit(tool, folder, {"MLproject": text})
    argv = tool.argv("run", ".", *LOCAL, "--jobs", JOBS, "--no-cache")
    return Command(argv, folder, tool.variables)


def snakemake_project(tool: Tool, steps: Steps, folder: Path) -> Command:
    """Write one rule for all steps."""
    commit(tool, folder, {"Snakefile": SNAKEFILE % _needs(steps)})
    return Command(tool.argv("--cores", JOBS), folder, tool.variables)


def dvc_project(tool: Tool, steps: Steps, folder: Path) -> Command:
    """Write one stage a step; DVC has no way to run two at a time here."""
    stages = [
        f"  {name}:\n    cmd: touch {name}.done\n    outs: [{name}.done]\n"
        f"    deps: [{_list(f'{need}.done' for need in needs)}]\n"
        for name, needs in steps.items()
    ]
    run_quietly(["git", "init", "-q"], folder, tool.variables)
    run_quietly(tool.argv("init", "-q"), folder, tool.variables)
    commit(tool, folder, {"dvc.yaml": "stages:\n" + "".join(stages)})
    return Command(tool.argv("repro"), folder, tool.variables)


def redun_project(tool: Tool, steps: Steps, folder: Path) -> Command:
    """Write one task for all steps, and one that calls it; left to itself it runs 20 at a time."""
    files = {"workflow.py": REDUN_WORKFLOW % _needs(steps), ".redun/redun.ini": REDUN_CONFIG}
    commit(tool, folder, files)
    return Command(tool.argv("run", "workflow.py", "main"), folder, tool.variables)


def mlproject(tool: Tool, folder: Path) -> Command:
    """Write the project of one step that flowrun and MLflow both read."""
    commit(tool, folder, {"MLproject": MLPROJECT})
    return Command(tool.argv("run", ".", *LOCAL), folder, tool.variables)


def mlproject_by_commit(tool: Tool, folder: Path) -> Command:
    """Write the same, to be run by its URL and commit."""
    pinned = commit(tool, folder, {"MLproject": MLPROJECT})
    argv = tool.argv("run", folder.as_uri(), "--version", pinned, *LOCAL)
    return Command(argv, folder, tool.variables)


PIPELINES: Mapping[str, Callable[[Tool, Steps, Path], Command]] = {
    FLOWRUN: flowrun_project,
    "snakemake": snakemake_project,
    "dvc": dvc_project,
    "redun": redun_project,
}
"""Who can run pipelines: writes one into an empty folder and gives the command that runs it."""


def commit(tool: Tool, folder: Path, files: Mapping[str, str]) -> str:
    """Write files, put them into a git repository, and give the commit."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "Begin"]):
        run_quietly(["git", *words], folder, tool.variables)
    return run_quietly(["git", "rev-parse", "HEAD"], folder, tool.variables).strip()


def _list(names: Iterable[str]) -> str:
    return ", ".join(names)


def _needs(steps: Steps) -> str:
    return repr({name: list(needs) for name, needs in steps.items()})
