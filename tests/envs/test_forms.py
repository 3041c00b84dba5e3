"""Every form in which a project may describe its Python environment, built for real."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from flowrun.spec.project import EnvSpec
from tests.envs.conftest import EnvSpace, conda_env, python_env, run
from tests.envs.wheels import write_package, write_wheel


@dataclass(frozen=True)
class Form:
    files: Mapping[str, str]
    packages: str
    """What is installed: name==version, sorted."""
    spec: EnvSpec | None = None
    manager: str | None = None


FORMS = {
    "no file at all": Form({}, ""),
    "python_env.yaml without a key in MLproject": Form(
        {"python_env.yaml": "dependencies: [alpha]"}, "alpha==2.0"
    ),
    "python_env names another file": Form(
        {"envs/train.yaml": "dependencies: [alpha==1.0]"},
        "alpha==1.0",
        python_env("envs/train.yaml"),
    ),
    "empty python_env.yaml": Form({"python_env.yaml": ""}, ""),
    "keys without values": Form(
        {"python_env.yaml": "python:\nbuild_dependencies:\ndependencies:\n"}, ""
    ),
    "build dependencies are installed too": Form(
        {"python_env.yaml": "build_dependencies: [beta]\ndependencies: [alpha]"},
        "alpha==1.0 beta==1.0",
    ),
    "included requirements and constraints": Form(
        {
            "python_env.yaml": "dependencies: ['-r deps/requirements.txt']",
            "deps/requirements.txt": "# ours\n-r more.txt  # beside this file\n-c limits.txt\n",
            "deps/more.txt": "alpha \\\n  >=1\n",
            "deps/limits.txt": "alpha<2\n",
        },
        "alpha==1.0",
    ),
    "environment markers": Form(
        {
            "python_env.yaml": "dependencies: ['alpha; python_version >= \"3\"',"
            " 'beta; sys_platform == \"win32\"']"
        },
        "alpha==2.0",
    ),
    "the manager's other name": Form(
        {"python_env.yaml": "dependencies: [alpha]"}, "alpha==2.0", manager="uv"
    ),
    "a requirements file as python_env": Form(
        {"requirements.txt": "alpha<2"}, "alpha==1.0", python_env("requirements.txt")
    ),
    "a requirements file alone is not used, as in MLflow": Form({"requirements.txt": "alpha"}, ""),
    "a folder with wheels in the project": Form(
        {
            "python_env.yaml": "dependencies: ['-r requirements.txt']",
            "requirements.txt": "--find-links vendored\ngamma\n",
        },
        "gamma==3.0",
    ),
    "a wheel in the project": Form(
        {"python_env.yaml": "dependencies: [./vendored/gamma-3.0-py3-none-any.whl]"}, "gamma==3.0"
    ),
    "pip section of a conda.yaml under virtualenv": Form(
        {"conda.yaml": "dependencies: [numpy, pip, {pip: [alpha<2]}]"},
        "alpha==1.0",
        conda_env(),
        "virtualenv",
    ),
    "python_env.yaml goes before conda.yaml and pyproject.toml": Form(
        {
            "python_env.yaml": "dependencies: [alpha]",
            "conda.yaml": "dependencies: [{pip: [beta]}]",
            "pyproject.toml": "[project]\nname='p'\nversion='1'\ndependencies=['beta']",
        },
        "alpha==2.0",
    ),
    "pyproject.toml without a build system": Form(
        {"pyproject.toml": "[project]\nname='p'\nversion='1'\ndependencies=['beta']"},
        "alpha==1.0 beta==1.0",
    ),
    "pyproject.toml with tools only": Form(
        {"pyproject.toml": "[tool.ruff]\nline-length = 100"}, ""
    ),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_form_gives_its_packages(form: Form, space: EnvSpace) -> None:
    write_wheel(space.project / "vendored", "gamma", "3.0")
    space.write(form.files)
    env = space.ensure(form.spec, form.manager)
    assert installed(space, env.python) == form.packages


def test_missing_python_means_the_callers(space: EnvSpace) -> None:
    env = space.ensure()
    assert space.python(env, "import sys; print(sys.version)") == sys.version


def test_environment_sees_nothing_of_the_callers_packages(space: EnvSpace) -> None:
    env = space.ensure()
    code = "import importlib.util; print(importlib.util.find_spec('pytest'))"
    assert space.python(env, code) == "None"


@pytest.mark.parametrize("line", [".", "-e .", "--editable=.", "local @ ."])
def test_package_of_the_project_is_built_from_its_content(line: str, space: EnvSpace) -> None:
    write_package(space.project, "local", "answer = 41\n")
    space.write({"python_env.yaml": f"dependencies: ['{line}']"})
    first = space.ensure()
    assert space.python(first, "import local; print(local.answer)") == "41"
    space.write({"local.py": "answer = 42\n"})
    second = space.ensure()
    assert space.python(second, "import local; print(local.answer)") == "42"
    assert first.key != second.key


def test_build_leaves_the_project_as_it_is(space: EnvSpace) -> None:
    write_package(space.project / "pkg", "local", "")
    space.write({"python_env.yaml": "dependencies: [./pkg]"})
    before = sorted(space.project.rglob("*"))
    space.ensure()
    assert sorted(space.project.rglob("*")) == before


def test_same_content_elsewhere_is_the_same_environment(space: EnvSpace) -> None:
    write_package(space.project / "pkg", "local", "")
    space.write({"python_env.yaml": "dependencies: [./pkg]"})
    first = space.ensure()
    space.project.rename(space.folder / "moved")
    (space.folder / "project").symlink_to(space.folder / "moved")
    assert space.ensure() == first


def test_pyproject_with_a_build_system_is_installed_itself(space: EnvSpace) -> None:
    write_package(space.project, "local", "answer = 42\n")
    env = space.ensure()
    assert installed(space, env.python) == "local==1"


def test_uv_lock_is_installed_exactly(space: EnvSpace) -> None:
    wheel = next(space.wheels.glob("alpha-1.0*"))
    space.write(
        {
            "pyproject.toml": "[project]\nname='app'\nversion='1'\ndependencies=['alpha']",
            "uv.lock": UV_LOCK.format(
                folder=space.wheels, wheel=wheel.name, python=f">={sys.version_info.major}.8"
            ),
        }
    )
    env = space.ensure()
    assert installed(space, env.python) == "alpha==1.0"
    assert sorted(each.name for each in space.project.iterdir()) == ["pyproject.toml", "uv.lock"]


def test_uv_lock_without_its_pyproject_is_told(space: EnvSpace) -> None:
    space.write({"uv.lock": "version = 1"})
    with pytest.raises(Exception, match=r"pyproject\.toml can't be read: No such file"):
        space.check()


def test_conda_packages_are_dropped_with_a_note(space: EnvSpace) -> None:
    space.write({"conda.yaml": "dependencies: [numpy=1.26, 'conda-forge::scipy', pip]"})
    space.ensure(conda_env(), "virtualenv")
    assert space.said[0] == (
        "conda.yaml: not installed, because they are conda packages: numpy=1.26, conda-forge::scipy"
    )


UV_LOCK = """version = 1
revision = 3
requires-python = "{python}"

[[package]]
name = "alpha"
version = "1.0"
source = {{ registry = "{folder}" }}
wheels = [{{ path = "{wheel}" }}]

[[package]]
name = "app"
version = "1"
source = {{ virtual = "." }}
dependencies = [{{ name = "alpha" }}]

[package.metadata]
requires-dist = [{{ name = "alpha" }}]
"""


def installed(space: EnvSpace, python: Path) -> str:
    code = (
        "from importlib.metadata import distributions as d;"
        "print(*sorted(f'{x.metadata[\"Name\"]}=={x.version}' for x in d()))"
    )
    return run(python, "-c", code, directory=space.folder)
