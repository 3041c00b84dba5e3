# ruff: noqa: E501 - the tables hold whole lines
"""A project, an entry point and parameters to a plan."""

from __future__ import annotations

import subprocess
import sys

import pytest

from flowrun.errors import FlowrunError, PlanError, SpecError
from flowrun.plan.build import LoadedProject
from flowrun.plan.plan import CommandAction, PipelineEnd, SelectAction, SubProject
from flowrun.spec.project import ProjectCall
from tests.plan.planning import needs_of, plan_of, step_of, values_of
from tests.spec.reading import read

COMMAND = """
name: wine
entry_points:
  main:
    parameters:
      alpha: {type: float, max: 1}
      name: {type: string, default: "a b"}
      n: {type: int, default: 3}
    command: train {alpha} {name}
"""

PIPELINE = """
python_env: python_env.yaml
entry_points:
  prepare:
    parameters: {source: path}
    command: prepare {source}
    outputs: {data: data}
    env: {LEVEL: 1, A: x}
    secrets: [TOKEN]
    resources: {cpus: 2}
  train:
    parameters: {data: path, lr: float, depth: {type: int, default: 1}}
    command: train {data} {lr} {depth}
    conda_env: conda.yaml
    metrics: m.json
  main:
    parameters: {lr: {type: float, default: 0.1}}
    steps:
      best: {select: {from: train, metric: rmse, mode: min}}
      train:
        matrix: {lr: ['${{ params.lr }}', 0.5], depth: [2, 3]}
        with: {data: '${{ steps.prepare.outputs.data }}', lr: '${{ matrix.lr }}',
          depth: '${{ matrix.depth + 1 }}'}
      prepare: {with: {source: a.csv}, env: {A: y}, secrets: [OTHER]}
      check: {run: 'check {m}', with: {m: '${{ steps.best.outputs.model }}'}, needs: prepare}
"""


def test_a_command_is_a_plan_of_one_step_of_its_name() -> None:
    plan = plan_of(COMMAND, params={"alpha": "0.5"})
    assert not plan.is_pipeline
    assert (plan.project_name, plan.entry_point) == ("wine", "main")
    assert dict(plan.params) == {"alpha": "0.5", "name": "a b", "n": "3"}
    (step,) = plan.steps
    assert step.id == "main"
    assert values_of(step) == {"alpha": "0.5", "name": "a b", "n": "3"}


def test_parameters_that_a_command_does_not_declare_come_last() -> None:
    plan = plan_of(COMMAND, params={"zeta": "1", "alpha": "0.5"})
    assert list(plan.steps[0].arguments) == ["alpha", "name", "n", "zeta"]


def test_a_value_that_looks_like_an_expression_is_only_a_value() -> None:
    value = "${{ env.HOME }}"
    plan = plan_of(COMMAND, params={"alpha": "0.5", "name": value})
    assert plan.steps[0].arguments["name"].raw == value
    assert plan.steps[0].arguments["name"].is_literal


def test_an_undeclared_parameter_that_looks_misspelt_is_warned_of() -> None:
    plan = plan_of(COMMAND, params={"alpha": "0.5", "alpah": "1", "other": "1"})
    assert plan.warnings == (
        "-P alpah: 'main' declares no such parameter; it is passed on as --alpah. "
        "Did you mean 'alpha'?",
    )


ASKED = {
    "missing": ({}, "main", "entry point 'main' requires the float 'alpha': add -P alpha=..."),
    "malformed": ({"alpha": "fast"}, "main", "-P alpha: 'fast' is not a float"),
    "too large": ({"alpha": "1.5"}, "main", "-P alpha: '1.5' is more than 1"),
    "not a number": (
        {"alpha": "nan"},
        "main",
        "-P alpha: 'nan' is not a number that can be compared with its limits",
    ),
    "several": (
        {"n": "1.0", "x;y": "1"},
        "main",
        "entry point 'main' requires the float 'alpha': add -P alpha=...\n"
        "-P n: '1.0' is not an int\n"
        "-P x;y: 'x;y' can't become an option: letters, digits and _ - . : / only",
    ),
    "NUL": (
        {"alpha": "1", "name": "a\0b"},
        "main",
        "-P name: 'a\0b' holds a NUL character, which no command can take",
    ),
    "no such entry point": (
        {},
        "mian",
        "the project has no entry point 'mian'; there are: main. Did you mean 'main'?",
    ),
    "no such script": ({}, "main.py", "the project has no entry point and no file 'main.py'"),
    "script outside": ({}, "../main.py", "the project has no entry point and no file '../main.py'"),
}


