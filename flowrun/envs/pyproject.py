"""Reads what a pyproject.toml says of its project's environment."""

from __future__ import annotations

import tomllib
from pathlib import Path

from flowrun.envs.interpreters import parse_request
from flowrun.envs.project_files import read_text
from flowrun.errors import Problem, SpecError
from flowrun.spec.project import Mark
from flowrun.valueclass import valueclass

Toml = str | int | float | bool | list["Toml"] | dict[str, "Toml"]


@valueclass
class Pyproject:
    """The part of a pyproject.toml that decides an environment."""

    python: str | None
    """A range, from `.python-version` beside it or `requires-python`."""
    lines: tuple[tuple[str, Mark], ...]
    """Its dependencies, or `.` if the project is itself a package to install."""
    is_package: bool
    """As uv decides: it has a build system, or says `tool.uv.package`."""
    text: str


def read_pyproject(file: Path, label: str) -> Pyproject:
    """Read a pyproject.toml.

    Raises:
        SpecError: it is no TOML, or its dependencies are no list of texts.
    """
    mark = Mark(label, 1, 1)
    text = read_text(file, mark)
    try:
        content: dict[str, Toml] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SpecError([Problem(label, 1, 1, f"this is not TOML: {error}")]) from error
    project = _table(content, "project")
    is_package = _is_package(content)
    lines = [(".", mark)] if is_package else [(each, mark) for each in _dependencies(project, mark)]
    return Pyproject(_python(project, file.parent, mark), tuple(lines), is_package, text)


def _is_package(content: dict[str, Toml]) -> bool:
    stated = _table(_table(content, "tool"), "uv").get("package")
    if isinstance(stated, bool):
        return stated
    return "build-system" in content and "project" in content


def _dependencies(project: dict[str, Toml], mark: Mark) -> list[str]:
    found = project.get("dependencies", [])
    if isinstance(found, list) and all(isinstance(each, str) for each in found):
        return [str(each) for each in found]
    raise SpecError(
        [Problem(mark.file, 1, 1, "project.dependencies must be a list of requirements")]
    )


def _python(project: dict[str, Toml], directory: Path, mark: Mark) -> str | None:
    pinned = directory / ".python-version"
    if pinned.is_file():
        words = read_text(pinned, mark).split()
        version = parse_request(words[0]) if words else None
        if version is None:
            shown = words[0] if words else ""
            text = f"'{shown}' is no Python version; write it as 3.11 or 3.11.7"
            raise SpecError([Problem(pinned.name, 1, 1, text)])
        return version
    required = project.get("requires-python")
    if required is None:
        return None
    version = parse_request(str(required))
    if version is None:
        text = f"project.requires-python: '{required}' is no range of versions, such as >=3.10"
        raise SpecError([Problem(mark.file, 1, 1, text)])
    return version


def _table(content: dict[str, Toml], name: str) -> dict[str, Toml]:
    found = content.get(name)
    return found if isinstance(found, dict) else {}
