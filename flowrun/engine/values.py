"""Values that flow between steps."""

from __future__ import annotations

import json
from collections.abc import Mapping

from flowrun.engine.cache.digest import Digest
from flowrun.plan.plan import CommandAction


class OutputValue(str):
    """A declared output of a finished step: its URI as text, and what is known of it.

    It *is* the text (`runs:/<run id>/outputs/...` or `models:/m-...`), so an expression may do with
    it what it likes; passed on as a whole it keeps its digest.
    """

    __slots__ = ("digest", "is_gone", "is_model")

    digest: Digest
    is_model: bool
    is_gone: bool
    """It was temporary, and is removed: what it was is known, and nobody can have it."""

    @classmethod
    def of(cls, uri: str, digest: Digest, *, is_model: bool, is_gone: bool = False) -> OutputValue:
        """Make one."""
        value = cls(uri)
        value.digest = digest
        value.is_model = is_model
        value.is_gone = is_gone
        return value


def as_text(value: object) -> str:
    """Give a value as a command's argument would have it: as Python's `str`, lists as JSON."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, list | tuple | dict):
        return json.dumps(value)
    return str(value)


def with_defaults(action: CommandAction, arguments: Mapping[str, object]) -> dict[str, object]:
    """Give the declared parameters in their order, with defaults, then the undeclared ones."""
    values: dict[str, object] = {}
    for name, parameter in action.parameters.items():
        value = arguments.get(name)
        values[name] = parameter.default if value is None else value
    return values | {k: v for k, v in arguments.items() if k not in values}
