"""What entry points and steps say alike: environment, resources, outputs."""

from __future__ import annotations

import math

from flowrun.spec.fields import Fields, checked_path, not_available, scalar_text
from flowrun.spec.parse_docker import parse_docker
from flowrun.spec.parse_tolerances import parse_tolerance
from flowrun.spec.problems import Problems
from flowrun.spec.project import (
    EnvKind,
    EnvSpec,
    OutputSpec,
    OutputType,
    Resources,
)
from flowrun.spec.yaml_nodes import Entry, MapNode, Node

ENV_KEYS = (EnvKind.PYTHON.value, EnvKind.CONDA.value, EnvKind.DOCKER.value)


def parse_env(fields: Fields) -> EnvSpec | None:
    """Return the environment that a map names with one of ENV_KEYS, if it names one."""
    entries = [(key, entry) for key in ENV_KEYS if (entry := fields.entry(key))]
    if not entries:
        return None
    if len(entries) > 1:
        (first, _), (second, entry) = entries[0], entries[1]
        fields.problems.add(
            entry.mark, f"{fields.what} sets both {first} and {second}; use only one of them"
        )
    key, entry = entries[0]
    if key == EnvKind.DOCKER:
        return EnvSpec(EnvKind.DOCKER, entry.mark, docker=parse_docker(fields))
    return EnvSpec(EnvKind(key), entry.mark, path=fields.path(key))


def parse_resources(fields: Fields) -> Resources | None:
    """Return what a step takes of the machine, if it says so."""
    inner = fields.fields("resources", f"resources of {fields.what}")
    if inner is None:
        return None
    cpus = inner.number("cpus")
    if cpus is not None and not (0 < cpus < math.inf):
        inner.refuse("cpus", f"'cpus' of {inner.what} must be more than 0")
    size = inner.size_bytes("memory")
    inner.end(unknown_is_error=True)
    if cpus is None:
        return Resources(memory_bytes=size)
    return Resources(float(cpus), size, cpu_limit=float(cpus))


def parse_outputs(fields: Fields) -> dict[str, OutputSpec]:
    """Return the files that a command declares as outputs."""
    return {
        name: output
        for name, entry in fields.map("outputs").items()
        if (output := _output(name, entry, f"output '{name}' of {fields.what}", fields.problems))
    }


def _output(name: str, entry: Entry, what: str, problems: Problems) -> OutputSpec | None:
    if isinstance(entry.node, MapNode):
        fields = Fields(entry.node, what, problems)
        path = fields.path("path")
        if not fields.has("path"):
            problems.add(entry.mark, f"{what} has no 'path'")
        kind = fields.name("type")
        tolerance = parse_tolerance(fields)
        fields.end(unknown_is_error=True)
        if kind is not None and kind.text not in {each.value for each in OutputType}:
            problems.add(kind.mark, f"'type' of {what} must be path or model, not '{kind.text}'")
            kind = None
        kind_of = OutputType(kind.text) if kind else OutputType.PATH
        return OutputSpec(name, path or "", kind_of, entry.mark, tolerance)
    path = _short_path(entry.node, what, problems)
    return OutputSpec(name, path or "", OutputType.PATH, entry.mark)


def _short_path(node: Node, what: str, problems: Problems) -> str | None:
    text = scalar_text(node, what, problems)
    return None if text is None else checked_path(text, node.mark, what, problems)


def check_executor(fields: Fields) -> None:
    """Refuse every executor but the one there is."""
    executor = fields.name("executor")
    if executor is not None and executor.text != "local":
        text = not_available(f"executor: {executor.text}", fields.what, "only 'local' is")
        fields.problems.add(executor.mark, text)