@pytest.mark.parametrize(("params", "entry_point", "message"), ASKED.values(), ids=ASKED.keys())
def test_what_can_not_be_planned_is_told_at_once(
    params: dict[str, str], entry_point: str, message: str
) -> None:
    with pytest.raises(PlanError) as caught:
        plan_of(COMMAND, entry_point, params, files=("../main.py",))
    assert str(caught.value) == message


def test_a_pipeline_takes_only_its_own_parameters() -> None:
    with pytest.raises(PlanError) as caught:
        plan_of(PIPELINE, params={"rl": "1"})
    assert str(caught.value) == "-P rl: pipeline 'main' has no parameter 'rl'. It has: lr."


def test_without_a_project_file_a_script_can_be_named() -> None:
    with pytest.raises(PlanError) as caught:
        plan_of("")
    assert str(caught.value) == "the project has no entry point 'main'; it has none."
    plan = plan_of("", "a/train.py", {"x": "1"}, files=("a/train.py",))
    action = plan.steps[0].action
    assert isinstance(action, CommandAction)
    assert action.template == "python a/train.py"


def test_needs_come_from_references_and_needs_and_order_follows_them() -> None:
    assert needs_of(plan_of(PIPELINE)) == {
        "prepare": (),
        "train[lr=0.1,depth=2]": ("prepare",),
        "train[lr=0.1,depth=3]": ("prepare",),
        "train[lr=0.5,depth=2]": ("prepare",),
        "train[lr=0.5,depth=3]": ("prepare",),
        "best": (
            "train[lr=0.1,depth=2]",
            "train[lr=0.1,depth=3]",
            "train[lr=0.5,depth=2]",
            "train[lr=0.5,depth=3]",
        ),
        "check": ("prepare", "best"),
    }


def test_what_is_known_is_filled_in() -> None:
    step = step_of(plan_of(PIPELINE, params={"lr": "0.30"}), "train[lr=0.3,depth=3]")
    assert values_of(step) == {
        "data": "${{ steps.prepare.outputs.data }}",
        "lr": 0.3,
        "depth": 4,
    }


def test_select_has_its_candidates_in_matrix_order() -> None:
    action = step_of(plan_of(PIPELINE), "best").action
    assert isinstance(action, SelectAction)
    assert action.candidates == needs_of(plan_of(PIPELINE))["best"]


def test_a_step_goes_before_its_entry_point_and_that_before_the_project() -> None:
    plan = plan_of(PIPELINE)
    prepare, check = step_of(plan, "prepare"), step_of(plan, "check")
    train = step_of(plan, "train[lr=0.5,depth=2]")
    assert {name: value.raw for name, value in prepare.variables.items()} == {"LEVEL": 1, "A": "y"}
    assert prepare.secrets == ("TOKEN", "OTHER")
    assert prepare.resources.cpus == 2
    assert [step.env.path for step in (prepare, train, check) if step.env] == [
        "python_env.yaml",
        "conda.yaml",
        "python_env.yaml",
    ]
    assert train.metrics == "m.json"


def test_two_values_of_an_axis_that_come_to_the_same_are_refused() -> None:
    with pytest.raises(SpecError) as caught:
        plan_of(PIPELINE, params={"lr": "0.5"})
    assert str(caught.value) == (
        "MLproject:20:22: axis 'lr' of step 'train' has 0.5 twice, with its expressions evaluated"
    )


