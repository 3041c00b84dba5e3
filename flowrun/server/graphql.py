"""As much of GraphQL as MLflow's web page sends: one query, its arguments, and what it selects.

No fragments, unions, directives that do anything, or introspection: what is more is refused in
words. Source: the GraphQL specification, October 2021, section 2.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import field

from flowrun.errors import InvalidValueError
from flowrun.valueclass import valueclass

MAX_DEPTH = 12
MAX_TOKENS = 2000

_SPACE = re.compile(r"(?:[\s,\ufeff]|#[^\n\r]*)+")
_TOKEN = re.compile(r'"(?:\\.|[^"\\\n])*"|-?\d+(?:\.\d+)?|[_A-Za-z]\w*|\.\.\.|[{}()\[\]:!$@=|]')
_CONSTANTS: Mapping[str, object] = {"true": True, "false": False, "null": None}


@valueclass
class Selected:
    """A field that is asked for."""

    name: str
    alias: str
    """What it is called in the answer."""
    arguments: Mapping[str, object]
    """With variables put in."""
    fields: tuple[Selected, ...] = field(default=())
    """What is asked for of it; empty for a plain value."""


def parse_query(text: str, variables: Mapping[str, object]) -> tuple[Selected, ...]:
    """Give what a document asks for, which must hold one query and nothing else.

    Raises:
        InvalidValueError: it is no GraphQL, or more of it than is understood here.
    """
    reader = _Reader(_tokens(text), variables)
    if reader.peek() != "{":
        reader.expect("query")
        if reader.peek() not in {"{", "(", "@"}:
            reader.take()  # its name
        if reader.peek() == "(":
            reader.skip_parentheses()
        reader.skip_directives()
    selected = reader.selection(depth=0)
    if reader.peek() is not None:
        raise InvalidValueError("Only one query of a GraphQL document is answered here.")
    return selected


def _tokens(text: str) -> list[str]:
    found: list[str] = []
    place = 0
    while place < len(text):
        if space := _SPACE.match(text, place):
            place = space.end()
            continue
        word = _TOKEN.match(text, place)
        if word is None:
            raise InvalidValueError(f"Syntax error in GraphQL at character {place}.")
        found.append(word[0])
        place = word.end()
        if len(found) > MAX_TOKENS:
            raise InvalidValueError(f"A GraphQL document may have at most {MAX_TOKENS} words.")
    return found


class _Reader:
    """Goes through the words of a document once."""

    def __init__(self, tokens: list[str], variables: Mapping[str, object]) -> None:
        self._tokens = tokens
        self._place = 0
        self._variables = variables

    def peek(self) -> str | None:
        return self._tokens[self._place] if self._place < len(self._tokens) else None

    def take(self) -> str:
        word = self.peek()
        if word is None:
            raise InvalidValueError("The GraphQL document ends too early.")
        self._place += 1
        return word

    def expect(self, wanted: str) -> None:
        word = self.take()
        if word != wanted:
            raise InvalidValueError(f"GraphQL: expected '{wanted}', found '{word}'.")

    def skip_parentheses(self) -> None:
        depth = 0
        while True:
            word = self.take()
            depth += (word == "(") - (word == ")")
            if depth == 0:
                return

    def skip_directives(self) -> None:
        while self.peek() == "@":
            self.take()
            self.take()
            if self.peek() == "(":
                self.skip_parentheses()

    def selection(self, depth: int) -> tuple[Selected, ...]:
        if depth > MAX_DEPTH:
            raise InvalidValueError(f"A GraphQL query may be at most {MAX_DEPTH} levels deep.")
        self.expect("{")
        found = []
        while self.peek() != "}":
            found.append(self._field(depth))
        self.take()
        if not found:
            raise InvalidValueError("GraphQL: a selection must name a field.")
        return tuple(found)

    def _field(self, depth: int) -> Selected:
        alias = name = self._name()
        if self.peek() == ":":
            self.take()
            name = self._name()
        arguments = self._arguments()
        self.skip_directives()
        fields = self.selection(depth + 1) if self.peek() == "{" else ()
        return Selected(name, alias, arguments, fields)

    def _name(self) -> str:
        word = self.take()
        if not word.isidentifier():
            raise InvalidValueError(f"GraphQL: expected the name of a field, found '{word}'.")
        return word

    def _arguments(self) -> dict[str, object]:
        found: dict[str, object] = {}
        if self.peek() != "(":
            return found
        self.take()
        while self.peek() != ")":
            name = self._name()
            self.expect(":")
            found[name] = self._value(depth=0)
        self.take()
        return found

    def _value(self, depth: int) -> object:
        word = self.take()
        if depth > MAX_DEPTH:
            raise InvalidValueError(f"A GraphQL value may be at most {MAX_DEPTH} levels deep.")
        if word == "$":
            return self._variables.get(self._name())
        if word == "[":
            items = []
            while self.peek() != "]":
                items.append(self._value(depth + 1))
            self.take()
            return items
        if word == "{":
            members: dict[str, object] = {}
            while self.peek() != "}":
                name = self._name()
                self.expect(":")
                members[name] = self._value(depth + 1)
            self.take()
            return members
        return _constant(word)


def _constant(word: str) -> object:
    if word in _CONSTANTS:
        return _CONSTANTS[word]
    if word.isidentifier():
        return word  # of an enum
    try:
        return json.loads(word)
    except ValueError:
        raise InvalidValueError(f"GraphQL: '{word}' is no value.") from None
