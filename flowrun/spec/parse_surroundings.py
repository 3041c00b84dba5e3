"""What entry points and steps say alike: environment, resources, outputs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

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
from flowrun.spec.yaml_nodes import Entry, ListNode, MapNode, Node

T = TypeVar("T")

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
    cpus = _by_attempt(inner, "cpus", _cpus)
    sizes = _by_attempt(inner, "memory", lambda fields, key: fields.size_bytes(key))
    gpus = _by_attempt(inner, "gpus", _gpus)
    inner.end(unknown_is_error=True)
    first, *later = (
        Resources(
            _at(cpus, attempt) or 1.0,
            _at(sizes, attempt) or 0,
            cpu_limit=_at(cpus, attempt),
            gpus=_at(gpus, attempt) or 0,
        )
        for attempt in range(max(1, len(cpus), len(sizes), len(gpus)))
    )
    return replace(first, later=tuple(later))


def _by_attempt(
    fields: Fields, key: str, read: Callable[[Fields, str], T | None]
) -> list[T | None]:
    """Return what each attempt takes: a list says it for one after the other."""
    entry = fields.entry(key)
    if entry is None:
        return []
    if not isinstance(entry.node, ListNode):
        return [read(fields, key)]
    if not entry.node.items:
        fields.problems.add(entry.node.mark, f"'{key}' of {fields.what} is an empty list")
    return [
        read(
            Fields(
                MapNode(entry.mark, {key: Entry(entry.mark, node)}), fields.what, fields.problems
            ),
            key,
        )
        for node in entry.node.items
    ]


def _at(values: list[T | None], attempt: int) -> T | None:
    return values[min(attempt, len(values) - 1)] if values else None


def _cpus(fields: Fields, key: str) -> float | None:
    cpus = fields.number(key)
    if cpus is not None and not (0 < cpus < math.inf):
        fields.refuse(key, f"'{key}' of {fields.what} must be more than 0")
    return None if cpus is None else float(cpus)


def _gpus(fields: Fields, key: str) -> int | None:
    gpus = fields.number(key)
    if gpus is not None and not (gpus >= 0 and float(gpus).is_integer()):
        fields.refuse(key, f"'{key}' of {fields.what} must be a whole number")
        return None
    return None if gpus is None else int(gpus)


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
        is_temporary = fields.flag("temp", default=False)
        fields.end(unknown_is_error=True)
        if kind is not None and kind.text not in {each.value for each in OutputType}:
            problems.add(kind.mark, f"'type' of {what} must be path or model, not '{kind.text}'")
            kind = None
        kind_of = OutputType(kind.text) if kind else OutputType.PATH
        if is_temporary and kind_of is OutputType.MODEL:
            problems.add(entry.mark, f"{what} is a model, which is not temporary")
        return OutputSpec(name, path or "", kind_of, entry.mark, tolerance, is_temporary)
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