def test_a_computed_argument_of_the_wrong_type_is_refused_before_anything_runs() -> None:
    with pytest.raises(SpecError) as caught:
        plan_of(PIPELINE.replace("matrix.depth + 1", "matrix.depth / 2"))
    assert str(caught.value) == (
        "MLproject:22:18: '1.0' for 'depth' of step 'train' is not an int\n"
        "MLproject:22:18: '1.5' for 'depth' of step 'train' is not an int"
    )


NESTED = """
entry_points:
  fit: {parameters: {x: int, y: {type: float, default: 2}}, command: 'fit {x} {y}', outputs: {m: m}}
  inner:
    parameters: {x: {type: int, default: 1}, source: {type: string, default: none}}
    outputs: {model: '${{ steps.second.outputs.m }}'}
    steps:
      first: {run: 'load {s}', with: {s: '${{ params.source }}'}}
      second: {entry_point: fit, with: {x: '${{ params.x * 2 }}'}, needs: first, if: params.x > 0}
  main:
    parameters: {x: {type: int, default: 5}}
    steps:
      load: {run: load}
      call:
        entry_point: inner
        matrix: {k: [1, 2]}
        with: {x: '${{ params.x + matrix.k }}', source: '${{ steps.load.outputs.path }}'}
        if: always()
      after: {run: 'ls {m}', with: {m: "${{ steps.call.outputs.model | join(',') }}"}}
"""


def test_nested_pipelines_are_written_out() -> None:
    assert needs_of(plan_of(NESTED)) == {
        "load": (),
        "call[k=1]/first": ("load",),
        "call[k=1]/second": ("call[k=1]/first",),
        "call[k=1]": ("load", "call[k=1]/first", "call[k=1]/second"),
        "call[k=2]/first": ("load",),
        "call[k=2]/second": ("call[k=2]/first",),
        "call[k=2]": ("load", "call[k=2]/first", "call[k=2]/second"),
        "after": ("call[k=1]", "call[k=2]"),
    }


def test_parameters_are_known_through_nested_pipelines() -> None:
    plan = plan_of(NESTED, params={"x": "10"})
    assert values_of(step_of(plan, "call[k=2]/second")) == {"x": 24}
    assert values_of(step_of(plan, "call[k=2]/first")) == {"s": "${{ params.source }}"}


def test_a_nested_step_is_governed_by_its_callers_conditions() -> None:
    step = step_of(plan_of(NESTED), "call[k=1]/second")
    assert [value.raw for value, _ in step.conditions] == ["always()", "params.x > 0"]
    assert (step.caller, step_of(plan_of(NESTED), "call[k=1]").caller) == ("call[k=1]", "")


def test_the_end_of_a_nested_pipeline_has_its_results() -> None:
    action = step_of(plan_of(NESTED), "call[k=1]").action
    assert isinstance(action, PipelineEnd)
    assert [value.raw for value in action.results.values()] == ["${{ steps.second.outputs.m }}"]


OTHER = """
entry_points:
  main:
    parameters: {columns: string, rows: {type: int, default: 1}}
    command: features {columns} {rows}
    outputs: {table: t.csv}
  pipe:
    outputs: {table: '${{ steps.a.outputs.t }}'}
    steps: {a: {run: a, outputs: {t: t}}}
odd: 1
"""
CALLER = """
entry_points:
  main:
    steps:
      features: {project: ../features, version: v1, with: {columns: a}}
      fit: {run: 'fit {t}', with: {t: '${{ steps.features.outputs.table }}'}}
"""


def _load_other(call: ProjectCall, caller: str) -> LoadedProject:
    assert (call.uri, call.version, caller) == ("../features", "v1", "")
    sub = SubProject("f@1", "file:///features", "v1", "1" * 40, "2" * 40)
    return LoadedProject(read(OTHER), sub, lambda name: name == "x.py")


def test_a_step_can_be_another_project() -> None:
    plan = plan_of(CALLER, load=_load_other)
    assert needs_of(plan) == {"features": (), "fit": ("features",)}
    assert step_of(plan, "features").project == "f@1"
    assert list(plan.sub_projects) == ["f@1"]
    assert plan.warnings == (
        "../features: MLproject:9:1: the project has no key 'odd': it is ignored, as in MLflow. "
        "Known are: name, python_env, conda_env, docker_env, databricks_spark_job, entry_points, "
        "executor.",
    )


