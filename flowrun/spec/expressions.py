"""The text between `${{` and `}}`: where it is, and which names it uses.

Plain paths (`steps.prepare.outputs.data`), which are nearly all there is, are read here; anything
else needs Jinja2, whose import alone takes longer than planning, and is loaded for it.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping
from functools import lru_cache

from flowrun.spec.problems import listed
from flowrun.valueclass import valueclass

ROOTS = ("params", "steps", "matrix", "item", "env", "champion")
"""The names that an expression may begin with."""
STATUS_FUNCTIONS = ("success", "failure", "always")
"""What may be called without arguments in an `if`."""
MAX_LENGTH = 4_000
"""Of one expression: bounds what evaluating it can cost."""
MAX_SEEN = 10_000
"""Characters of a text that a formula looks at; what is only passed on may be longer."""
MAX_MADE = 100_000
"""Characters that a value with expressions comes to: what a command's argument can hold."""
_REMEMBERED = 20_000
"""Texts: each is read by the checks, for the order of the steps, and when it is evaluated."""

_BODY = re.compile(r"""((?:[^'"}]|'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\}(?!\}))*)\}\}""", re.DOTALL)
_STEP = r"""(?:\.([A-Za-z_]\w*)|\[\s*(?:'([^'\\]*)'|"([^"\\]*)")\s*\])"""
_PATH = re.compile(rf"({'|'.join(ROOTS)})({_STEP}*)", re.ASCII)
_PATH_STEP = re.compile(_STEP, re.ASCII)
_STATUS_CALL = re.compile(rf"({'|'.join(STATUS_FUNCTIONS)})\(\s*\)")


class ExpressionSyntaxError(ValueError):
    """The expression can't be read, or uses what is not allowed; the message says what."""


class ExpressionValueError(ValueError):
    """The expression comes to nothing; the message says why."""


@valueclass
class Code:
    """One expression, without its braces."""

    text: str


@valueclass
class Names:
    """What an expression uses."""

    paths: tuple[tuple[str, ...], ...] = ()
    """Each reference as far as it is written out: `("steps", "train", "metrics", "rmse")`."""
    functions: frozenset[str] = frozenset()
    """Of STATUS_FUNCTIONS."""
    is_path: bool = False
    """The expression is one reference and nothing else."""


def has_expression(raw: object) -> bool:
    """Return whether a value as written holds an expression."""
    return isinstance(raw, str) and "${{" in raw


@lru_cache(maxsize=_REMEMBERED)
def parts_of(text: str) -> tuple[str | Code, ...]:
    """Return the literal and the evaluated parts of a text, in order.

    Raises:
        ExpressionSyntaxError: an expression has no end, or is empty.
    """
    parts: list[str | Code] = []
    position = 0
    while (start := text.find("${{", position)) >= 0:
        body = _BODY.match(text, start + 3)
        if body is None:
            raise ExpressionSyntaxError("'${{' without the '}}' that ends it")
        if start > position:
            parts.append(text[position:start])
        parts.append(Code(_checked(body[1].strip())))
        position = body.end()
    if position < len(text):
        parts.append(text[position:])
    return tuple(parts)


def condition_code(text: str) -> Code:
    """Return the expression of an `if`, which may leave the braces out.

    Raises:
        ExpressionSyntaxError: text around the braces would make every condition true.
    """
    if not has_expression(text):
        return Code(_checked(text.strip()))
    match parts_of(text.strip()):
        case (Code() as code,):
            return code
        case _:
            raise ExpressionSyntaxError(
                "an 'if' is one expression; text beside '${{ }}' would always be true"
            )


@lru_cache(maxsize=_REMEMBERED)
def path_of(code: Code) -> tuple[str, ...] | None:
    """Return the names of a plain path such as `params.lr`; None for anything else."""
    found = _PATH.fullmatch(code.text)
    if found is None:
        return None
    rest = _PATH_STEP.findall(found[2])
    return (found[1], *(dotted or single or double for dotted, single, double in rest))


def status_function_of(code: Code) -> str | None:
    """Return the function's name if the expression is `success()`, `failure()` or `always()`."""
    found = _STATUS_CALL.fullmatch(code.text)
    return found[1] if found else None


def missing_text(fields: Mapping[str, object], name: str) -> str:
    """Return why a map has no such name, with the names it has."""
    story = getattr(fields, "story", "there is no")
    return f"{story} '{name}' (it has: {listed(map(str, fields)) or 'nothing'})"


def value_of(code: Code, names: Mapping[str, object]) -> object:
    """Return what an expression that is no plain path comes to; see `sandbox.value_of`."""
    evaluated: Callable[[Code, Mapping[str, object]], object] = importlib.import_module(
        "flowrun.spec.sandbox"
    ).value_of
    return evaluated(code, names)


def names_in(code: Code) -> Names:
    """Return the names that an expression uses.

    Raises:
        ExpressionSyntaxError: it is no expression, or uses a name, filter or call that is not
            allowed.
    """
    path = path_of(code)
    if path is not None:
        return Names((path,), is_path=True)
    function = status_function_of(code)
    if function is not None:
        return Names(functions=frozenset({function}))
    read: Callable[[Code], Names] = importlib.import_module("flowrun.spec.sandbox").names_in
    return read(code)


def _checked(code: str) -> str:
    if not code:
        raise ExpressionSyntaxError("an empty expression")
    if len(code) > MAX_LENGTH:
        raise ExpressionSyntaxError(f"an expression longer than {MAX_LENGTH:,} characters")
    return code
