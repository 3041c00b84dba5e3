"""`MLproject.lock`: what exactly the environments and other projects of a project are.

Text to values and back; nothing is looked up. The file is YAML, so that a change of one package is
a change of one place in it; the lock of each environment stands in it as a text of its own, in the
format of that kind of environment.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import field

from flowrun.errors import Problem, SpecError
from flowrun.spec.load import LOCK_FILE
from flowrun.spec.problems import Problems
from flowrun.spec.project import Mark
from flowrun.spec.yaml_nodes import ListNode, MapNode, Node, ScalarNode, read_yaml
from flowrun.valueclass import valueclass

VERSION = "1"
_HEAD = "# Written by `flowrun lock`: what a run takes exactly. Commit it, don't edit it.\n"
_NOWHERE = Mark(LOCK_FILE, 1, 1)
_SIMPLE = re.compile(r"[A-Za-z_.#/][\w./-]*")
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")


@valueclass
class LockedEnv:
    """One environment."""

    name: str
    """The file that describes it (`python_env.yaml`), or its image."""
    manager: str
    """`virtualenv`, `conda` or `docker`."""
    asks: tuple[str, ...]
    """What the project asked for when it was locked, sorted; anything else now, and it is stale."""
    locks: Mapping[str, str]
    """Platform, in conda's words, to the lock's text."""
    mark: Mark = field(default=_NOWHERE, compare=False)


@valueclass
class LockedProject:
    """Another project, or another directory of this one (`#dir`), that steps call."""

    uri: str
    """Without credentials; of one that lies beside this project, relative to it."""
    version: str | None = None
    """As asked for."""
    commit: str | None = None
    tree: str | None = None
    """None for what changes with this project itself, or is taken as it is on disk."""
    environments: tuple[LockedEnv, ...] = ()
    mark: Mark = field(default=_NOWHERE, compare=False)

    @property
    def is_empty(self) -> bool:
        """Whether it says nothing."""
        return self.tree is None and not self.environments


@valueclass
class LockFile:
    """A whole file."""

    environments: tuple[LockedEnv, ...] = ()
    projects: tuple[LockedProject, ...] = ()

    def project(self, uri: str, version: str | None) -> LockedProject | None:
        """Return a project by what asks for it."""
        found = (each for each in self.projects if (each.uri, each.version) == (uri, version))
        return next(found, None)


def find_env(envs: tuple[LockedEnv, ...], name: str, manager: str) -> LockedEnv | None:
    """Return the environment of this name that was locked for this manager."""
    return next((each for each in envs if (each.name, each.manager) == (name, manager)), None)


def dump(lock: LockFile) -> str:
    """Return the file's text: the same for the same content, in whatever order it comes."""
    lines = [f"version: {VERSION}", *_environments(lock.environments, "")]
    projects = [each for each in lock.projects if not each.is_empty]
    lines += ["projects:"] if projects else []
    for each in sorted(projects, key=lambda project: (project.uri, project.version or "")):
        lines.append(f"- uri: {_scalar(each.uri)}")
        for key in ("version", "commit", "tree"):
            value = getattr(each, key)
            lines += [f"  {key}: {_scalar(value)}"] if value is not None else []
        lines += _environments(each.environments, "  ")
    return _HEAD + "\n".join(lines) + "\n"


def parse(text: str, file: str = LOCK_FILE) -> LockFile:
    """Read a file's text.

    Args:
        file: its name in messages.

    Raises:
        SpecError: all mistakes of the file.
    """
    reader = _Reader(file)
    found = reader.read(text)
    reader.problems.raise_if_any()
    return found


def _environments(envs: tuple[LockedEnv, ...], indent: str) -> Iterator[str]:
    if envs:
        yield f"{indent}environments:"
    for each in sorted(envs, key=lambda env: (env.name, env.manager)):
        yield f"{indent}- name: {_scalar(each.name)}"
        yield f"{indent}  manager: {_scalar(each.manager)}"
        yield f"{indent}  asks:{'' if each.asks else ' []'}"
        yield from (f"{indent}  - {_scalar(ask)}" for ask in sorted(each.asks))
        yield f"{indent}  locks:{'' if each.locks else ' {}'}"
        for platform, lock in sorted(each.locks.items()):
            yield from _block(f"{indent}    {_scalar(platform)}:", lock, f"{indent}      ")


