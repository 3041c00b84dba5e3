"""Reads a conda.yaml: channels, match specs, a `pip:` section, variables."""

from __future__ import annotations

import re
from pathlib import Path

from flowrun.envs.project_files import read_text
from flowrun.envs.python_env import requirement_lines
from flowrun.spec.problems import Problems, did_you_mean
from flowrun.spec.project import Mark
from flowrun.spec.yaml_nodes import ListNode, MapNode, Node, ScalarNode, read_yaml
from flowrun.valueclass import valueclass

NO_DEFAULTS = "nodefaults"
_KEYS = ("name", "channels", "dependencies", "variables", "prefix")
_CHANNEL_NAME = re.compile(r"[A-Za-z0-9_][\w.-]*(/[A-Za-z0-9_][\w.-]*)*")
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://[^\s?#\\]+")
_SCHEMES = ("https", "http", "file")
_SPEC = re.compile(
    r"((?P<channel>\S+?)::)?(?P<name>[A-Za-z0-9_][A-Za-z0-9_.-]*)"
    r"(?P<version>[\s0-9A-Za-z_.+*=<>!~,|()-]*)(\[(?P<brackets>[^\[\]]*)\])?"
)
_BRACKET = re.compile(r"""\s*(?P<key>\w+)\s*=\s*('[^']*'|"[^"]*"|[^\s'",]+)\s*""")
_BRACKET_KEYS = ("version", "build", "build_number", "md5", "sha256")
_OPTION = re.compile(r"\s--?[A-Za-z]")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@valueclass
class Spec:
    """One conda dependency."""

    text: str
    """As written, without the channel."""
    name: str
    mark: Mark
    channel: str | None = None
    """A channel's name or address, where the dependency says `channel::name`."""

    def __str__(self) -> str:
        """Return it as the file has it."""
        return f"{self.channel}::{self.text}" if self.channel else self.text


@valueclass
class CondaFile:
    """What a conda.yaml asks for."""

    channels: tuple[str, ...] = ()
    """Names and addresses in order of priority; none if the file names none."""
    specs: tuple[Spec, ...] = ()
    pip_lines: tuple[tuple[str, Mark], ...] = ()
    """Requirement lines with their places."""
    variables: tuple[tuple[str, str], ...] = ()
    """Names and values that steps get."""
    notes: tuple[str, ...] = ()


def read_conda_file(file: Path, label: str) -> CondaFile:
    """Read a conda.yaml; `name` and `prefix` say where conda would put it, and are passed over.

    Raises:
        SpecError: all mistakes in it.
    """
    problems = Problems()
    root = read_yaml(read_text(file, Mark(label, 1, 1)), label, problems)
    reader = _Reader(problems)
    if root is not None and not isinstance(root, MapNode):
        problems.add(root.mark, "a conda environment file is a map with `dependencies`")
    elif root is not None:
        reader.read(root)
    problems.raise_if_any()
    return CondaFile(
        tuple(reader.channels),
        tuple(reader.specs),
        tuple(reader.pip_lines),
        tuple(reader.variables),
        problems.warnings,
    )


