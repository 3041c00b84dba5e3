"""YAML text to nodes that know their line and column.

Built from the parser's events instead of PyYAML's composer: events come one by one, so that depth
and aliases are bounded before they cost anything, whatever the file. Scalars become what
`yaml.safe_load` would make of them, because that is what MLflow's `str()` of a default sees.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml

from flowrun.errors import Problem, SpecError
from flowrun.spec.problems import Problems
from flowrun.spec.project import Mark, Plain, Scalar

MAX_DEPTH = 40
"""Ours needs 9: a docker_env's variables, inside a step."""
MAX_ALIASED_NODES = 10_000
"""How many nodes all aliases and merges together may stand for: a bomb has billions."""
MAX_NODES = 1_000_000
"""Of a whole file: bounds the memory that a file of commas takes."""

_TAG = "tag:yaml.org,2002:"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_RESOLVER = yaml.resolver.Resolver()
_CONSTRUCTOR = yaml.constructor.SafeConstructor()


@dataclass(slots=True)
class ScalarNode:
    """A single value: `value` as YAML resolves it, `text` as it was written."""

    mark: Mark
    value: Scalar
    text: str
    size: int = 1


@dataclass(slots=True)
class ListNode:
    """A list."""

    mark: Mark
    items: list[Node] = field(default_factory=list)
    size: int = 1


@dataclass(slots=True)
class Entry:
    """One key of a map, with the key's own place."""

    mark: Mark
    node: Node


@dataclass(slots=True)
class MapNode:
    """A map. Keys are text as written: an entry point may be called `on` or `1`."""

    mark: Mark
    entries: dict[str, Entry] = field(default_factory=dict)
    size: int = 1


Node = ScalarNode | ListNode | MapNode
"""`size` counts the node and all under it, with what aliases stand for."""


def read_yaml(text: str, file: str, problems: Problems) -> Node | None:
    """Return the root node of `text`, or None for an empty document.

    Duplicate keys are added to `problems`; reading goes on after them.

    Raises:
        SpecError: the text is no YAML, or uses what a project file has no use for (tags such as
            `!!python/...`, a second document, too many aliases, too deep).
    """
    return _Builder(file, problems).build(text)


def plain(node: Node) -> Plain:
    """Return the node's value without places, as `yaml.safe_load` gives it."""
    match node:
        case ScalarNode():
            return node.value
        case ListNode():
            return [plain(item) for item in node.items]
        case MapNode():
            return {key: plain(entry.node) for key, entry in node.entries.items()}


