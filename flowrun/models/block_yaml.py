"""YAML as model folders have it, read with the standard library alone.

A step's environment may have no PyYAML. What is read is what `block_yaml_writing.py` and PyYAML's
`safe_dump` write in block style; for anything else (anchors, tags, flow collections, literal
blocks) there is `full_yaml.py`.
"""

from __future__ import annotations

import math
import re

_COLON = re.compile(r":(?:\s+|$)")
_QUOTED = {
    "'": re.compile(r"[^']*(?:''[^']*)*"),
    '"': re.compile(r'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL),
}
"""What may stand between the two of a kind."""
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?[0-9]+\.[0-9]*(?:[eE][-+][0-9]+)?")
_OTHER_NUMBER = re.compile(r"[-+]?[0-9.][0-9a-fA-FxXoO_.:+-]*")
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}.*")
_CONSTANTS: dict[str, object] = {
    **dict.fromkeys(("null", "Null", "NULL", "~", ""), None),
    **dict.fromkeys(("true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"), True),
    **dict.fromkeys(("false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"), False),
    **dict.fromkeys((".inf", "+.inf"), math.inf),
    "-.inf": -math.inf,
    ".nan": math.nan,
}
_EMPTY = frozenset({"{}", "[]"})
_ESCAPES = {
    "0": "\0",
    "a": "\a",
    "b": "\b",
    "t": "\t",
    "n": "\n",
    "v": "\v",
    "f": "\f",
    "r": "\r",
    "e": "\x1b",
    " ": " ",
    '"': '"',
    "/": "/",
    "\\": "\\",
    "N": "\x85",
    "_": "\xa0",
    "L": "\u2028",
    "P": "\u2029",
}
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL)
_INDICATORS = tuple("&*!|>{}[]%@`,#?")
_NO_KEY = (*_INDICATORS, "- ")
_NOT_PLAIN = (*_NO_KEY, "'", '"')
_MAX_DEPTH = 50
_MAX_DIGITS = 100


class NotBlockYamlError(ValueError):
    """The text is not of the kind read here; it may be YAML all the same."""


def parse(text: str) -> object:
    """Give what a YAML text says.

    Raises:
        NotBlockYamlError: it is none, or written in another way than is read here.
    """
    return _Reader(text).document()


