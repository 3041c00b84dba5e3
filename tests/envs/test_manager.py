"""Which manager is used, and what is said of those that are not there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from flowrun.envs import backends
from flowrun.envs.manager import choose_manager
from flowrun.envs.virtualenv import VirtualenvBackend
from flowrun.errors import EnvError, FlowrunError, SpecError, UsageError
from flowrun.spec.project import DockerSpec, EnvKind, EnvSpec, Mark
from tests.envs.conftest import EnvSpace, conda_env, python_env

DOCKER = EnvSpec(EnvKind.DOCKER, Mark("MLproject", 4, 1), docker=DockerSpec("python:3.12"))


@dataclass(frozen=True)
class Refused:
    spec: EnvSpec | None
    manager: str | None
    error: type[FlowrunError]
    message: str


REFUSED = {
    "conda for another description": Refused(
        python_env("p.yaml"),
        "conda",
        EnvError,
        "MLproject:3:13: python_env.yaml can't be made with conda, which takes a conda.yaml.\n"
        "Use --env-manager virtualenv or local.",
    ),
    "unknown": Refused(
        None,
        "poetry",
        UsageError,
        "There is no environment manager 'poetry'.\nChoose local, virtualenv, uv or conda.",
    ),
    "python_env without its file": Refused(
        python_env(),
        None,
        SpecError,
        "MLproject:3:13: python_env: there is no file 'python_env.yaml'.",
    ),
    "conda_env without its file": Refused(
        conda_env("envs/gpu.yaml"),
        "uv",
        SpecError,
        "MLproject:3:12: conda_env: there is no file 'envs/gpu.yaml'.",
    ),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_what_can_not_be_had_is_told_before_anything_runs(case: Refused, space: EnvSpace) -> None:
    space.write({"conda.yaml": "dependencies: []", "p.yaml": ""})
    with pytest.raises(case.error) as error:
        space.check(case.spec, case.manager)
    assert str(error.value) == case.message


DEFAULTS = {
    "conda_env": (conda_env(), "conda"),
    "a conda.yaml without a key": (None, "conda"),
    "python_env": (python_env("p.yaml"), "virtualenv"),
}


@pytest.mark.parametrize(("spec", "manager"), DEFAULTS.values(), ids=DEFAULTS)
def test_project_decides_on_its_manager(
    spec: EnvSpec | None, manager: str, space: EnvSpace
) -> None:
    space.write({"conda.yaml": "dependencies: []", "p.yaml": ""})
    assert choose_manager(space.request(spec), None) == manager


@pytest.mark.parametrize("manager", [None, "local", "virtualenv"])
def test_a_docker_env_is_dockers_whatever_manager_python_has(
    space: EnvSpace, manager: str | None
) -> None:
    assert choose_manager(space.request(DOCKER), manager) == "docker"


def test_local_manager_takes_any_python_description(space: EnvSpace) -> None:
    space.check(conda_env("no-such-file.yaml"), "local")
    assert space.ensure(python_env("no-such-file.yaml"), "local").backend == "local"


def test_manager_of_another_distribution_is_found_by_its_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "other-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[flowrun.envs]\nother = flowrun.envs.virtualenv:VirtualenvBackend\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert backends.load("other") is VirtualenvBackend
