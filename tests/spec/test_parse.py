"""What a well-formed file says."""

from __future__ import annotations

import pytest

from flowrun.spec.project import (
    EXACT,
    BuildSpec,
    DockerSpec,
    EntryPointCall,
    EnvKind,
    Evaluate,
    InlineCommand,
    MetricTolerance,
    MountSpec,
    MountType,
    OutputType,
    ParameterType,
    ProjectCall,
    Promote,
    Register,
    Resources,
    Select,
    Tolerance,
)
from flowrun.spec.references import steps_before
from tests.spec.reading import read

EMPTY = {"nothing": "", "a comment": "# nothing\n", "null": "~", "no entry points": "name: x\n"}


@pytest.mark.parametrize("text", EMPTY.values(), ids=EMPTY.keys())
def test_an_empty_file_has_no_entry_points(text: str) -> None:
    project = read(text)
    assert dict(project.entry_points) == {}
    assert project.warnings == ()


def test_empty_parameters_are_none() -> None:
    assert (
        dict(
            read("entry_points: {main: {parameters: , command: ls}}")
            .entry_points["main"]
            .parameters
        )
        == {}
    )


DEFAULTS = {
    "number": ("0.10", "0.1"),
    "yes": ("true", "True"),
    "text": ("abc", "abc"),
    "empty text": ("''", ""),
    "date": ("2020-01-02", "2020-01-02"),
    "exponent without point": ("1e-3", "1e-3"),
    "octal": ("010", "8"),
    "list": ("[1, a]", "[1, 'a']"),
    "null": ("null", None),
    "nothing": ("", None),
}


@pytest.mark.parametrize(("written", "default"), DEFAULTS.values(), ids=DEFAULTS.keys())
def test_a_default_is_the_text_that_mlflow_makes_of_it(written: str, default: str | None) -> None:
    project = read(
        f"entry_points: {{main: {{parameters: {{a: {{default: {written}}}}}, command: ls}}}}"
    )
    parameter = project.entry_points["main"].parameters["a"]
    assert (parameter.default, parameter.type) == (default, ParameterType.STRING)


def test_a_parameter_can_do_without_its_check() -> None:
    a = "{type: float, default: x, check: false}"
    project = read(f"entry_points: {{main: {{parameters: {{a: {a}}}, command: ls}}}}")
    assert project.entry_points["main"].parameters["a"].default == "x"


ENVS = {
    "none": ("name: a", EnvKind.IMPLIED, None),
    "python": ("python_env: p.yaml", EnvKind.PYTHON, "p.yaml"),
    "conda": ("conda_env: envs/./c.yaml", EnvKind.CONDA, "envs/c.yaml"),
}


@pytest.mark.parametrize(("text", "kind", "path"), ENVS.values(), ids=ENVS.keys())
def test_a_project_names_its_environment(text: str, kind: EnvKind, path: str | None) -> None:
    env = read(text).env
    assert (env.kind, env.path) == (kind, path)


def test_docker_environment_forms() -> None:
    env = read(
        """
        docker_env:
          image: team/image:1
          volumes: ["/a:/b"]
          environment: [HOME, [LEVEL, 3], ["FLAG", true]]
        """
    ).env
    assert env.docker == DockerSpec(
        "team/image:1", ("/a:/b",), ("HOME", ("LEVEL", "3"), ("FLAG", "True"))
    )


DOCKER = """
docker_env:
  build:
    context: docker
    dockerfile: gpu.Dockerfile
    args: {BASE: "python:3.12", N: 1}
    target: run
  user: 1000
  gpus: [0, 1]
  network: bridge
  platform: linux/arm64/v8
  shm_size: 2GiB
  mounts:
    - {source: ~/data, target: /data, read_only: true}
    - {type: volume, source: cache, target: /cache}
    - {type: tmpfs, target: /fast, size: 64MiB}
"""


def test_what_a_container_is_built_from_and_given() -> None:
    assert read(DOCKER).env.docker == DockerSpec(
        "",
        build=BuildSpec(
            "docker", "gpu.Dockerfile", (("BASE", "python:3.12"), ("N", "1")), target="run"
        ),
        user="1000",
        gpus="device=0,1",
        network="bridge",
        platform="linux/arm64/v8",
        shm_size_bytes=2 << 30,
        mounts=(
            MountSpec(MountType.BIND, "/data", "~/data", is_read_only=True),
            MountSpec(MountType.VOLUME, "/cache", "cache"),
            MountSpec(MountType.TMPFS, "/fast", size_bytes=64 << 20),
        ),
    )


