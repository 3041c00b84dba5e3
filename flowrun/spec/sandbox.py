"""Jinja2's sandbox for `${{ }}`: what an expression may do, and which names it uses.

Imported only where an expression is more than a plain path: Jinja2 takes 50 ms to import. What is
left out (most filters, text methods that can make gigabytes of a few characters, `range`) is left
out so that planning a stranger's project can't be made slow or large by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache

from jinja2 import (
    StrictUndefined,
    TemplateError,
    TemplateSyntaxError,
    Undefined,
    UndefinedError,
    nodes,
)
from jinja2.environment import TemplateExpression
from jinja2.exceptions import SecurityError
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from flowrun.spec.expressions import (
    MAX_SEEN,
    ROOTS,
    STATUS_FUNCTIONS,
    Code,
    ExpressionSyntaxError,
    ExpressionValueError,
    Names,
    missing_text,
)
from flowrun.spec.filters import check_list, check_sum, join, string, total, truth
from flowrun.spec.problems import did_you_mean

FILTERS = frozenset(
    {
        *("abs", "bool", "count", "default", "first", "float", "int", "join", "last"),
        *("length", "list", "lower", "map", "max", "min", "reject", "rejectattr", "round"),
        *("select", "selectattr", "sort", "string", "sum", "title", "trim"),
        *("unique", "upper"),
    }
)
"""The filters that an expression may use."""
TEXT_METHODS = frozenset(
    {
        *("endswith", "isdigit", "lower", "lstrip", "rstrip", "split", "startswith"),
        *("strip", "title", "upper"),
    }
)
"""The methods of text that it may call."""

_MAX_POWER_BITS = 10_000


class _Sandbox(ImmutableSandboxedEnvironment):
    """The environment all expressions are read and evaluated in."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def is_safe_attribute(self, obj: object, attr: str, value: object) -> bool:
        """Allow a few methods of text, and nothing of any other object."""
        return isinstance(obj, str) and attr in TEXT_METHODS and callable(value)

    def getattr(self, obj: object, attribute: str) -> object:
        """Look a name up in a map before anything else: a metric may be called `items`."""
        if not isinstance(obj, Mapping):
            return super().getattr(obj, attribute)
        if attribute not in obj:
            return self.undefined(obj=obj, name=attribute)
        found = obj[attribute]
        if isinstance(found, str) and len(found) > MAX_SEEN:
            raise SecurityError(
                f"'{attribute}' is too long for a formula ({len(found):,} characters)"
            )
        return found

    def getitem(self, obj: object, argument: object) -> object:
        """Do the same for `metrics['val/loss']`."""
        if isinstance(obj, Mapping) and isinstance(argument, str):
            return self.getattr(obj, argument)
        return super().getitem(obj, argument)

    def call_binop(
        self,
        context: Context,
        operator: str,
        left: object,
        right: object,
    ) -> object:
        """Do arithmetic on numbers only: text and lists could be multiplied without end."""
        if operator == "+":
            check_sum(left, right)
            result: object = super().call_binop(context, operator, left, right)
            return result
        if not isinstance(left, int | float) or not isinstance(right, int | float):
            raise SecurityError(f"'{operator}' works on numbers only")
        match operator:
            case "*":
                return left * right
            case "%":
                return left % right
            case _:
                return _power(left, right)


def _power(base: float, exponent: float) -> int | float | complex:
    if isinstance(base, int) and base.bit_length() * abs(exponent) > _MAX_POWER_BITS:
        raise SecurityError(f"{base} ** {exponent} is too large")
    result: int | float | complex = base**exponent
    return result


class _Missing(StrictUndefined):
    """What an expression finds where there is nothing; using it fails with a story."""

    @property
    def _undefined_message(self) -> str:
        if self._undefined_obj is None:
            return f"none has no '{self._undefined_name}'; ask first whether it is none"
        if not isinstance(self._undefined_obj, Mapping):
            return f"a {type(self._undefined_obj).__name__} has no '{self._undefined_name}'"
        return missing_text(self._undefined_obj, str(self._undefined_name))


@cache
def environment() -> ImmutableSandboxedEnvironment:
    """Return the sandbox; the same one each time, since making it takes a millisecond."""
    sandbox = _Sandbox(undefined=_Missing)
    sandbox.globals.clear()
    own = {"bool": truth, "join": join, "string": string, "sum": total}
    every = {**sandbox.filters, **own}
    sandbox.filters = {name: every[name] for name in FILTERS}
    return sandbox


