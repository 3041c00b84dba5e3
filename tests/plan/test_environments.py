"""Every environment of a project, whichever entry point is run."""

from __future__ import annotations

from flowrun.plan.environments import environments_of
from flowrun.plan.loaded import LoadedProject
from flowrun.plan.plan import SubProject
from flowrun.spec.project import ProjectCall
from tests.plan.planning import no_project
from tests.spec.reading import read

PROJECT = """
    python_env: all.yaml
    entry_points:
      train: {command: "x"}
      score: {command: "x", conda_env: score.yaml}
      main:
        docker_env: {image: busybox}
        steps:
          train: {matrix: {lr: [1, 2]}}
          score: {python_env: own.yaml}
          clean: {run: "x"}
          own: {run: "x", python_env: own.yaml}
          best: {select: {from: train, metric: m, mode: max}}
      again:
        steps:
          nested: {entry_point: main}
          best: {entry_point: best.py}
    """


def asked(text: str, other: str = "") -> list[tuple[str, str, str]]:
    def load(call: ProjectCall, caller: str) -> LoadedProject:
        if not other:
            return no_project(call, caller)
        sub = SubProject("other", call.uri, call.version, None, "tree")
        return LoadedProject(read(other), sub, lambda _: False)

    loaded = LoadedProject(read(text), None, {"best.py"}.__contains__)
    return [
        (each.project, each.env.path or each.env.kind.value, " ".join(each.asked_by))
        for each in environments_of(loaded, load)
    ]


def test_each_environment_is_named_once_with_all_that_ask_for_it() -> None:
    assert asked(PROJECT) == [
        ("", "all.yaml", "train main/train again/best"),
        ("", "score.yaml", "score"),
        ("", "own.yaml", "main/score main/own"),
        ("", "docker_env", "main/clean"),
    ]


def test_projects_that_are_called_bring_theirs() -> None:
    call = """
    entry_points:
      main:
        steps:
          there: {project: "https://host/other.git"}
          mine: {project: "https://host/other.git", entry_point: train, python_env: mine.yaml}
    """
    other = """
    conda_env: conda.yaml
    entry_points:
      main: {steps: {a: {run: "x"}, b: {entry_point: train}}}
      train: {command: "x"}
      unused: {command: "x", python_env: unused.yaml}
    """
    assert asked(call, other) == [
        ("other", "conda.yaml", "main/there/a main/there/b"),
        ("other", "mine.yaml", "main/mine"),
    ]


def test_project_of_scripts_has_its_own() -> None:
    assert asked("name: p") == [("", "implied", "p")]
