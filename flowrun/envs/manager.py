"""Which manager makes an environment, and from which file of the project."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import assert_never

from flowrun.envs.base import EnvRequest
from flowrun.errors import EnvError, Problem, SpecError
from flowrun.spec.project import EnvKind, Mark
from flowrun.valueclass import valueclass

CONDA = "conda"
DOCKER = "docker"
LOCAL = "local"
VIRTUALENV = "virtualenv"
_SAME_AS_VIRTUALENV = {"uv", VIRTUALENV}


class Form(Enum):
    """The ways to describe a Python environment in a file."""

    PYTHON_ENV = "python_env.yaml"
    CONDA = "conda.yaml"
    UV_LOCK = "uv.lock"
    PYPROJECT = "pyproject.toml"
    REQUIREMENTS = "requirements.txt"
    BARE = "no environment file"


@valueclass
class Description:
    """The file that describes an environment; for BARE there is none."""

    form: Form
    path: Path
    label: str
    """As people know it: relative to the project's directory."""


def choose_manager(request: EnvRequest, manager: str | None) -> str:
    """Return the name of the manager: `docker`, `local`, `virtualenv` or a backend's.

    A `docker_env` is always Docker's, whatever manager is asked for: that is about Python.

    Raises:
        EnvError: it takes conda for what is described in another way.
    """
    spec, manager = request.spec, request.manager or manager
    where = f"{spec.mark}: " if spec.mark else ""
    if spec.kind is EnvKind.DOCKER:
        return DOCKER
    if manager is None:
        return CONDA if describe(request).form is Form.CONDA else VIRTUALENV
    if manager == CONDA and (form := describe(request).form) not in {Form.CONDA, Form.BARE}:
        raise EnvError(
            f"{where}{form.value} can't be made with conda, which takes a conda.yaml.",
            "Use --env-manager virtualenv or local.",
        )
    return VIRTUALENV if manager in _SAME_AS_VIRTUALENV else manager


def describe(request: EnvRequest) -> Description:
    """Return which file describes the environment; MLflow's order first, then flowrun's additions.

    Raises:
        SpecError: the file that the project names is not there.
    """
    match request.spec.kind:
        case EnvKind.PYTHON:
            label = _existing(request)
            return Description(_form_of_name(label), request.directory / label, label)
        case EnvKind.CONDA:
            label = _existing(request)
            return Description(Form.CONDA, request.directory / label, label)
        case EnvKind.IMPLIED | EnvKind.DOCKER:
            return _implied(request.directory)
        case _:
            assert_never(request.spec.kind)


def _implied(directory: Path) -> Description:
    for form in (Form.PYTHON_ENV, Form.CONDA, Form.UV_LOCK, Form.PYPROJECT):
        path = directory / form.value
        if path.is_file():
            return Description(form, path, form.value)
    return Description(Form.BARE, directory, Form.BARE.value)


def _form_of_name(name: str) -> Form:
    base = Path(name).name
    if base == Form.UV_LOCK.value:
        return Form.UV_LOCK
    if base == Form.PYPROJECT.value:
        return Form.PYPROJECT
    return Form.REQUIREMENTS if base.endswith((".txt", ".in")) else Form.PYTHON_ENV


def _existing(request: EnvRequest) -> str:
    spec = request.spec
    mark = spec.mark or Mark("MLproject", 1, 1)
    name = spec.path or spec.kind.value + ".yaml"
    if not (request.directory / name).is_file():
        raise SpecError(
            [Problem(mark.file, mark.line, mark.column, f"{spec.kind}: there is no file '{name}'.")]
        )
    return name