@cache
def compiled(code: Code) -> TemplateExpression:
    """Return the expression ready to be called with its names."""
    return environment().compile_expression(code.text, undefined_to_none=False)


def names_in(code: Code) -> Names:
    """Return the names an expression uses.

    Raises:
        ExpressionSyntaxError: it is no expression, or uses a name, filter, test or call that is
            not allowed.
    """
    try:
        walk = _Walk()
        walk.visit(_parse(code))
        compiled(code)
    except TemplateSyntaxError as error:
        raise ExpressionSyntaxError(f"'{code.text}': {error.message}") from error
    except (RecursionError, MemoryError, SyntaxError) as error:
        raise ExpressionSyntaxError("an expression nested too deeply") from error
    return Names(tuple(dict.fromkeys(walk.paths)), frozenset(walk.functions))


def value_of(code: Code, names: Mapping[str, object]) -> object:
    """Return what an expression comes to.

    Args:
        names: what it may use, as `names_in` lists them.

    Raises:
        ExpressionValueError: it can't be evaluated; the message says why.
    """
    try:
        value: object = compiled(code)(**names)
        if isinstance(value, Undefined):
            bool(value)  # raises with the story of what is missing
        if isinstance(value, list | tuple):
            check_list(value)
    except UndefinedError as error:
        raise ExpressionValueError(str(error)) from error
    except TypeError as error:
        hint = " (what a command writes to $FLOWRUN_OUTPUT is text; | float makes it a number)"
        raise ExpressionValueError(f"{error}{hint if 'str' in str(error) else ''}") from error
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        RecursionError,
        TemplateError,
        ValueError,
    ) as error:
        raise ExpressionValueError(str(error)) from error
    return value


def _parse(code: Code) -> nodes.Node:
    parser = Parser(environment(), code.text, state="variable")
    tree = parser.parse_expression()
    if not parser.stream.eos:
        token = parser.stream.current
        raise TemplateSyntaxError(f"'{token.value}' is one too many", token.lineno)
    return tree


class _Walk:
    """Collects the names of a syntax tree, refusing what is not allowed."""

    def __init__(self) -> None:
        self.paths: list[tuple[str, ...]] = []
        self.functions: list[str] = []

    def visit(self, node: nodes.Node) -> None:
        path = _path(node)
        if path:
            self._see(path)
            return
        match node:
            case nodes.Call():
                self._visit_call(node)
                return
            case nodes.Concat():
                raise ExpressionSyntaxError(
                    "there is no '~'; put '${{ }}' beside each other, or join a list"
                )
            case nodes.Filter():
                _require(node.name, environment().filters, "filter")
            case nodes.Test():
                _require(node.name, environment().tests, "test")
            case _:
                pass
        for child in node.iter_child_nodes():
            self.visit(child)

    def _see(self, path: tuple[str, ...]) -> None:
        root = path[0]
        if root in STATUS_FUNCTIONS:
            raise ExpressionSyntaxError(f"'{root}' is a function: write {root}()")
        if root not in ROOTS:
            raise ExpressionSyntaxError(
                f"'{root}' is no name here; an expression knows {', '.join(ROOTS)}."
                + did_you_mean(root, ROOTS)
            )
        self.paths.append(path)

    def _visit_call(self, call: nodes.Call) -> None:
        arguments = [*call.args, *call.kwargs]
        match call.node:
            case nodes.Name(name=str(name)) if name in STATUS_FUNCTIONS:
                if arguments:
                    raise ExpressionSyntaxError(f"{name}() takes no arguments")
                self.functions.append(name)
            case nodes.Getattr(attr=str(attribute)) if attribute in TEXT_METHODS:
                for part in [call.node.node, *arguments]:
                    self.visit(part)
            case _:
                every = ", ".join(f"{name}()" for name in STATUS_FUNCTIONS)
                raise ExpressionSyntaxError(
                    f"only {every} and the methods of text ({', '.join(sorted(TEXT_METHODS))}) "
                    "can be called"
                )


def _path(node: nodes.Node) -> tuple[str, ...] | None:
    """Return the names of `a.b['c']` if that is all the node is."""
    steps: list[str] = []
    while True:
        match node:
            case nodes.Getattr():
                steps.append(node.attr)
                node = node.node
            case nodes.Getitem(arg=nodes.Const(value=str(name))):
                steps.append(name)
                node = node.node
            case nodes.Name():
                return (node.name, *reversed(steps))
            case _:
                return None


def _require(name: str, known: Iterable[str], kind: str) -> None:
    if name not in known:
        raise ExpressionSyntaxError(f"there is no {kind} '{name}'.{did_you_mean(name, known)}")
