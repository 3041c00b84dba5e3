"""The manifest of a step: all that decides what it does, as one list of labelled lines.

    step/1
    code: sha256:6b86...
    command: python train.py --data {data} --lr {lr}
    environment: virtualenv 4fc8...
    input data: .csv 9f86...
    output model: model (model)
    parameter lr: 0.1

It is hashed to decide whether a step need not run again, and printed to explain why it must. What
is not in it has no say: times, people, machines, names of steps, the order of declarations.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from flowrun.valueclass import valueclass

TAG = "step/1"
"""Kind and version: the first line. Another version's fingerprints equal none of this one's."""
MAX_VALUE_LENGTH = 300
"""A longer value stands in the manifest as its digest."""


class Kind(StrEnum):
    """What a line is about; the first word of its label."""

    COMMAND = "command"
    CODE = "code"
    ENVIRONMENT = "environment"
    CONTAINER = "container"
    PARAMETER = "parameter"
    INPUT = "input"
    AFTER = "after"
    """The fingerprint of a step that it names in its `needs`: what that did without handing it on
    may matter."""
    OUTPUT = "output"
    METRICS = "metrics"
    VARIABLE = "variable"
    SECRET = "secret"  # noqa: S105 - the word itself


@dataclass(frozen=True, slots=True, order=True)
class Label:
    """What a line is about: `parameter lr`; `name` is '' where there can be one only."""

    kind: Kind
    name: str = ""

    def __str__(self) -> str:
        """Return it as it stands in the manifest."""
        return f"{self.kind} {_escaped(self.name)}" if self.name else str(self.kind)


@valueclass
class Manifest:
    """The lines of one step, but for the first, which is the same for all."""

    lines: Mapping[Label, str]

    @classmethod
    def of(cls, lines: Mapping[Label, str]) -> Manifest:
        """Make one; values may be of any length and hold anything."""
        return cls({label: _short(value) for label, value in lines.items()})

    @classmethod
    def parse(cls, text: str) -> Manifest | None:
        """Read the text of one; None if it is another version's.

        A text that was cut, or has kinds of lines that are not known, gives what is whole.
        """
        first, *lines = text.split("\n")
        if first != TAG:
            return None
        if lines and lines[-1] != "":  # cut within a line
            del lines[-1]
        found: dict[Label, str] = {}
        for line in lines:
            label, colon, value = line.partition(": ")
            kind, _, name = label.partition(" ")
            if colon and kind in _KINDS:
                found[Label(Kind(kind), _unescaped(name))] = _unescaped(value)
        return cls(found)

    @property
    def text(self) -> str:
        """All lines, the first one too, ordered by their labels."""
        lines = sorted(f"{label}: {_escaped(value)}" for label, value in self.lines.items())
        return "\n".join([TAG, *lines]) + "\n"

    @property
    def fingerprint(self) -> str:
        """The sha256 of the text, 64 hex digits: steps with the same one do the same."""
        return hashlib.sha256(self.text.encode("utf-8", "surrogateescape")).hexdigest()


@valueclass
class Difference:
    """One line that two manifests do not have in common; None: that one has no such line."""

    label: Label
    before: str | None
    after: str | None

    def __str__(self) -> str:
        """Return it in words: `parameter lr: 0.1 -> 0.2`."""
        what = _SUBJECTS.get(self.label.kind, str(self.label.kind))
        what = f"{what} {self.label.name}" if self.label.name else what
        shows = self.label.kind in _SHOWN
        if self.label.kind is Kind.AFTER:
            what = f"{what}, which it needs,"
        if self.before is None:
            return f"{what} is new" + (f": {self.after}" if shows else "")
        if self.after is None:
            return f"{what} is gone" + (f" (it was {self.before})" if shows else "")
        return f"{what}: {self.before} -> {self.after}" if shows else f"{what} changed"


_KINDS = frozenset(Kind)
_SUBJECTS = {
    Kind.OUTPUT: "declared output",
    Kind.METRICS: "metrics file",
    Kind.AFTER: "step",
}
_SHOWN = frozenset({Kind.PARAMETER, Kind.VARIABLE, Kind.OUTPUT, Kind.METRICS, Kind.CONTAINER})
"""Of these the values say something to people."""
_ORDER = {kind: place for place, kind in enumerate(Kind)}


def differences(before: Manifest, after: Manifest) -> tuple[Difference, ...]:
    """Return what changed from one manifest to the other: command first, then code, and so on."""
    labels = {*before.lines, *after.lines}
    found = [
        Difference(label, before.lines.get(label), after.lines.get(label))
        for label in sorted(labels, key=lambda label: (_ORDER[label.kind], label.name))
    ]
    return tuple(each for each in found if each.before != each.after)


@valueclass
class CodeFile:
    """A file of a project's tree."""

    mode: str
    """Six octal digits, as git writes them."""
    oid: str
    """git's id of its content."""
    path: str
    """Relative to the project's directory."""


def code_digest(files: Iterable[CodeFile]) -> str:
    """Return the digest of a step's code: modes, contents and names, in whatever order."""
    lines = sorted(f"{file.mode} {file.oid} {file.path}" for file in files)
    # Ended by NUL, which no name can hold, as a name may hold what looks like the next line.
    text = "\0".join(["code/1", *lines])
    return f"sha256:{hashlib.sha256(text.encode('utf-8', 'surrogateescape')).hexdigest()}"


@valueclass
class CodeChange:
    """A file that is not as it was."""

    path: str
    what: str
    """`changed`, `is new` or `is gone`."""

    def __str__(self) -> str:
        """Return it in words: `train.py changed`."""
        return f"{self.path} {self.what}"


def code_changes(before: Iterable[CodeFile], after: Iterable[CodeFile]) -> tuple[CodeChange, ...]:
    """Return which files changed, ordered by path."""
    old, new = {file.path: file for file in before}, {file.path: file for file in after}
    return tuple(
        CodeChange(path, _what(old.get(path), new.get(path)))
        for path in sorted({*old, *new})
        if old.get(path) != new.get(path)
    )


def _what(old: CodeFile | None, new: CodeFile | None) -> str:
    if old is None:
        return "is new"
    return "changed" if new is not None else "is gone"


@valueclass
class Reason:
    """Why a step ran, or would run: what is different from the nearest earlier run of it."""

    differences: tuple[Difference, ...]
    details: Mapping[Label, str] = field(default_factory=dict)
    """More exact words for some of them (`code: train.py changed`)."""

    def __str__(self) -> str:
        """Return it in one line."""
        return "; ".join(self.details.get(each.label) or str(each) for each in self.differences)


def _short(value: str) -> str:
    if len(value) <= MAX_VALUE_LENGTH:
        return value
    digest = hashlib.sha256(value.encode("utf-8", "surrogateescape")).hexdigest()
    return f"sha256:{digest} ({len(value)} characters)"


def _escaped(text: str) -> str:
    """Return a text that ends neither a line nor a label."""
    if "\\" in text or "\n" in text or ": " in text or "\r" in text:
        text = text.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
        text = text.replace(": ", ":\\s")
    return text


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    parts = text.split("\\\\")
    for escape, meaning in (("\\n", "\n"), ("\\r", "\r"), ("\\s", " ")):
        parts = [part.replace(escape, meaning) for part in parts]
    return "\\".join(parts)