def _block(key: str, text: str, indent: str) -> Iterator[str]:
    """Yield a text as it is, line by line, where YAML would give back the same."""
    lines = text.split("\n")
    last = lines.pop()
    is_plain = all(line.isascii() and line.isprintable() for line in lines)
    if last or not is_plain or not lines or not lines[-1] or lines[0][:1] in {"", " "}:
        yield f"{key} {_quoted(text)}"
        return
    yield f"{key} |"
    yield from (f"{indent}{line}" if line else "" for line in lines)


def _scalar(text: str) -> str:
    return text if _SIMPLE.fullmatch(text) and not text.startswith("#") else _quoted(text)


def _quoted(text: str) -> str:
    """Return the text in YAML's double quotes, which are JSON's but for what can't be printed."""
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in quoted)


class _Reader:
    """Takes nodes apart, and collects what is wrong with them."""

    def __init__(self, file: str) -> None:
        self._file = file
        self.problems = Problems()

    def read(self, text: str) -> LockFile:
        root = read_yaml(text, self._file, self.problems)
        if not isinstance(root, MapNode):
            raise SpecError([Problem(self._file, 1, 1, "this is no lock file: it holds no map")])
        version = root.entries.get("version")
        if version is None or self._text(version.node) != VERSION:
            mark = version.mark if version else root.mark
            told = "a lock file of this flowrun begins with `version: 1`; a newer one wrote this?"
            raise SpecError([Problem(mark.file, mark.line, mark.column, told)])
        self._known(root, ("version", "environments", "projects"))
        projects = tuple(self._project(node) for node in self._list(root, "projects"))
        return LockFile(self._environments(root), projects)

    def _project(self, node: Node) -> LockedProject:
        keys = ("uri", "version", "commit", "tree", "environments")
        found = self._known(node, keys)
        texts = {key: self._value(found, key) for key in ("uri", "version", "commit", "tree")}
        for key in ("commit", "tree"):
            if texts[key] is not None and not _COMMIT.fullmatch(texts[key] or ""):
                self.problems.add(found.entries[key].node.mark, f"{key}: must be 40 hex digits")
        if texts["uri"] is None:
            self.problems.add(node.mark, "a project has a 'uri'")
        return LockedProject(
            texts["uri"] or "",
            texts["version"],
            texts["commit"],
            texts["tree"],
            self._environments(found),
            node.mark,
        )

    def _environments(self, node: MapNode) -> tuple[LockedEnv, ...]:
        return tuple(self._environment(each) for each in self._list(node, "environments"))

    def _environment(self, node: Node) -> LockedEnv:
        found = self._known(node, ("name", "manager", "asks", "locks"))
        name, manager = self._value(found, "name"), self._value(found, "manager")
        if not name or not manager:
            self.problems.add(node.mark, "an environment has a 'name' and a 'manager'")
        asks = tuple(self._text(each) for each in self._list(found, "asks"))
        locks = found.entries.get("locks")
        texts = self._known(locks.node, None).entries if locks else {}
        return LockedEnv(
            name or "",
            manager or "",
            asks,
            {platform: self._text(entry.node) for platform, entry in texts.items()},
            node.mark,
        )

    def _known(self, node: Node, keys: tuple[str, ...] | None) -> MapNode:
        """Return the map that a node must be, with these keys only (None: with any)."""
        if not isinstance(node, MapNode):
            self.problems.add(node.mark, f"must be a map of {', '.join(keys or ('names',))}")
            return MapNode(node.mark)
        for key, entry in node.entries.items():
            if keys is not None and key not in keys:
                self.problems.add(entry.mark, f"unknown key '{key}'; known: {', '.join(keys)}")
        return node

    def _list(self, node: MapNode, key: str) -> list[Node]:
        entry = node.entries.get(key)
        if entry is None:
            return []
        if isinstance(entry.node, ListNode):
            return entry.node.items
        self.problems.add(entry.node.mark, f"{key}: must be a list")
        return []

    def _value(self, node: MapNode, key: str) -> str | None:
        entry = node.entries.get(key)
        return self._text(entry.node) if entry else None

    def _text(self, node: Node) -> str:
        if isinstance(node, ScalarNode):
            return node.text
        self.problems.add(node.mark, "must be a text")
        return ""