class _Builder:
    """Turns one stream of events into nodes, with a stack of its own instead of recursion."""

    def __init__(self, file: str, problems: Problems) -> None:
        self._file = file
        self._start_mark = Mark(file, 1, 1)
        self._problems = problems
        self._anchors: dict[str, Node | None] = {}
        """None while the node is still open: an alias to it would contain itself."""
        self._aliased = 0
        self._count = 0
        self._open: list[_Open] = []
        self._root: Node | None = None
        self._documents = 0

    def build(self, text: str) -> Node | None:
        for event in self._events(text):
            match event:
                case yaml.ScalarEvent():
                    self._remember(event.anchor, self._put(self._scalar(event)))
                case yaml.AliasEvent():
                    self._put(self._alias(event))
                case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                    self._start(event)
                case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                    opened = self._open.pop()
                    self._remember(opened.anchor, self._put(opened.node))
                case yaml.DocumentStartEvent():
                    self._documents += 1
                    if self._documents > 1:
                        raise self._refuse(event, "a project file is one YAML document, not two")
                case _:
                    pass
        return self._root

    def _events(self, text: str) -> Iterator[yaml.Event]:
        try:
            yield from yaml.parse(text, Loader=_LOADER)
        except yaml.MarkedYAMLError as error:
            raise self._refuse_text(error) from error
        except yaml.reader.ReaderError as error:
            before = text[: error.position]
            line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
            text = f"the character U+{_code(error.character):04X} is not allowed in a YAML file"
            raise SpecError([Problem(self._file, line, column, text)]) from error

    def _start(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent) -> None:
        if len(self._open) >= MAX_DEPTH:
            raise self._refuse(event, f"nested more than {MAX_DEPTH} levels deep")
        is_map = isinstance(event, yaml.MappingStartEvent)
        if event.tag not in {None, "!", _TAG + ("map" if is_map else "seq")}:
            raise self._refuse_tag(event, event.tag)
        node = MapNode(self._mark(event)) if is_map else ListNode(self._mark(event))
        if event.anchor:
            self._anchors[event.anchor] = None
        self._open.append(_Open(node, event.anchor))

    def _scalar(self, event: yaml.ScalarEvent) -> ScalarNode:
        tag = event.tag
        if tag is None or tag == "!":
            tag = _resolve(event)
        mark = self._mark(event)
        kind = tag.removeprefix(_TAG)
        if kind in {"str", "merge", "value"}:
            return ScalarNode(mark, event.value, event.value)
        try:
            value = _construct(kind, event.value)
        except ValueError as error:
            raise self._refuse(event, f"'{event.value[:40]}' is no {kind}: {error}") from error
        except KeyError:
            raise self._refuse_tag(event, tag) from None
        return ScalarNode(mark, value, event.value)

    def _alias(self, event: yaml.AliasEvent) -> Node:
        node = self._anchors.get(event.anchor or "")
        if node is None:
            is_open = event.anchor in self._anchors
            told = "contains itself" if is_open else "has no anchor before it"
            raise self._refuse(event, f"the alias *{event.anchor} {told}")
        self._aliased += node.size
        if self._aliased > MAX_ALIASED_NODES:
            raise self._refuse(
                event, f"aliases stand for more than {MAX_ALIASED_NODES:,} values: write them out"
            )
        return node

    def _remember(self, anchor: str | None, node: Node) -> None:
        if anchor:
            self._anchors[anchor] = node

    def _put(self, node: Node) -> Node:
        """Put a complete node into the one that is open around it."""
        self._count += 1
        if self._count > MAX_NODES:
            raise SpecError([_problem_at(node.mark, f"more than {MAX_NODES:,} values")])
        if not self._open:
            self._root = node
            return node
        around = self._open[-1]
        around.node.size += node.size
        if isinstance(around.node, ListNode):
            around.node.items.append(node)
        elif around.key is None:
            around.key = self._key(node)
        else:
            self._put_entry(around, around.key, node)
            around.key = None
        return node

    def _key(self, node: Node) -> ScalarNode:
        if isinstance(node, ScalarNode):
            return node
        raise SpecError([_problem_at(node.mark, "a key must be a single word")])

    def _put_entry(self, around: _Open, key: ScalarNode, node: Node) -> None:
        entries = around.node.entries if isinstance(around.node, MapNode) else {}
        if key.text == "<<":
            self._merge(around, key, node)
        elif key.text in entries and key.text not in around.merged:
            first = entries[key.text].mark.line
            self._problems.add(key.mark, f"'{key.text}' is already there, in line {first}")
        else:
            # Taken out first, so that the order is the one in which the keys were written.
            entries.pop(key.text, None)
            around.merged.discard(key.text)
            entries[key.text] = Entry(key.mark, node)

    def _merge(self, around: _Open, key: ScalarNode, node: Node) -> None:
        """Take the keys that `<<` brings in, unless they are there already."""
        for source in node.items if isinstance(node, ListNode) else [node]:
            if not isinstance(source, MapNode) or not isinstance(around.node, MapNode):
                self._problems.add(key.mark, "'<<' merges maps; this is none")
                continue
            for name, entry in source.entries.items():
                if name not in around.node.entries:
                    around.node.entries[name] = entry
                    around.merged.add(name)

    def _mark(self, event: yaml.Event) -> Mark:
        start = event.start_mark
        return Mark(self._file, start.line + 1, start.column + 1) if start else self._start_mark

    def _refuse(self, event: yaml.Event, text: str) -> SpecError:
        return SpecError([_problem_at(self._mark(event), text)])

    def _refuse_tag(self, event: yaml.Event, tag: str) -> SpecError:
        shown = tag.replace(_TAG, "!!")
        return self._refuse(event, f"the YAML tag {shown} is not allowed in a project file")

    def _refuse_text(self, error: yaml.MarkedYAMLError) -> SpecError:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        context = f" {error.context}" if error.context else ""
        text = f"this is not YAML: {error.problem}{context}"
        return SpecError([Problem(self._file, line, column, text)])


@dataclass(slots=True)
class _Open:
    """A map or list whose end has not come yet."""

    node: MapNode | ListNode
    anchor: str | None
    key: ScalarNode | None = None
    merged: set[str] = field(default_factory=set)
    """Keys that came by `<<`, which a key of the map itself may still replace."""


def _resolve(event: yaml.ScalarEvent) -> str:
    """Return the tag that YAML 1.1 gives a scalar for its looks."""
    tag: str = _RESOLVER.resolve(yaml.ScalarNode, event.value, event.implicit)  # type: ignore[no-untyped-call]  # the stubs leave it out
    return tag


def _construct(kind: str, text: str) -> Scalar:
    """Return the value of a scalar that is not text. Dates become text, as `str()` gives it."""
    node = yaml.ScalarNode(_TAG + kind, text)
    match kind:
        case "null":
            return None
        case "bool":
            return bool(_CONSTRUCTOR.construct_yaml_bool(node))
        case "int":
            return int(_CONSTRUCTOR.construct_yaml_int(node))
        case "float":
            return float(_CONSTRUCTOR.construct_yaml_float(node))
        case "timestamp":
            return str(_CONSTRUCTOR.construct_yaml_timestamp(node))
        case _:
            raise KeyError(kind)


def _problem_at(mark: Mark, text: str) -> Problem:
    return Problem(mark.file, mark.line, mark.column, text)


def _code(character: str | int) -> int:
    return ord(character) if isinstance(character, str) else character