class _Reader:
    """Reads from top to bottom; `_at` is the line that is next."""

    def __init__(self, text: str) -> None:
        self._lines = text.split("\n")
        self._at = 0
        self._depth = 0

    def document(self) -> object:
        if self._lines[0].rstrip() == "---":
            self._at = 1
        first = self._peek()
        if first is None:
            return None
        value = self._node(self._indent(first))
        if self._peek() is not None or not isinstance(value, (dict, list)):
            raise self._strange()
        return value

    def _peek(self) -> str | None:
        """Give the next line that says something."""
        while self._at < len(self._lines):
            line = self._lines[self._at]
            said = line.lstrip()
            if said and said[0] != "#":
                return line
            self._at += 1
        return None

    def _indent(self, line: str) -> int:
        said = line.lstrip(" ")
        if said[:1] == "\t":
            raise self._strange()
        return len(line) - len(said)

    def _node(self, indent: int) -> object:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise self._strange()
        content = self._lines[self._at][indent:].rstrip()
        if content == "-" or content.startswith("- "):
            value: object = self._sequence(indent)
        elif (first := self._key(content)) is not None:
            value = self._mapping(indent, first)
        else:
            self._at += 1
            value = self._scalar(content, indent - 1)
        self._depth -= 1
        return value

    def _mapping(self, indent: int, first: tuple[object, str]) -> dict[object, object]:
        found: dict[object, object] = {}
        pair: tuple[object, str] | None = first
        while True:
            if pair is None or pair[0] in found:
                raise self._strange()
            key, rest = pair
            self._at += 1
            found[key] = self._scalar(rest, indent) if rest else self._below(indent)
            line = self._peek()
            if line is None or self._indent(line) != indent:
                return found
            pair = self._key(line[indent:].rstrip())

    def _below(self, indent: int) -> object:
        """Give the value of a key with nothing behind it."""
        line = self._peek()
        if line is None:
            return None
        deeper = self._indent(line)
        content = line[deeper:].rstrip()
        is_list = deeper == indent and (content == "-" or content.startswith("- "))
        return self._node(deeper) if deeper > indent or is_list else None

    def _sequence(self, indent: int) -> list[object]:
        found: list[object] = []
        while True:
            line = self._peek()
            content = (line or "")[indent:].rstrip()
            is_item = content == "-" or content.startswith("- ")
            if line is None or self._indent(line) != indent or not is_item:
                return found
            inner = content[2:].lstrip()
            if not inner:
                self._at += 1
                below = self._peek()
                deeper = 0 if below is None else self._indent(below)
                found.append(self._node(deeper) if deeper > indent else None)
                continue
            # What follows the dash begins a node of its own, as if it stood on its own line.
            deeper = indent + len(content) - len(inner)
            self._lines[self._at] = " " * deeper + inner
            found.append(self._node(deeper))

    def _key(self, content: str) -> tuple[object, str] | None:
        """Give key and rest of a line that begins an entry of a mapping."""
        if content[:1] in _QUOTED:
            end = _end_of_quoted(content[0], content, 1)
            colon = _COLON.match(content, end + 1)
            if colon is None:
                return None
            return self._unquoted(content[0], content[1:end]), content[colon.end() :].strip()
        colon = _COLON.search(content)
        if colon is None or colon.start() == 0:
            return None
        if content.startswith(_NO_KEY):
            raise self._strange()
        key = content[: colon.start()].rstrip()
        return self._plain(key), content[colon.end() :].strip()

    def _scalar(self, text: str, indent: int) -> object:
        """Give a scalar that may go on in the lines below that are indented deeper."""
        if text in _EMPTY:
            return {} if text == "{}" else []
        if text.startswith(_INDICATORS):
            raise self._strange()
        if text[:1] in _QUOTED:
            return self._quoted(text)
        parts = [text]
        while self._at < len(self._lines):
            line = self._lines[self._at]
            deeper = len(line) - len(line.lstrip(" "))
            if not line.strip() or deeper <= indent or " #" in line or line.lstrip()[0] == "#":
                break
            if _COLON.search(line.strip()):
                raise self._strange()
            parts.append(line.strip())
            self._at += 1
        return self._plain(" ".join(parts))

    def _quoted(self, text: str) -> str:
        """Give a quoted text that may go on in the lines below; each is looked at once."""
        quote, line, parts = text[0], text[1:] + "\n", []
        while (end := _end_of_quoted(quote, line, 0)) == len(line):
            if self._at >= len(self._lines):
                raise self._strange()
            parts.append(line)
            line = self._lines[self._at].strip(" ") + "\n"
            self._at += 1
        if line[end + 1 :].strip():
            raise self._strange()
        return self._unquoted(quote, "".join(parts) + line[:end])

    def _unquoted(self, quote: str, text: str) -> str:
        is_double = quote == '"'
        if "\n" in text:
            if is_double:
                text = re.sub(r"\\\n", "", text)
            text = re.sub(r" *\n(\n*)", lambda found: found[1] or " ", text)
        return _ESCAPE.sub(self._unescaped, text) if is_double else text.replace("''", "'")

    def _unescaped(self, match: re.Match[str]) -> str:
        digits = match[1] or match[2] or match[3]
        try:
            return chr(int(digits, 16)) if digits else _ESCAPES[match[4]]
        except (KeyError, ValueError, OverflowError):
            raise self._strange() from None

    def _plain(self, text: str) -> object:
        if text in _CONSTANTS:
            return _CONSTANTS[text]
        if text[0].isalpha() and " #" not in text:
            return text  # most are; no number begins so
        if _INT.fullmatch(text) and len(text) <= _MAX_DIGITS:
            return int(text)
        if _FLOAT.fullmatch(text):
            return float(text)
        is_dated = _DATE.fullmatch(text)
        is_odd = " #" in text or text.startswith(_NOT_PLAIN)
        if is_odd or (_OTHER_NUMBER.fullmatch(text) and not is_dated):
            raise self._strange()
        return text

    def _strange(self) -> NotBlockYamlError:
        return NotBlockYamlError(f"line {min(self._at + 1, len(self._lines))}")


def _end_of_quoted(quote: str, text: str, begin: int) -> int:
    """Give where a quoted text ends, which begins there: at the other quote, or with the text."""
    inner = _QUOTED[quote].match(text, begin)
    return inner.end() if inner is not None else begin
