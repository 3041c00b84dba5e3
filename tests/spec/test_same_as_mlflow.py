# ruff: noqa: E501 - the tables hold whole lines
"""The genuine MLflow reads the same files to the same commands.

The texts are the forms of MLflow's own examples and test resources.
"""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from flowrun.plan.build import LoadedProject, build_plan
from flowrun.plan.command import command_line
from flowrun.plan.plan import CommandAction
from flowrun.spec.load import load_project
from tests.plan.planning import no_project

pytestmark = pytest.mark.slow

CASES: dict[str, tuple[str, str, dict[str, str], str]] = {
    "sklearn_elasticnet_wine": (
        "name: tutorial\n\npython_env: python_env.yaml\n\nentry_points:\n  main:\n    parameters:\n"
        "      alpha: {type: float, default: 0.5}\n      l1_ratio: {type: float, default: 0.1}\n"
        '    command: "python train.py {alpha} {l1_ratio}"\n',
        "main",
        {"alpha": "0.3"},
        "python train.py 0.3 0.1",
    ),
    "hyperparam, long form": (
        "name: HyperparameterSearch\npython_env: python_env.yaml\nentry_points:\n  train:\n    parameters:\n"
        "      training_data: {type: string, default: '../wine-quality.csv'}\n"
        "      epochs: {type: int, default: 32}\n      momentum: {type: float, default: .0}\n"
        "      seed: {type: int, default: 97531}\n"
        '    command: "python train.py {training_data}\n                    --epochs {epochs}\n'
        '                    --momentum {momentum} --seed {seed}"\n',
        "train",
        {},
        "python train.py ../wine-quality.csv --epochs 32 --momentum 0.0 --seed 97531",
    ),
    "multistep workflow, string types": (
        "name: multistep_example\nentry_points:\n  load_raw_data:\n    command: 'python load_raw_data.py'\n"
        "  als:\n    parameters:\n      ratings_data: string\n      max_iter: {type: int, default: 10}\n"
        "      reg_param: {type: float, default: 0.1}\n"
        "    command: 'python als.py --ratings-data {ratings_data} --max-iter {max_iter} --reg-param {reg_param}'\n",
        "als",
        {"ratings_data": "two words"},
        "python als.py --ratings-data 'two words' --max-iter 10 --reg-param 0.1",
    ),
    "parameters beyond the declared": (
        "entry_points:\n  main:\n    parameters: {a: {default: 1}}\n    command: 'python x.py {a}'\n",
        "main",
        {"extra": "v w", "more-x": ""},
        "python x.py 1 --extra 'v w' --more-x ''",
    ),
    "declared but not used": (
        "entry_points:\n  main:\n    parameters: {a: {default: 1}, b: {default: 2}}\n    command: 'ls {b}'\n",
        "main",
        {"a": "7"},
        "ls 2",
    ),
    "defaults as yaml sees them": (
        "entry_points:\n  main:\n    parameters:\n      a: {default: true}\n      b: {default: 0.10}\n"
        "      c: {default: ''}\n      d: {default: 1e5}\n      e: {default: [1, x]}\n"
        "    command: 'x {a} {b} {c} {d} {e}'\n",
        "main",
        {},
        "x True 0.1 '' 1e5 '[1, '\"'\"'x'\"'\"']'",
    ),
    "braces and shell": (
        "entry_points:\n  main:\n    parameters: {a: {default: 1}}\n"
        "    command: \"echo ${{HOME}} | awk '{{print $1}}' && echo {a}\"\n",
        "main",
        {},
        "echo ${HOME} | awk '{print $1}' && echo 1",
    ),
    "padding": (
        "entry_points:\n  main:\n    parameters: {a: {default: ab}}\n    command: 'x {a:>5} {a!s:<4}|'\n",
        "main",
        {},
        "x    ab ab  |",
    ),
    "quoted placeholder, plain value": (
        "entry_points:\n  main:\n    parameters: {a: string}\n    command: 'x \"{a}\" {a}'\n",
        "main",
        {"a": "two words"},
        "x \"'two words'\" 'two words'",
    ),
    "script in python": ("name: x\n", "my script.py", {"a": "1"}, "python 'my script.py' --a 1"),
    "script in R": (
        "name: x\n",
        "train.R",
        {"a": "1"},
        "Rscript -e \"mlflow::mlflow_source('train.R')\" --args --a 1",
    ),
    "unknown keys": (
        "name: x\nauthor: me\nentry_points:\n  main: {command: ls, help: me, parameters: {a: {default: 1, help: x}}}\n",
        "main",
        {},
        "ls",
    ),
    "uri and path types": (
        "entry_points:\n  main:\n    parameters: {a: uri, b: {type: uri, default: 's3://x/y'}}\n"
        "    command: 'cat {a} {b}'\n",
        "main",
        {"a": "http://h/x?y=1"},
        "cat 'http://h/x?y=1' s3://x/y",
    ),
    "extended with steps": (
        "entry_points:\n  fit: {command: 'fit {lr}', parameters: {lr: {default: 1}}, outputs: {model: m},\n"
        "    resources: {cpus: 1}}\n  main: {steps: {fit: {with: {lr: 2}}}}\n",
        "fit",
        {},
        "fit 1",
    ),
}


@pytest.mark.parametrize(
    ("text", "entry_point", "params", "command"), CASES.values(), ids=CASES.keys()
)
def test_makes_the_command_that_mlflow_makes(
    tmp_path: Path, text: str, entry_point: str, params: dict[str, str], command: str
) -> None:
    (tmp_path / "MLproject").write_text(text)
    (tmp_path / "python_env.yaml").write_text("dependencies: []\n")
    if entry_point.endswith((".py", ".R")):
        (tmp_path / entry_point).write_text("")
    mlflow = importlib.import_module("mlflow.projects._project_spec").load_project(str(tmp_path))
    theirs = mlflow.get_entry_point(entry_point).compute_command(dict(params), None)
    ours = _command(tmp_path, entry_point, params)
    assert ours == command
    assert theirs == command


def _command(directory: Path, entry_point: str, params: dict[str, str]) -> str:
    loaded = LoadedProject(load_project(directory), None, lambda name: (directory / name).is_file())
    plan = build_plan(loaded, entry_point, params, load=no_project)
    assert not plan.is_pipeline
    (step,) = plan.steps
    assert isinstance(step.action, CommandAction)
    return command_line(
        step.action, {name: str(value.raw) for name, value in step.arguments.items()}
    )
