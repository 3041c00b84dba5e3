"""A pipeline with a step in a conda environment, from a channel in a folder."""

from __future__ import annotations

import shutil
from importlib.metadata import version

import pytest

from tests.support.conda_channel import CondaChannel, installed_package, python_package
from tests.support.conda_channels import NAME, generic
from tests.support.space import Space

pytestmark = [pytest.mark.conda, pytest.mark.slow]
PIPELINE = """
name: mixed
entry_points:
  prepare:
    command: "echo 21 > number.txt"
    outputs: {number: number.txt}
  double:
    conda_env: envs/conda.yaml
    parameters: {number: path}
    command: "python double.py {number}"
    outputs: {doubled: doubled.txt}
  main:
    steps:
      prepare: {python_env: envs/python_env.yaml}
      double: {with: {number: "${{ steps.prepare.outputs.number }}"}}
"""
CONDA = """
channels: [tests]
dependencies: [python, click, markupsafe, demo-lib]
variables: {FACTOR: 2}
"""
DOUBLE = """
import os, pathlib, sys
import click, flowrun, markupsafe._speedups
prefix = pathlib.Path(os.environ["CONDA_PREFIX"])
assert sys.prefix == str(prefix) and click.__file__.startswith(str(prefix))
doubled = int(open(sys.argv[1]).read()) * int(os.environ["FACTOR"])
flowrun.log_metric("doubled", doubled)
pathlib.Path("doubled.txt").write_text(str(doubled))
print("lib", (prefix / "share/demo-lib/version.txt").read_text())
"""
SKINNY = f"mlflow-skinny=={version('mlflow-skinny')}"
LOG = """
import os
import flowrun, mlflow
assert mlflow.__file__.startswith(os.environ["CONDA_PREFIX"])
flowrun.log_metric("light", 2)
with mlflow.start_run():
    mlflow.log_metric("genuine", 1)
"""
LIB = generic("demo-lib", "2.0")


@pytest.fixture
def channel(space: Space) -> CondaChannel:
    found = CondaChannel(space.path / "channels" / NAME)
    found.add(python_package(), installed_package("click"), installed_package("markupsafe"), LIB)
    return found


@pytest.fixture
def project(space: Space, channel: CondaChannel) -> Space:
    files = {
        "MLproject": PIPELINE,
        "envs/conda.yaml": CONDA,
        "envs/python_env.yaml": "",
        "double.py": DOUBLE,
    }
    space.repository("project", files)
    alias = channel.folder.parent.as_uri()
    return Space(space.path, {**space.variables, "FLOWRUN_CONDA_CHANNEL_ALIAS": alias})


def test_step_runs_in_its_conda_environment_the_second_time_without_any_channel(
    project: Space, channel: CondaChannel
) -> None:
    project.flowrun("run", "project")
    run = project.run_of("double")
    assert run["metrics"]["doubled"] == 42
    assert run["tags"]["mlflow.project.env"] == "conda"
    assert run["tags"]["flowrun.env.backend"] == "conda"
    locks = [path.read_text() for path in project.home.rglob("flowrun/environments/*.lock")]
    (lock,) = [text for text in locks if "- conda: " in text]
    assert "/noarch/demo-lib-2.0-0.conda" in lock
    shutil.rmtree(channel.folder)
    project.flowrun("run", "project", "--no-cache")
    again = project.run_of("double")
    assert again["run_id"] != run["run_id"]
    assert again["tags"]["flowrun.env.key"] == run["tags"]["flowrun.env.key"]


def test_step_logs_with_the_genuine_client_and_the_light_one_the_second_time_offline(
    project: Space, channel: CondaChannel
) -> None:
    project.write(
        {
            "p/MLproject": "conda_env: conda.yaml\nentry_points: {main: {command: python log.py}}",
            "p/conda.yaml": f"channels: [tests]\ndependencies: [python, {{pip: [{SKINNY}]}}]",
            "p/log.py": LOG,
        }
    )
    project.flowrun("run", "p")
    shutil.rmtree(channel.folder)
    project.flowrun("run", "p", UV_OFFLINE="1")
    first, second = project.runs()
    for run in (first, second):
        assert run["metrics"] == {"genuine": 1, "light": 2}
        assert run["tags"]["flowrun.env.backend"] == "conda"
    assert first["tags"]["flowrun.env.key"] == second["tags"]["flowrun.env.key"]


def test_run_with_a_changed_archive_ends_with_exit_code_3(
    project: Space, channel: CondaChannel
) -> None:
    archive = channel.path(LIB)
    archive.write_bytes(archive.read_bytes()[:-1] + b"!")
    done = project.flowrun("run", "project", code=3)
    assert "demo-lib-2.0-0.conda is not the package that it should be: its sha256 is" in done.text
    assert project.run_of("double")["status"] == "FAILED"
    assert not list(project.home.rglob("envs/*/conda-meta"))
