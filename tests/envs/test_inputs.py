"""What makes an environment another one, and what does not."""

from __future__ import annotations

import pytest

from flowrun.envs.base import Wish
from flowrun.envs.inputs import read_inputs
from tests.envs.conftest import EnvSpace
from tests.envs.wheels import write_package

FILES = {
    "python_env.yaml": "dependencies: ['-r r.txt', ./pkg]\n",
    "r.txt": "--find-links wheels\n-c limits.txt\nalpha\n",
    "limits.txt": "alpha<2\n",
    "wheels/x.whl": "",
}

CHANGES = {
    "another requirement": {"python_env.yaml": "dependencies: ['-r r.txt', ./pkg, six]\n"},
    "an included file": {"r.txt": "--find-links wheels\n-c limits.txt\nalpha>1\n"},
    "a hash": {"r.txt": f"--find-links wheels\n-c limits.txt\nalpha --hash=sha256:{'1' * 64}\n"},
    "a constraint": {"limits.txt": "alpha<3\n"},
    "an option": {"r.txt": "--find-links wheels\n--no-index\n-c limits.txt\nalpha\n"},
    "a package in the project": {"pkg/local.py": "x = 1\n"},
    "a new file of it": {"pkg/data.txt": ""},
    "a vendored wheel": {"wheels/y.whl": ""},
}

SAME = {
    "a comment": {"r.txt": "--find-links wheels\n-c limits.txt\nalpha  # the first\n\n"},
    "a file that nobody includes": {"README.md": "x"},
    "bytecode": {"pkg/__pycache__/local.pyc": "x"},
    "YAML written another way": {"python_env.yaml": "dependencies:\n- -r r.txt\n- ./pkg\n"},
}


def digest(space: EnvSpace, python: str = "3.11.7 cpython", settings: str = "") -> str:
    return read_inputs(space.request()).digest(python, settings, Wish())


@pytest.fixture
def project(space: EnvSpace) -> EnvSpace:
    write_package(space.project / "pkg", "local", "")
    space.write(FILES)
    return space


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_decides_changes_the_digest(change: dict[str, str], project: EnvSpace) -> None:
    before = digest(project)
    project.write(change)
    assert digest(project) != before


@pytest.mark.parametrize("change", SAME.values(), ids=SAME)
def test_what_does_not_decide_keeps_the_digest(change: dict[str, str], project: EnvSpace) -> None:
    before = digest(project)
    project.write(change)
    assert digest(project) == before


def test_python_and_index_settings_decide_too(project: EnvSpace) -> None:
    found = {digest(project), digest(project, python="3.11.8"), digest(project, settings="x")}
    assert len(found) == 3
