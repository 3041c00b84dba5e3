"""What entry points and steps say alike: environment, resources, outputs."""

from __future__ import annotations

import math
import re

from flowrun.spec.fields import Fields, checked_path, not_available, scalar_text
from flowrun.spec.problems import Problems
from flowrun.spec.project import (
    DockerSpec,
    EnvKind,
    EnvSpec,
    Mark,
    OutputSpec,
    OutputType,
    Resources,
)
from flowrun.spec.yaml_nodes import Entry, ListNode, MapNode, Node, ScalarNode

ENV_KEYS = (EnvKind.PYTHON.value, EnvKind.CONDA.value, EnvKind.DOCKER.value)

_DOCKER_NOT_YET = dict.fromkeys(
    ("build", "user", "gpus", "network", "platform", "shm_size", "args"),
    "build an image that has it, and name that in 'image'",
)
_MEMORY = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([KMGT]i?B|B)?")
_UNITS = {"": 1, "B": 1} | {
    f"{letter}{suffix}": base**power
    for power, letter in enumerate("KMGT", start=1)
    for suffix, base in (("B", 1000), ("iB", 1024))
}


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
        return EnvSpec(EnvKind.DOCKER, entry.mark, docker=_docker(fields))
    return EnvSpec(EnvKind(key), entry.mark, path=fields.path(key))


def _docker(around: Fields) -> DockerSpec:
    fields = around.fields("docker_env", f"docker_env of {around.what}")
    if fields is None:
        return DockerSpec("")
    image = fields.text("image")
    if image is None:
        fields.problems.add(fields.node.mark, f"{fields.what} has no 'image'")
    volumes = tuple(name.text for name in fields.names("volumes"))
    environment = _docker_environment(fields)
    fields.end(unknown_is_error=False, not_yet=_DOCKER_NOT_YET)
    return DockerSpec(image or "", volumes, environment)


def _docker_environment(fields: Fields) -> tuple[tuple[str, str] | str, ...]:
    entry = fields.entry("environment")
    if entry is None:
        return ()
    if not isinstance(entry.node, ListNode):
        fields.problems.add(entry.node.mark, f"'environment' of {fields.what} must be a list")
        return ()
    found: list[tuple[str, str] | str] = []
    for item in entry.node.items:
        match item:
            case ListNode(items=[ScalarNode(text=name), ScalarNode(value=value)]):
                found.append((name, str(value)))
            case ScalarNode(value=str(name)):
                found.append(name)
            case _:
                fields.problems.add(
                    item.mark,
                    f"'environment' of {fields.what} lists names to copy and [NAME, value] pairs",
                )
    return tuple(found)


def parse_resources(fields: Fields) -> Resources | None:
    """Return what a step takes of the machine, if it says so."""
    inner = fields.fields("resources", f"resources of {fields.what}")
    if inner is None:
        return None
    cpus = inner.number("cpus")
    if cpus is not None and not (0 < cpus < math.inf):
        inner.refuse("cpus", f"'cpus' of {inner.what} must be more than 0")
    memory = inner.name("memory")
    size = 0 if memory is None else _bytes(memory.text, memory.mark, inner)
    inner.end(unknown_is_error=True)
    return Resources(1.0 if cpus is None else float(cpus), size)


def _bytes(text: str, mark: Mark, fields: Fields) -> int:
    found = _MEMORY.fullmatch(text)
    if found:
        return int(float(found[1]) * _UNITS[found[2] or ""])
    fields.problems.add(
        mark, f"'memory' of {fields.what} must be a size such as 512MiB or 2GB, not '{text}'"
    )
    return 0


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
        fields.end(unknown_is_error=True)
        if kind is not None and kind.text not in {each.value for each in OutputType}:
            problems.add(kind.mark, f"'type' of {what} must be path or model, not '{kind.text}'")
            kind = None
        kind_of = OutputType(kind.text) if kind else OutputType.PATH
        return OutputSpec(name, path or "", kind_of, entry.mark)
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