BUILDS = {
    "a directory": ("docker", BuildSpec("docker")),
    "the project": (".", BuildSpec()),
    "the project, as a key": ("{context: .}", BuildSpec()),
    "nothing but the stage": ("{target: run}", BuildSpec(target="run")),
    "with arguments of the caller's": (
        "{args: [BASE, [N, 1]]}",
        BuildSpec(args=("BASE", ("N", "1"))),
    ),
}


@pytest.mark.parametrize(("text", "build"), BUILDS.values(), ids=BUILDS.keys())
def test_an_image_is_built_from_a_directory(text: str, build: BuildSpec) -> None:
    docker = read(f"docker_env: {{build: {text}}}").env.docker
    assert docker is not None
    assert docker.build == build


@pytest.mark.parametrize("gpus", ["all", "2", "device=0"])
def test_gpus_may_be_written_as_on_dockers_command_line(gpus: str) -> None:
    docker = read(f"docker_env: {{image: a, gpus: {gpus}}}").env.docker
    assert docker is not None
    assert docker.gpus == gpus


def test_an_entry_point_says_what_it_runs_in_and_leaves() -> None:
    entry_point = read(
        """
        entry_points:
          train:
            conda_env: conda.yaml
            parameters: {data: path, lr: {type: float, default: 1, min: 0, max: 2.5}}
            command: train {data}
            metrics: out/metrics.json
            outputs: {model: {path: model/, type: model}, report: report.html}
            resources: {cpus: 0.5, memory: 1.5 GiB}
            env: {LEVEL: 3}
            secrets: TOKEN
            executor: local
        """
    ).entry_points["train"]
    assert entry_point.env is not None
    assert entry_point.env.path == "conda.yaml"
    lr = entry_point.parameters["lr"]
    assert (lr.type, lr.default, lr.minimum, lr.maximum) == (ParameterType.FLOAT, "1", 0, 2.5)
    assert [(o.name, o.path, o.type) for o in entry_point.outputs.values()] == [
        ("model", "model", OutputType.MODEL),
        ("report", "report.html", OutputType.PATH),
    ]
    assert entry_point.resources == Resources(0.5, 3 * 2**29, cpu_limit=0.5)
    assert entry_point.variables["LEVEL"].raw == 3
    assert entry_point.secrets == ("TOKEN",)


SIZES = {
    "5": 5,
    "5B": 5,
    "2KB": 2000,
    "2KiB": 2048,
    "1.5 MiB": 3 * 2**19,
    "1GB": 10**9,
    "1TiB": 2**40,
}


@pytest.mark.parametrize(("text", "size"), SIZES.items(), ids=SIZES.keys())
def test_memory_has_binary_and_decimal_units(text: str, size: int) -> None:
    project = read(f"entry_points: {{main: {{command: ls, resources: {{memory: {text}}}}}}}")
    assert project.entry_points["main"].resources == Resources(memory_bytes=size)


def test_each_kind_of_step() -> None:
    steps = (
        read(
            """
        entry_points:
          prepare: {command: ls}
          main:
            steps:
              prepare:
              again: {entry_point: prepare, needs: prepare}
              script: {entry_point: scripts/run.py}
              train: {run: 'fit {x}', with: {x: '${{ matrix.x }}'}, matrix: {x: [1, 2.5, a]}}
              best: {select: {from: train, metric: rmse, mode: max}}
              score: {project: 'https://h/t.git#sub', version: 1.10, entry_point: nightly}
              register: {register: {name: wine, model: '${{ steps.best.outputs.model }}'}}
              promote:
                promote:
                  {name: wine, version: '${{ steps.register.outputs.version }}', to: Production}
                if: champion is none
                continue_on_error: true
        """
        )
        .entry_points["main"]
        .steps
    )
    actions = [step.action for step in steps.values()]
    assert isinstance(actions[0], EntryPointCall)
    assert actions[0].entry_point.text == "prepare"
    assert isinstance(actions[2], EntryPointCall)
    assert actions[3] == InlineCommand("fit {x}")
    assert steps["train"].fan is not None
    assert steps["train"].fan.matrix["x"].raw == (1, 2.5, "a")
    assert isinstance(actions[4], Select)
    assert (actions[4].step.text, actions[4].metric, actions[4].mode) == ("train", "rmse", "max")
    assert isinstance(actions[5], ProjectCall)
    assert (actions[5].uri, actions[5].version, actions[5].entry_point) == (
        "https://h/t.git#sub",
        "1.10",
        "nightly",
    )
    assert isinstance(actions[6], Register)
    assert isinstance(actions[7], Promote)
    assert steps["promote"].condition is not None
    assert steps["promote"].continue_on_error
    assert [need.text for need in steps["again"].needs] == ["prepare"]


