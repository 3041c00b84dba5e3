"""python_env.yaml and conda.yaml: what is read, and what is said of mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowrun.envs.interpreters import parse_request
from flowrun.envs.project_files import MAX_BYTES
from flowrun.envs.python_env import read_conda, read_python_env
from flowrun.errors import SpecError

VERSIONS = {
    "text": ('python: "3.11"', "3.11"),
    "a number that YAML would shorten": ("python: 3.10", "3.10"),
    "in full": ("python: 3.11.7", "3.11.7"),
    "none": ("python:", None),
    "a range": ("python: '>=3.9, <3.13'", ">=3.9,<3.13"),
    "any patch": ("python: ==3.12.*", "3.12"),
}


@pytest.mark.parametrize(("text", "version"), VERSIONS.values(), ids=VERSIONS)
def test_python_version_is_read_as_written(text: str, version: str | None, tmp_path: Path) -> None:
    (tmp_path / "python_env.yaml").write_text(text)
    assert read_python_env(tmp_path / "python_env.yaml", "python_env.yaml").python == version


CONDA_VERSIONS = {
    "fuzzy": ("python=3.10", "3.10"),
    "exact": ("python==3.10.4", "3.10.4"),
    "any patch": ("python=3.10.*", "3.10"),
    "with a space": ("python 3.10", "3.10"),
    "with a build": ("python=3.10.4=h12debd9_0", "3.10.4"),
    "a range": ("python>=3.8,<3.11", ">=3.8,<3.11"),
    "with a channel": ("conda-forge::python=3.12", "3.12"),
    "not said": ("python", None),
}


@pytest.mark.parametrize(("text", "version"), CONDA_VERSIONS.values(), ids=CONDA_VERSIONS)
def test_python_of_a_conda_file_is_read(text: str, version: str | None, tmp_path: Path) -> None:
    (tmp_path / "conda.yaml").write_text(f"name: x\ndependencies: ['{text}', pip]\n")
    found = read_conda(tmp_path / "conda.yaml", "conda.yaml")
    assert (found.python, found.notes) == (version, ())


MISTAKES = {
    "unknown key": (
        "dependancies: []",
        "e.yaml:1:1: unknown key 'dependancies'; known: python, build_dependencies, dependencies. "
        "Did you mean 'dependencies'?",
    ),
    "no map": (
        "- six",
        "e.yaml:1:1: a python_env file is a map of python, build_dependencies, dependencies",
    ),
    "no version": (
        "python: three",
        "e.yaml:1:9: 'three' is no Python version; write it as 3.11 or 3.11.7",
    ),
    "a version that is an option": (
        "python: --python-preference=only-managed",
        "e.yaml:1:9: '--python-preference=only-managed' is no Python version; write it as 3.11 or "
        "3.11.7",
    ),
    "a list of versions": ("python: [3.11]", "e.yaml:1:9: python: must be a version, such as 3.11"),
    "no list": ("dependencies: six", "e.yaml:1:15: dependencies: must be a list of requirements"),
    "a number as a requirement": (
        "dependencies:\n- 1.0",
        "e.yaml:2:3: dependencies: a requirement is text, such as numpy==2.1.0",
    ),
    "a map as a requirement": (
        "dependencies:\n- numpy: 1",
        "e.yaml:2:3: dependencies: a requirement is text, such as numpy==2.1.0",
    ),
    "malformed": (
        "dependencies: [six",
        "e.yaml:2:1: this is not YAML: did not find expected ',' or ']' while parsing a flow "
        "sequence",
    ),
    "a key twice": (
        "python: '3.11'\npython: '3.12'",
        "e.yaml:2:1: 'python' is already there, in line 1",
    ),
}


@pytest.mark.parametrize(("text", "message"), MISTAKES.values(), ids=MISTAKES)
def test_mistake_is_told_with_its_place(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "e.yaml").write_text(text)
    with pytest.raises(SpecError) as error:
        read_python_env(tmp_path / "e.yaml", "e.yaml")
    assert str(error.value) == message


CONDA_MISTAKES = {
    "no map": ("[]", "c.yaml:1:1: a conda environment file is a map with `dependencies`"),
    "no list": ("dependencies: six", "c.yaml:1:15: dependencies: must be a list"),
    "something else than pip": (
        "dependencies: [{npm: [x]}]",
        "c.yaml:1:16: a dependency is text, or a map with the one key `pip`",
    ),
    "no version": (
        "dependencies: [python=latest]",
        "c.yaml:1:16: 'latest' is no Python version; write it as 3.11 or 3.11.7",
    ),
}


@pytest.mark.parametrize(("text", "message"), CONDA_MISTAKES.values(), ids=CONDA_MISTAKES)
def test_mistake_in_a_conda_file_is_told(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(SpecError) as error:
        read_conda(tmp_path / "c.yaml", "c.yaml")
    assert str(error.value) == message


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "e.yaml").write_text("python: x\ndependencies: [1]\nextra: 1\n")
    with pytest.raises(SpecError) as error:
        read_python_env(tmp_path / "e.yaml", "e.yaml")
    assert [problem.line for problem in error.value.problems] == [1, 2, 3]


FILES = {
    "not UTF-8": (b"\xff\xfe\x00", "e.yaml:1:1: e.yaml is not UTF-8 text."),
    "too large": (
        b"#" * (MAX_BYTES + 1),
        "e.yaml:1:1: e.yaml is larger than 4,000,000 bytes.",
    ),
}


@pytest.mark.parametrize(("content", "message"), FILES.values(), ids=FILES)
def test_file_that_is_no_such_text_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "e.yaml").write_bytes(content)
    with pytest.raises(SpecError) as error:
        read_python_env(tmp_path / "e.yaml", "e.yaml")
    assert str(error.value) == message


@pytest.mark.parametrize(
    "text", ["", "3.11.7.1", "3.x", "/usr/bin/python", "pypy@3.10", "-3", "3;4"]
)
def test_what_is_no_version_is_none(text: str) -> None:
    assert parse_request(text) is None
