"""Wrong input: told with place and remedy, exit code 2, and before any run exists."""

from __future__ import annotations

import pytest

from tests.support.space import Space

LOCAL = ("--env-manager", "local")
WRONG = {
    "unknown key in a step": (
        "entry_points:\n  main:\n    steps:\n      a: {run: echo, neds: [b]}\n",
        (),
        "MLproject:4:22: ",
    ),
    "evaluation beside what can't be": (
        "entry_points:\n  main:\n    steps:\n      a:\n        evaluate:\n"
        "          {model: ., data: ., type: text, target: t, baseline: 'models:/x'}\n",
        (),
        "parameter 'baseline' of step 'a': 'models:/x' names no model",
    ),
    "evaluation by what is not there": (
        "entry_points:\n  main:\n    steps:\n      a:\n        evaluate:\n"
        "          {model: ., data: ., metrics: own.py:cost}\n",
        (),
        "parameter 'metrics' of step 'a' is a path, but 'own.py' exists neither in the project",
    ),
    "missing parameter": (
        "entry_points:\n  main:\n    parameters: {lr: float}\n    command: echo {lr}\n",
        (),
        "'lr'",
    ),
    "malformed parameter": (
        "entry_points:\n  main:\n    parameters: {lr: float}\n    command: echo {lr}\n",
        ("-P", "lr=fast"),
        "lr",
    ),
    "unknown entry point": (
        "entry_points:\n  main: {command: echo}\n",
        ("-e", "mian"),
        "'main'",
    ),
    "unknown step": (
        "entry_points:\n  main:\n    steps:\n      prepare: {run: echo}\n"
        "      b: {run: echo, needs: prepar}\n",
        (),
        "'prepare'",
    ),
    "cycle": (
        "entry_points:\n  main:\n    steps:\n      a: {run: echo, needs: b}\n"
        "      b: {run: echo, needs: a}\n",
        (),
        "a -> b -> a",
    ),
    "duplicate key": (
        "entry_points:\n  main: {command: echo}\n  main: {command: ls}\n",
        (),
        "MLproject:3:3: ",
    ),
    "path that is not there": (
        "entry_points:\n  main:\n    parameters: {data: path}\n    command: cat {data}\n",
        ("-P", "data=nothing.csv"),
        "nothing.csv does not exist (from -P data=nothing.csv)",
    ),
    "default path that is not there": (
        "entry_points:\n  main:\n    parameters: {data: {type: path, default: no.csv}}\n"
        "    command: cat {data}\n",
        (),
        "'no.csv' exists neither in the project nor in",
    ),
    "secret that is not set": (
        "entry_points:\n  main:\n    steps:\n      a: {run: echo, secrets: [MY_KEY]}\n",
        (),
        "step 'a' needs the secret MY_KEY, but the environment variable of that name is not set",
    ),
    "no file at all": (
        None,
        (),
        "flowrun: the project has no MLproject file, and so no entry points\n"
        "Name one of its scripts instead, such as -e train.py; `flowrun init DIRECTORY` makes a "
        "project to start from.\n",
    ),
    "empty file": ("", (), "main"),
    "param without value": ("entry_points:\n  main: {command: echo}\n", ("-P", "x"), "NAME=VALUE"),
    "param twice": (
        "entry_points:\n  main: {command: echo}\n",
        ("-P", "x=1", "-P", "x=2"),
        "given twice",
    ),
    "file of parameters": (
        "entry_points:\n  main: {parameters: {lr: float, n: {type: int, max: 3}}, command: echo}\n",
        ("--params-file", "params.yaml", "-P", "n=2"),
        "params.yaml:1:2: lr: 'fast' is not a float\n"
        "params.yaml:1:19: lrr: entry point 'main' has no parameter 'lrr'. Did you mean 'lr'?\n",
    ),
    "file of parameters that is none": (
        "entry_points:\n  main: {command: echo}\n",
        ("--params-file", "gone.yaml"),
        "--params-file gone.yaml: No such file or directory",
    ),
    "backend": ("entry_points:\n  main: {command: echo}\n", ("-b", "databricks"), "databricks"),
    "both experiment flags": (
        "entry_points:\n  main: {command: echo}\n",
        ("--experiment-name", "x", "--experiment-id", "0"),
        "not both",
    ),
}


@pytest.mark.parametrize(("text", "words", "message"), WRONG.values(), ids=WRONG.keys())
def test_is_told_before_any_run_exists(
    space: Space, text: str | None, words: tuple[str, ...], message: str
) -> None:
    project = {"p/other.txt": ""} if text is None else {"p/MLproject": text}
    space.write(project | {"params.yaml": "{lr: fast, n: 99, lrr: 1}"})
    done = space.flowrun("run", "p", *words, "--env-manager", "local", code=2)
    assert message in done.err
    assert "Traceback" not in done.text
    assert space.runs() == []