USE = "u: {run: 'x {v}', with: {v: \"${{ %s }}\"}}"
ALLOWED = {
    "undeclared small value": USE % "steps.a.outputs.anything",
    "name with a slash": USE % "steps.a.metrics['val/loss']",
    "name with a hyphen": "a-b: {run: x}\n      " + USE % "steps['a-b'].run_id",
    "list through a filter": "m: {run: x, matrix: {i: [1]}}\n      "
    + USE % "steps.m.metrics.r | min",
    "shell variable": "b: {run: 'echo ${{HOME}} ${{X:-1}}'}",
    "yaml's booleans as names": "on: {run: x}\n      c: {run: x, needs: [on]}",
    "condition that is a constant": "b: {run: x, if: false}",
    "text methods": "b: {run: x, if: \"params.p.lower().startswith('a')\"}",
}


@pytest.mark.parametrize("step", ALLOWED.values(), ids=ALLOWED.keys())
def test_is_allowed(step: str) -> None:
    text = "entry_points:\n  main:\n    parameters: {p: string}\n    steps:\n      a: {run: x}\n"
    assert read(f"{text}      {step}\n").warnings == ()


def test_steps_may_come_from_an_anchor() -> None:
    steps = (
        read(
            """
        entry_points:
          main:
            steps:
              a: &base {run: 'x {v}', with: {v: 1}, resources: {cpus: 2}}
              b: {<<: *base, with: {v: 2}}
        """
        )
        .entry_points["main"]
        .steps
    )
    assert steps["b"].resources == Resources(2.0, 0, cpu_limit=2.0)
    assert steps["b"].arguments["v"].raw == 2


TOLERANT = """\
entry_points:
  main:
    command: ls
    outputs:
      plain: a.txt
      table: {path: b.csv, rtol: 1e-6, atol: 0.5, ignore: ["#time", "*.log"]}
    metrics: {path: m.json, rtol: 0.1, ignore: [seconds], repeat: 3, each: {rmse: {atol: 2}}}
  logged: {command: ls, metrics: {ignore: "a*"}}
  file: {command: ls, metrics: m.json}
"""


def test_tolerances_of_outputs_and_metrics_are_read() -> None:
    project = read(TOLERANT)
    main = project.entry_points["main"]
    assert main.outputs["plain"].tolerance == EXACT
    assert main.outputs["table"].tolerance == Tolerance(1e-6, 0.5, ("#time", "*.log"))
    assert main.metrics == "m.json"
    assert main.metric_tolerance == MetricTolerance(
        Tolerance(0.1, ignore=("seconds",)), {"rmse": Tolerance(atol=2.0)}, 3
    )
    logged = project.entry_points["logged"]
    assert (logged.metrics, logged.metric_tolerance) == (
        None,
        MetricTolerance(Tolerance(ignore=("a*",))),
    )
    assert project.entry_points["file"].metric_tolerance is None


EVALUATED = """\
entry_points:
  main:
    parameters: {least: {type: float, default: 0.9}}
    steps:
      train: {run: ls, outputs: {model: {path: m, type: model}}}
      check:
        evaluate:
          model: "${{ steps.train.outputs.model }}"
          data: test.csv
          type: classifier
          target: label
          positive: 1
          k: 5
          baseline: models:/wine@champion
          metrics: [accuracy, own.py:cost]
          slices: [colour, {by: age, bins: 4}, {by: size, bins: [1, 2.5]}]
          thresholds:
            accuracy: {min: "${{ params.least }}", better_than_champion_by: 1%}
            cost: {max: 3, higher_is_better: false}
        python_env: other.yaml
        timeout: 5m
"""


def test_what_an_evaluate_asks_for_becomes_options_of_a_command() -> None:
    step = read(EVALUATED).entry_points["main"].steps["check"]
    assert isinstance(step.action, Evaluate)
    assert {name: value.raw for name, value in step.action.arguments.items()} == {
        "model": "${{ steps.train.outputs.model }}",
        "data": "test.csv",
        "type": "classifier",
        "target": "label",
        "positive": 1,
        "k": 5,
        "metrics": '["accuracy", "own.py:cost"]',
        "slices": '["colour", {"by": "age", "bins": 4}, {"by": "size", "bins": [1, 2.5]}]',
        "threshold.accuracy.min": "${{ params.least }}",
        "threshold.accuracy.better_than_champion_by": "1%",
        "threshold.cost.max": 3,
        "threshold.cost.higher_is_better": False,
    }
    assert step.action.baseline is not None
    assert step.action.baseline.raw == "models:/wine@champion"
    assert step.attempts.timeout_s == 300
    assert steps_before(step) == ("train",)