def test_a_pipeline_of_another_project_is_written_out() -> None:
    plan = plan_of(CALLER.replace("with: {columns: a}", "entry_point: pipe"), load=_load_other)
    assert list(needs_of(plan)) == ["features/a", "features", "fit"]
    assert {step.id: step.project for step in plan.steps} == {
        "features/a": "f@1",
        "features": "f@1",
        "fit": "",
    }


def test_a_script_of_another_project_can_be_called() -> None:
    plan = plan_of(CALLER.replace("with: {columns: a}", "entry_point: x.py"), load=_load_other)
    action = step_of(plan, "features").action
    assert isinstance(action, CommandAction)
    assert action.template == "python x.py"


CALLS = {
    "missing parameter": (
        ", with: {columns: a}",
        "",
        "MLproject:4:7: step 'features' gives no 'columns' in its 'with', which entry point 'main' requires",
    ),
    "wrong type": (
        "columns: a",
        "columns: a, rows: x",
        "MLproject:4:78: 'x' for 'rows' of step 'features' is not an int",
    ),
    "unknown entry point": (
        "with: {columns: a}",
        "entry_point: pip",
        "MLproject:4:27: step 'features' calls 'pip', which is no entry point of ../features; there are: main, pipe. Did you mean 'pipe'?",
    ),
    "misspelt output": (
        "outputs.table",
        "outputs.tabel",
        "MLproject:5:39: step 'fit': steps.features.outputs.tabel: step 'features' declares no output 'tabel'. Did you mean 'table'?",
    ),
}


@pytest.mark.parametrize(("old", "new", "message"), CALLS.values(), ids=CALLS.keys())
def test_a_wrong_call_of_another_project_is_told_in_place(old: str, new: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        plan_of(CALLER.replace(old, new), load=_load_other)
    assert str(caught.value).splitlines()[0] == message


def test_projects_that_call_each_other_without_end_are_refused() -> None:
    def load(call: ProjectCall, _: str) -> LoadedProject:
        text = "entry_points: {main: {steps: {back: {project: back}}}}"
        return LoadedProject(read(text), SubProject("k", call.uri, None, None, "1"), bool)

    with pytest.raises(PlanError) as caught:
        plan_of("entry_points: {main: {steps: {on: {project: on}}}}", load=load)
    assert str(caught.value) == (
        "MLproject:1:31: pipelines call each other without end: main -> main -> main"
    )


def test_a_script_that_is_not_there_is_told_in_place() -> None:
    with pytest.raises(SpecError) as caught:
        plan_of("entry_points: {main: {steps: {a: {entry_point: a.py}}}}")
    assert str(caught.value) == (
        "MLproject:1:48: step 'a' calls 'a.py', which is neither an entry point nor a file of "
        "the project"
    )


@pytest.mark.slow
def test_pipelines_that_multiply_without_measure_are_refused() -> None:
    lines = [
        f"  p{n}: {{steps: {{a: {{entry_point: p{n + 1}}}, b: {{entry_point: p{n + 1}}}}}}}"
        for n in range(25)
    ]
    text = "entry_points:\n" + "\n".join(lines) + "\n  p25: {command: ls}\n"
    with pytest.raises(FlowrunError, match="the plan has more than 100,000 steps"):
        plan_of(text, "p0")


def test_a_chain_of_a_thousand_steps_is_no_problem() -> None:
    lines = [f"      s{n}: {{run: ls, needs: s{n + 1}}}" for n in range(1000)]
    text = "entry_points:\n  main:\n    steps:\n" + "\n".join(lines) + "\n      s1000: {run: ls}\n"
    plan = plan_of(text)
    assert [step.id for step in plan.steps[:2]] == ["s1000", "s999"]


def test_what_a_plan_does_not_use_is_not_imported() -> None:
    code = (
        "import sys; from tests.plan import test_build as t; t.plan_of(t.COMMAND, params={'alpha': '1'});"
        "print([m for m in ('jinja2', 'networkx', 'pydantic', 'sqlalchemy', 'git') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
