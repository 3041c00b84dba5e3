"""MLflow's command templates: `{name}` stands for a parameter, `{{` and `}}` for braces.

A template is a shell command, so where a placeholder stands decides how its value can be quoted:
`Quoting` says so for each, from a walk over the shell text before it.
"""

from __future__ import annotations

import re
import string
from enum import Enum, auto

from flowrun.valueclass import valueclass


class Quoting(Enum):
    """What the shell makes of the place where a placeholder stands."""

    WORD = auto()
    """Plain shell text."""
    DOUBLE = auto()
    """Inside `"..."`."""
    UNSAFE = auto()
    """Inside `'...'`, backticks, `${...}`, `$((...))`, a comment or a here-document."""


@valueclass
class Placeholder:
    """`{name}` or, padded, `{name:>8}`."""

    name: str
    padding: str
    quoting: Quoting


class TemplateError(ValueError):
    """The text is no template; the message says why, for people."""


_HERE_DOCUMENT = re.compile(r"<<(?!<)")
_PADDING = re.compile(r"[<>^]?[0-9]{0,4}s?")


def template_parts(template: str) -> tuple[str | Placeholder, ...]:
    """Return the template's pieces in order: literal shell text, and placeholders.

    Raises:
        TemplateError: an unmatched brace, or a field that is more than a name and a padding:
            attribute and index access would reach into Python objects.
    """
    shell = _ShellPlace()
    parts: list[str | Placeholder] = []
    for literal, name, spec, conversion in _fields(template):
        if literal:
            parts.append(literal)
            shell.pass_over(literal)
        if name is not None:
            parts.append(_placeholder(name, spec or "", conversion, shell.quoting))
            shell.pass_value()
    return tuple(parts)


def placeholders(template: str) -> tuple[Placeholder, ...]:
    """Return the template's placeholders in order; see `template_parts`."""
    return tuple(part for part in template_parts(template) if isinstance(part, Placeholder))


def _fields(template: str) -> list[tuple[str, str | None, str | None, str | None]]:
    try:
        return list(string.Formatter().parse(template))
    except ValueError as error:
        raise TemplateError(f"{error}; a literal brace is written {{{{ or }}}}") from error


def _placeholder(name: str, spec: str, conversion: str | None, quoting: Quoting) -> Placeholder:
    if not name or name.isdigit():
        raise TemplateError(
            f"{{{name}}} names no parameter; a literal {{{name}}} is written {{{{{name}}}}}"
        )
    if "." in name or "[" in name:
        raise TemplateError(f"{{{name}}} reaches into a value; only a parameter's name may stand")
    if conversion not in {None, "s"} or not _PADDING.fullmatch(spec):
        shown = f"{{{name}{f'!{conversion}' if conversion else ''}{f':{spec}' if spec else ''}}}"
        raise TemplateError(f"{shown} would break the value's quotes; write {{{name}}}")
    return Placeholder(name, spec.removesuffix("s"), quoting)


class _ShellPlace:
    """Follows the quotes of shell text, piece by piece."""

    def __init__(self) -> None:
        self._inside: list[str] = []
        """What is open, by its opening: `'`, `"`, `$'`, a backtick, `$(`, `(`, `${`, `$((`, `#`,
        `<<`."""
        self._is_word_start = True
        self._changes_next = False
        """The text ends in a backslash or a dollar sign, which would take hold of the value."""

    @property
    def quoting(self) -> Quoting:
        if self._changes_next or any(each not in {'"', "$(", "("} for each in self._inside):
            return Quoting.UNSAFE
        is_double = bool(self._inside) and self._inside[-1] == '"'
        return Quoting.DOUBLE if is_double else Quoting.WORD

    def pass_over(self, text: str) -> None:
        position = 0
        while position < len(text):
            position += self._step(text, position)
        self._is_word_start = text[-1:] in " \t\n;&|("
        self._changes_next = position > len(text) or text.endswith("$")

    def pass_value(self) -> None:
        self._is_word_start = False
        self._changes_next = False

    def _step(self, text: str, at: int) -> int:
        """Take the next token; return its length."""
        innermost = self._inside[-1] if self._inside else ""
        character = text[at]
        if innermost == "<<":
            return 1
        if innermost in {"'", "$'", "#"}:
            return self._step_verbatim(text, at, innermost)
        if character == "\\":
            return 2
        for opening in ("$((", "$(", "${"):
            if text.startswith(opening, at):
                self._inside.append(opening)
                return len(opening)
        if character == "`":
            self._toggle("`")
        elif character == '"':
            self._toggle('"')
        elif innermost == '"':
            return 1
        elif self._opens_here_document(text, at):
            self._inside.append("<<")
        elif character == "'":
            self._inside.append("$'" if text[at - 1 : at] == "$" else "'")
        elif character == "#" and self._starts_word(text, at):
            self._inside.append("#")
        elif character == "(":
            self._inside.append("(")
        elif character in ")}":
            return self._close(text, at, innermost)
        return 1

    def _step_verbatim(self, text: str, at: int, innermost: str) -> int:
        if innermost == "$'" and text[at] == "\\":
            return 2
        if text[at] == ("\n" if innermost == "#" else "'"):
            self._inside.pop()
        return 1

    def _close(self, text: str, at: int, innermost: str) -> int:
        if innermost == "$((" and text.startswith("))", at):
            self._inside.pop()
            return 2
        if (text[at] == "}" and innermost == "${") or (
            text[at] == ")" and innermost in {"$(", "("}
        ):
            self._inside.pop()
        return 1

    def _toggle(self, quote: str) -> None:
        if self._inside and self._inside[-1] == quote:
            self._inside.pop()
        else:
            self._inside.append(quote)

    def _starts_word(self, text: str, at: int) -> bool:
        return self._is_word_start if at == 0 else text[at - 1] in " \t\n;&|("

    def _opens_here_document(self, text: str, at: int) -> bool:
        return bool(_HERE_DOCUMENT.match(text, at)) and text[at - 1 : at] != "<"