def test_all_mistakes_of_a_file_are_told_at_once_in_its_order(space: Space) -> None:
    text = (
        "entry_points:\n  main:\n    steps:\n      a: {run: echo, neds: b}\n"
        "      b: {run: echo, needs: [c]}\n      d: {run: echo, resources: {cpus: many}}\n"
    )
    space.write({"p/MLproject": text})
    done = space.flowrun("plan", "p", code=2)
    places = [line.split(" ")[0] for line in done.err.splitlines() if line.startswith("MLproject:")]
    assert [place.split(":")[1] for place in places] == ["4", "5", "6"]


NO_ENGINE = {
    "no socket": ("unix:///nowhere/docker.sock", "No such file or directory"),
    "nobody listens": ("tcp://127.0.0.1:9", "Connection refused"),
    "no address": ("nonsense://x", "Invalid bind address protocol: nonsense://x"),
}


@pytest.mark.parametrize(("host", "why"), NO_ENGINE.values(), ids=NO_ENGINE.keys())
def test_a_missing_docker_engine_is_told_before_any_run_exists(
    space: Space, host: str, why: str
) -> None:
    text = "docker_env: {image: python}\nentry_points:\n  main: {command: echo}\n"
    space.write({"d/MLproject": text})
    done = space.flowrun("run", "d", code=3, DOCKER_HOST=host)
    assert f"No Docker engine answers at {host}: {why}." in done.err
    assert space.runs() == []


def test_docker_arguments_without_a_container_are_wrong_input(space: Space) -> None:
    space.write({"p/MLproject": "entry_points:\n  main: {command: echo}\n"})
    done = space.flowrun("run", "p", "-A", "gpus=all", code=2)
    assert "no step here has one" in done.err
    assert "There are: add-host, " in space.flowrun("run", "p", "-A", "gpsu=all", code=2).err
    assert "given twice" in space.flowrun("run", "p", "-A", "a", "-A", "a", code=2).err


def test_mistake_in_a_conda_file_is_told_before_anything_runs(space: Space) -> None:
    space.write(
        {
            "c/MLproject": "conda_env: conda.yaml\nentry_points:\n  main: {command: echo}\n",
            "c/conda.yaml": "dependencies: [--channel=evil]\n",
        }
    )
    done = space.flowrun("run", "c", code=2)
    assert "conda.yaml:1:16: '--channel=evil' is no conda package" in done.err
    assert space.runs() == []


def test_an_unknown_experiment_id_is_wrong_input(space: Space) -> None:
    space.write({"p/MLproject": "entry_points:\n  main: {command: echo}\n"})
    words = ("run", "p", "--experiment-id", "999", "--env-manager", "local")
    assert "999" in space.flowrun(*words, code=2).err


def test_an_unreachable_repository_is_surroundings(space: Space) -> None:
    done = space.flowrun("run", "https://127.0.0.1:9/team/wine.git", code=3)
    assert "127.0.0.1:9" in done.err


def test_a_directory_that_is_not_there_is_wrong_input(space: Space) -> None:
    assert "nowhere" in space.flowrun("run", "nowhere", code=2).err


def test_what_looks_like_a_mistake_is_told_by_all_that_plan(space: Space) -> None:
    text = "entry_points:\n  main: {parameters: {lr: {default: 1}}, command: 'echo {lr}'}\n"
    space.write({"p/MLproject": text})
    told = "warning: -P lrr: 'main' declares no such parameter; it is passed on as --lrr. "
    for command in ("run", "plan"):
        done = space.flowrun(command, "p", *LOCAL, "-P", "lrr=2")
        assert f"{told}Did you mean 'lr'?\n" in done.err
    assert "echo 1 --lrr 2\n" in done.out
    assert "main | 1 --lrr 2\n" in space.flowrun("run", "p", *LOCAL, "-P", "lrr=2").out


ELSEWHERE = {
    "file of a project": (("run", "p/MLproject"), "give the directory that the file is in"),
    "step of no pipeline": (("runs", "logs", "latest", "train"), "leave the step out"),
    "command of MLflow's": (("ui",), "`flowrun runs list` and `runs show` show runs"),
}


@pytest.mark.parametrize(("words", "hint"), ELSEWHERE.values(), ids=ELSEWHERE)
def test_who_looks_in_the_wrong_place_is_told_the_right_one(
    space: Space, words: tuple[str, ...], hint: str
) -> None:
    space.write({"p/MLproject": "entry_points:\n  main: {command: echo}\n"})
    space.flowrun("run", "p", *LOCAL)
    assert hint in space.flowrun(*words, code=2).err
