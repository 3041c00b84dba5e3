"""Takes the keys of a map out one by one, as the types that are wanted, noting what is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from flowrun.spec.problems import Problems, did_you_mean, listed
from flowrun.spec.project import Mark, Name, Value
from flowrun.spec.yaml_nodes import Entry, ListNode, MapNode, Node, ScalarNode

_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([KMGT]i?B|B)?")
_UNITS = {"": 1, "B": 1} | {
    f"{letter}{suffix}": base**power
    for power, letter in enumerate("KMGT", start=1)
    for suffix, base in (("B", 1000), ("iB", 1024))
}


_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\\]")


class Fields:
    """The keys of one map. Ask for each known key, then call `end`.

    `what` names the map in messages: `step 'train'`. Each getter returns None for a key that is
    absent or wrong; what is wrong is noted.
    """

    def __init__(self, node: MapNode, what: str, problems: Problems) -> None:
        self.node = node
        self.what = what
        self.problems = problems
        self._asked: dict[str, None] = {}

    def entry(self, key: str) -> Entry | None:
        """Return the key and its node, unless it is absent or empty (`key:` and nothing more)."""
        self._asked[key] = None
        entry = self.node.entries.get(key)
        if entry is None or (isinstance(entry.node, ScalarNode) and entry.node.value is None):
            return None
        return entry

    def has(self, key: str) -> bool:
        """Return whether the key is there, be it empty."""
        self._asked[key] = None
        return key in self.node.entries

    def text(self, key: str) -> str | None:
        """Return a single value as it was written."""
        entry = self.entry(key)
        return scalar_text(entry.node, f"'{key}' of {self.what}", self.problems) if entry else None

    def name(self, key: str) -> Name | None:
        """Return a single value with its place."""
        entry = self.entry(key)
        text = self.text(key)
        return Name(text, entry.node.mark) if entry and text is not None else None

    def names(self, key: str) -> tuple[Name, ...]:
        """Return a list of single values; one value alone counts as a list of one."""
        entry = self.entry(key)
        if entry is None:
            return ()
        what = f"'{key}' of {self.what}"
        nodes = entry.node.items if isinstance(entry.node, ListNode) else [entry.node]
        texts = [(scalar_text(node, what, self.problems), node.mark) for node in nodes]
        return tuple(Name(text, mark) for text, mark in texts if text is not None)

    def flag(self, key: str, *, default: bool) -> bool:
        """Return a yes or no."""
        entry = self.entry(key)
        if entry is None:
            return default
        if isinstance(entry.node, ScalarNode) and isinstance(entry.node.value, bool):
            return entry.node.value
        self.problems.add(entry.node.mark, f"'{key}' of {self.what} must be true or false")
        return default

    def number(self, key: str) -> float | None:
        """Return a number."""
        entry = self.entry(key)
        if entry is None:
            return None
        value = entry.node.value if isinstance(entry.node, ScalarNode) else None
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value
        self.problems.add(entry.node.mark, f"'{key}' of {self.what} must be a number")
        return None

    def value(self, key: str) -> Value | None:
        """Return a single value that may hold an expression."""
        entry = self.entry(key)
        return scalar_value(entry, f"'{key}' of {self.what}", self.problems) if entry else None

    def values(self, key: str) -> dict[str, Value]:
        """Return a map of single values that may hold expressions; what is wrong is None in it."""
        return {
            name: scalar_value(entry, f"'{name}' in '{key}' of {self.what}", self.problems)
            or Value(None, entry.node.mark, entry.mark)
            for name, entry in self.map(key).items()
        }

    def map(self, key: str) -> dict[str, Entry]:
        """Return the entries of a map."""
        entry = self.entry(key)
        if entry is None:
            return {}
        if isinstance(entry.node, MapNode):
            return entry.node.entries
        self.problems.add(entry.node.mark, f"'{key}' of {self.what} must be a map of names")
        return {}

    def fields(self, key: str, what: str) -> Fields | None:
        """Return the keys of a map of known keys."""
        entry = self.entry(key)
        if entry is None:
            return None
        if isinstance(entry.node, MapNode):
            return Fields(entry.node, what, self.problems)
        self.problems.add(entry.node.mark, f"'{key}' of {self.what} must be a map of keys")
        return None

    def variables(self, key: str) -> dict[str, Value]:
        """Return a map of environment variables."""
        values = self.values(key)
        for name, value in values.items():
            self._check_variable(name, value.key or value.mark, key)
        return values

    def variable_names(self, key: str) -> tuple[str, ...]:
        """Return a list of names of environment variables."""
        names = self.names(key)
        for name in names:
            self._check_variable(name.text, name.mark, key)
        return tuple(name.text for name in names)

    def _check_variable(self, name: str, mark: Mark, key: str) -> None:
        if not _VARIABLE.fullmatch(name):
            self.problems.add(
                mark,
                f"'{name}' in '{key}' of {self.what} can't name an environment variable: "
                "letters, digits and '_' only, no digit first",
            )

    def path(self, key: str) -> str | None:
        """Return a relative path that stays inside the directory it is relative to."""
        entry = self.entry(key)
        text = self.text(key)
        if entry is None or text is None:
            return None
        return checked_path(text, entry.node.mark, f"'{key}' of {self.what}", self.problems)

    def directory(self, key: str) -> str | None:
        """Return a relative path as `path` does, where `.` is the directory itself."""
        return "." if self.text(key) in {".", "./"} else self.path(key)

    def size_bytes(self, key: str) -> int:
        """Return a size such as 512MiB as a number of bytes, 0 if it is absent or wrong."""
        size = self.name(key)
        if size is None:
            return 0
        found = _SIZE.fullmatch(size.text)
        if found:
            return int(float(found[1]) * _UNITS[found[2] or ""])
        self.problems.add(
            size.mark,
            f"'{key}' of {self.what} must be a size such as 512MiB or 2GB, not '{size.text}'",
        )
        return 0

    def refuse(self, key: str, text: str) -> None:
        """Note that the key can't be used, if it is there."""
        if self.has(key):
            self.problems.add(self.node.entries[key].mark, text)

    def unknown(self) -> list[str]:
        """Return the keys that nobody has asked for so far."""
        return [key for key in self.node.entries if key not in self._asked]

    def end(self, *, unknown_is_error: bool, not_yet: Mapping[str, str] | None = None) -> None:
        """Note every key that nobody asked for.

        Args:
            unknown_is_error: else it is a warning.
            not_yet: keys that are not built yet, each with what works instead.
        """
        for key, entry in self.node.entries.items():
            if key in self._asked:
                continue
            if not_yet and key in not_yet:
                self.problems.add(entry.mark, not_available(key, self.what, not_yet[key]))
                continue
            hint = did_you_mean(key, self._asked) or f" Known are: {listed(self._asked, most=30)}."
            if unknown_is_error:
                self.problems.add(entry.mark, f"{self.what} has no key '{key}'.{hint}")
            else:
                text = f"{self.what} has no key '{key}': it is ignored, as in MLflow.{hint}"
                self.problems.warn(entry.mark, text)