class _Reader:
    """Collects what the keys say."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self.channels: list[str] = []
        self.specs: list[Spec] = []
        self.pip_lines: list[tuple[str, Mark]] = []
        self.variables: list[tuple[str, str]] = []

    def read(self, root: MapNode) -> None:
        for key, entry in root.entries.items():
            match key:
                case "channels":
                    self._channels(entry.node)
                case "dependencies":
                    self._dependencies(entry.node)
                case "variables":
                    self._variables(entry.node)
                case "name" | "prefix":
                    pass
                case _:
                    self._problems.warn(
                        entry.mark,
                        f"'{key}' is ignored, as by conda; known: {', '.join(_KEYS)}."
                        f"{did_you_mean(key, _KEYS)}",
                    )

    def _channels(self, node: Node) -> None:
        items = self._list(node, "channels")
        for item in items:
            if not isinstance(item, ScalarNode) or not isinstance(item.value, str):
                self._problems.add(item.mark, "a channel is a name or an address")
            elif problem := wrong_channel(item.text):
                self._problems.add(item.mark, problem)
            elif item.text != NO_DEFAULTS:
                self.channels.append(item.text)
        if items and all(
            isinstance(each, ScalarNode) and each.text == NO_DEFAULTS for each in items
        ):
            self._problems.add(node.mark, "channels: names no channel to take packages from")

    def _dependencies(self, node: Node) -> None:
        for item in self._list(node, "dependencies"):
            if isinstance(item, MapNode) and list(item.entries) == ["pip"]:
                self.pip_lines += requirement_lines(item.entries["pip"].node, "pip", self._problems)
            elif isinstance(item, ScalarNode) and isinstance(item.value, str) and item.text:
                self._spec(item)
            else:
                self._problems.add(
                    item.mark, "a dependency is text, or a map with the one key `pip`"
                )

    def _spec(self, item: ScalarNode) -> None:
        text = item.text.strip()
        match = _SPEC.fullmatch(text)
        if (_URL.match(text) and "::" not in text) or text.startswith(("@", "/", ".")):
            problem = "addresses and files are not taken here; name the package, and its channel"
        elif match is None or text.startswith("-") or _OPTION.search(match["version"]):
            problem = "write it as numpy, numpy=1.26, 'numpy>=1.26,<2' or conda-forge::numpy=1.26"
        elif match["channel"] and (wrong := wrong_channel(match["channel"])):
            problem = wrong
        elif (key := _wrong_key(match["brackets"] or "")) is not None:
            problem = f"'{key}' is not known in brackets; known: {', '.join(_BRACKET_KEYS)}"
        else:
            bare = text.removeprefix(f"{match['channel']}::")
            self.specs.append(Spec(bare, match["name"].lower(), item.mark, match["channel"]))
            return
        self._problems.add(item.mark, f"'{text}' is no conda package: {problem}")

    def _variables(self, node: Node) -> None:
        if isinstance(node, ScalarNode) and node.value is None:
            return
        if not isinstance(node, MapNode):
            self._problems.add(node.mark, "variables: must be a map of names to values")
            return
        for name, entry in node.entries.items():
            if not _VARIABLE.fullmatch(name):
                self._problems.add(entry.mark, f"'{name}' can't be the name of a variable")
            elif not isinstance(entry.node, ScalarNode) or "\0" in entry.node.text:
                self._problems.add(entry.node.mark, f"variable '{name}' must be text or a number")
            else:
                self.variables.append((name, entry.node.text))

    def _list(self, node: Node, key: str) -> list[Node]:
        if isinstance(node, ListNode):
            return node.items
        if not (isinstance(node, ScalarNode) and node.value is None):
            self._problems.add(node.mark, f"{key}: must be a list")
        return []


def wrong_channel(text: str) -> str | None:
    """Say what is wrong with a channel's name or address; None if nothing is."""
    if match := _URL.fullmatch(text):
        if match["scheme"].lower() not in _SCHEMES:
            return f"'{match['scheme']}:' addresses are not allowed; use {', '.join(_SCHEMES)}"
        is_climbing = "/../" in f"{text}/"
        return "a channel's address has no '..'" if is_climbing else None
    if _CHANNEL_NAME.fullmatch(text):
        return None
    return f"'{text}' is no channel; write a name such as conda-forge, or an address with ://"


def _wrong_key(brackets: str) -> str | None:
    """Return the first key that has no business there, or the text that is no key and value."""
    for part in re.split(r""",(?=(?:[^'"]|'[^']*'|"[^"]*")*$)""", brackets) if brackets else []:
        match = _BRACKET.fullmatch(part)
        if match is None or match["key"] not in _BRACKET_KEYS:
            return match["key"] if match else part.strip()
    return None
