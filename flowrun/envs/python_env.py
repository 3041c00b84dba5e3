"""Reads python_env.yaml and conda.yaml as MLflow means them."""

from __future__ import annotations

import re
from pathlib import Path

from flowrun.envs.interpreters import parse_request
from flowrun.envs.project_files import read_text
from flowrun.spec.problems import Problems, did_you_mean
from flowrun.spec.project import Mark
from flowrun.spec.yaml_nodes import ListNode, MapNode, Node, ScalarNode, read_yaml
from flowrun.valueclass import valueclass

_KEYS = ("python", "build_dependencies", "dependencies")
_CONDA_PYTHON = re.compile(r"(?:[\w./-]+::)?python(?=$|[\s=<>!~])(?P<version>.*)")


@valueclass
class PythonEnv:
    """What a file asks for, before any requirement line is understood."""

    python: str | None = None
    """A version or a range; None means the caller's version."""
    lines: tuple[tuple[str, Mark], ...] = ()
    """Requirement lines with their places."""
    notes: tuple[str, ...] = ()


def read_python_env(file: Path, label: str) -> PythonEnv:
    """Read a python_env.yaml.

    Raises:
        SpecError: all mistakes in it.
    """
    problems = Problems()
    start = Mark(label, 1, 1)
    root = read_yaml(read_text(file, start), label, problems)
    python = None
    lines: list[tuple[str, Mark]] = []
    if root is not None and not isinstance(root, MapNode):
        problems.add(root.mark, f"a python_env file is a map of {', '.join(_KEYS)}")
    elif root is not None:
        for key, entry in root.entries.items():
            if key not in _KEYS:
                problems.add(
                    entry.mark,
                    f"unknown key '{key}'; known: {', '.join(_KEYS)}.{did_you_mean(key, _KEYS)}",
                )
            elif key == "python":
                python = _python(entry.node, problems)
            else:
                lines += requirement_lines(entry.node, key, problems)
    problems.raise_if_any()
    return PythonEnv(python, tuple(lines))


def read_conda(file: Path, label: str) -> PythonEnv:
    """Read the Python version and the `pip:` section of a conda.yaml; the rest becomes a note.

    Raises:
        SpecError: all mistakes in it.
    """
    problems = Problems()
    root = read_yaml(read_text(file, Mark(label, 1, 1)), label, problems)
    python = None
    lines: list[tuple[str, Mark]] = []
    dropped: list[str] = []
    for item in _conda_items(root, problems):
        if isinstance(item, MapNode) and list(item.entries) == ["pip"]:
            lines += requirement_lines(item.entries["pip"].node, "pip", problems)
        elif not isinstance(item, ScalarNode) or not item.text:
            problems.add(item.mark, "a dependency is text, or a map with the one key `pip`")
        elif match := _CONDA_PYTHON.fullmatch(item.text.strip()):
            python = _conda_version(match["version"], item, problems)
        elif re.split(r"[\s=<>!~\[]", item.text, maxsplit=1)[0] != "pip":
            dropped.append(item.text)
    problems.raise_if_any()
    note = f"{label}: not installed, because they are conda packages: {', '.join(dropped)}"
    return PythonEnv(python, tuple(lines), (note,) if dropped else ())


def _conda_items(root: Node | None, problems: Problems) -> list[Node]:
    if root is None:
        return []
    if not isinstance(root, MapNode):
        problems.add(root.mark, "a conda environment file is a map with `dependencies`")
        return []
    entry = root.entries.get("dependencies")
    if entry is None or (isinstance(entry.node, ScalarNode) and entry.node.value is None):
        return []
    if not isinstance(entry.node, ListNode):
        problems.add(entry.node.mark, "dependencies: must be a list")
        return []
    return entry.node.items


def _conda_version(text: str, item: ScalarNode, problems: Problems) -> str | None:
    """Return uv's spelling of conda's `python=3.10`, `python 3.10.*`, `python>=3.8,<3.11`."""
    # `=3.10=h1234` names a build of conda's; its version is what counts here.
    version = re.sub(r"^=+\s*([^=,\s]+)=.*$", r"\1", text.strip())
    version = re.sub(r"^=+\s*", "", version)
    if not version or version == "*":
        return None
    return _checked(version, item.mark, problems)


def _python(node: Node, problems: Problems) -> str | None:
    if not isinstance(node, ScalarNode):
        problems.add(node.mark, "python: must be a version, such as 3.11")
        return None
    # The text, not the value: YAML reads 3.10 as the number 3.1.
    return None if node.value is None else _checked(node.text, node.mark, problems)


def _checked(text: str, mark: Mark, problems: Problems) -> str | None:
    version = parse_request(text)
    if version is None:
        problems.add(mark, f"'{text}' is no Python version; write it as 3.11 or 3.11.7")
    return version


def requirement_lines(node: Node, key: str, problems: Problems) -> list[tuple[str, Mark]]:
    """Return the texts of a list of requirements with their places."""
    if isinstance(node, ScalarNode) and node.value is None:
        return []
    if not isinstance(node, ListNode):
        problems.add(node.mark, f"{key}: must be a list of requirements")
        return []
    found = []
    for item in node.items:
        if isinstance(item, ScalarNode) and isinstance(item.value, str):
            found.append((item.text, item.mark))
        else:
            problems.add(item.mark, f"{key}: a requirement is text, such as numpy==2.1.0")
    return found
