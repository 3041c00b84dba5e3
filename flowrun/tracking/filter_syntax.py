"""The form of MLflow's filters and orderings: text to tokens, tokens to clauses.

A filter is a list of comparisons joined by AND:

    metrics.rmse < 0.9 AND params."learning rate" = '0.1' AND tags.owner IS NOT NULL

What the names mean, and which comparisons are allowed, is in `filters.py`. MLflow parses filters
with a general SQL parser (sqlparse); this is the part of its language that it accepts afterwards.
Source: mlflow/utils/search_utils.py of MLflow 3.17.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from enum import Enum, auto

from flowrun.errors import InvalidValueError
from flowrun.valueclass import valueclass


class Kind(Enum):
    """What a token is; NAME includes text in double quotes, which may stand for a value."""

    NAME = auto()
    STRING = auto()
    NUMBER = auto()
    LIST = auto()
    OPERATOR = auto()
    OTHER = auto()


@valueclass
class Token:
    """A token as it was written."""

    kind: Kind
    text: str


@valueclass
class Clause:
    """One comparison; `value` is None for IS NULL and IS NOT NULL."""

    name: str
    operator: str
    value: Token | None


_TOKEN = re.compile(
    r"""(?P<SPACE>\s+)
    |(?P<NAME>(?:[^\W\d]\w*|`[^`]*`|"[^"]*")(?:\.(?:\w+|`[^`]*`|"[^"]*"))*)
    |(?P<STRING>'(?:''|\\'|[^'])*')
    |(?P<NUMBER>-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
    |(?P<LIST>\((?:[^()'"]|'[^']*'|"[^"]*")*\))
    |(?P<OPERATOR>[<>=~!]+)
    |(?P<OTHER>.)""",
    re.VERBOSE | re.DOTALL,
)
_WORD_OPERATORS: tuple[tuple[str, ...], ...] = (
    ("NOT", "IN"),
    ("IN",),
    ("LIKE",),
    ("ILIKE",),
    ("RLIKE",),
)
_NULL_OPERATORS: tuple[tuple[str, ...], ...] = (("IS", "NOT", "NULL"), ("IS", "NULL"))
_KEYWORDS = {"AND", "OR", "NOT", "IN", "IS", "NULL", "LIKE", "ILIKE", "RLIKE"}
_VALUES = {Kind.NAME, Kind.STRING, Kind.NUMBER, Kind.LIST}


def parse_filter(text: str) -> list[Clause]:
    """Give the comparisons of a filter; none for an empty one.

    Raises:
        InvalidValueError: the text is no list of comparisons joined by AND; the first token that
            does not fit is named.
    """
    tokens = list(_tokens(text))
    if Token(Kind.OTHER, ";") in tokens[:-1]:
        raise InvalidValueError(
            f"Search filter contained multiple expression {text!r}. Provide AND-ed expression list."
        )
    clauses: list[Clause] = []
    position = 0
    while position < len(tokens):
        if clauses:
            if not _is_word(tokens, position, "AND"):
                raise _misfit(tokens[position])
            position += 1
        clause, length = _clause_at(tokens, position)
        if clause is None:
            raise _misfit(tokens[min(position, len(tokens) - 1)])
        clauses.append(clause)
        position += length
    return clauses


def parse_ordering(text: str) -> tuple[str, bool]:
    """Give the name that an ordering such as `metrics.rmse DESC` names, and whether it ascends."""
    tokens = list(_tokens(text))
    if not 1 <= len(tokens) <= 2 or any(token.kind is not Kind.NAME for token in tokens):
        raise InvalidValueError(f"Invalid order_by clause '{text}'. Could not be parsed.")
    direction = tokens[1].text.upper() if len(tokens) == 2 else "ASC"
    if direction not in {"ASC", "DESC"}:
        raise InvalidValueError(f"Invalid ordering key in order_by clause '{text}'.")
    return tokens[0].text, direction == "ASC"


def unquoted(text: str) -> str:
    """Give a name or value without the quotes or backticks around it."""
    for quote in ("'", '"', "`"):
        if len(text) >= 2 and text[0] == text[-1] == quote:
            return text[1:-1]
    return text


def _tokens(text: str) -> Iterator[Token]:
    for match in _TOKEN.finditer(text):
        if match.lastgroup and match.lastgroup != "SPACE":
            yield Token(Kind[match.lastgroup], match.group())


def _clause_at(tokens: Sequence[Token], position: int) -> tuple[Clause | None, int]:
    if position + 2 >= len(tokens):
        return None, 0
    first = tokens[position]
    second = tokens[position + 1]
    if second.kind is Kind.OPERATOR and tokens[position + 2].kind in _VALUES:
        if first.kind in {Kind.STRING, Kind.NUMBER}:
            raise InvalidValueError(
                f"Invalid comparison clause. Expected 'Identifier' found '{first.text}'"
            )
        if _is_name(first):
            return Clause(first.text, second.text, tokens[position + 2]), 3
    if not _is_name(first):
        return None, 0
    for words in _NULL_OPERATORS:
        if _are_words(tokens, position + 1, words):
            return Clause(first.text, " ".join(words), None), 1 + len(words)
    for words in _WORD_OPERATORS:
        end = position + 1 + len(words)
        if _are_words(tokens, position + 1, words) and end < len(tokens):
            value = tokens[end]
            if value.kind in _VALUES and (value.kind is Kind.LIST) == ("IN" in words):
                return Clause(first.text, " ".join(words), value), 2 + len(words)
    return None, 0


def _misfit(token: Token) -> InvalidValueError:
    return InvalidValueError(f"Invalid clause(s) in filter string: '{token.text}'")


def _is_name(token: Token) -> bool:
    return token.kind is Kind.NAME and token.text.upper() not in _KEYWORDS


def _is_word(tokens: Sequence[Token], position: int, word: str) -> bool:
    return position < len(tokens) and tokens[position].text.upper() == word


def _are_words(tokens: Sequence[Token], position: int, words: Sequence[str]) -> bool:
    return all(_is_word(tokens, position + index, word) for index, word in enumerate(words))