def not_available(key: str, what: str, instead: str) -> str:
    """Return the message for a part of the grammar that is still to come."""
    return f"'{key}' of {what} is not available in this version of flowrun; {instead}"


def scalar_text(node: Node, what: str, problems: Problems) -> str | None:
    """Return a single value as it was written, or note that it is none."""
    if isinstance(node, ScalarNode) and node.value is not None:
        return node.text
    problems.add(node.mark, f"{what} must be a single value")
    return None


def scalar_value(entry: Entry, what: str, problems: Problems) -> Value | None:
    """Return a single value that may hold an expression, or note that it is none."""
    node = entry.node
    if isinstance(node, ScalarNode) and node.value is not None:
        return Value(node.value, node.mark, entry.mark)
    problem = "has no value" if isinstance(node, ScalarNode) else "must be a single value"
    problems.add(node.mark, f"{what} {problem}")
    return None


def checked_path(text: str, mark: Mark, what: str, problems: Problems) -> str | None:
    """Return the path in its plain form, or note why it can't be used."""
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts:
        problems.add(mark, f"{what} must be a relative path without '..', not '{text}'")
        return None
    if not path.parts or _CONTROL.search(text):
        problems.add(mark, f"{what} is no usable path: {text!r}")
        return None
    return str(path)


def one_of(names: Iterable[str]) -> str:
    """Return the names as people list alternatives: `a, b or c`."""
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last
