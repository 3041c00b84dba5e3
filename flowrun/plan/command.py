"""The one shell command of a step: MLflow's template with every value quoted."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import PurePosixPath

from flowrun.errors import PlanError
from flowrun.plan.plan import CommandAction
from flowrun.spec.template import Placeholder, Quoting, template_parts
from flowrun.spec.values import PARAMETER_NAME, meaning

_NEEDS_NO_QUOTES = re.compile(r"[\w@%+=:,./-]+", re.ASCII)
_SPECIAL_IN_DOUBLE_QUOTES = re.compile(r'([\\"$`])')


def command_line(action: CommandAction, arguments: Mapping[str, str]) -> str:
    """Return the command for `bash -c`, as MLflow would make it but for hostile values.

    Args:
        action: its template's placeholders take the arguments of their names.
        arguments: every declared parameter's value, and any others; those that are neither
            declared nor in the template are appended as ` --name value`, in their order.

    Raises:
        PlanError: a placeholder stands where no quoting protects its value (inside `'...'`,
            backticks, a here-document), and the value has special characters; or a value holds
            a NUL.
    """
    parts = template_parts(action.template)
    texts = [part if isinstance(part, str) else _placed(part, action, arguments) for part in parts]
    used = {part.name for part in parts if isinstance(part, Placeholder)}
    for name, value in arguments.items():
        if name not in used and name not in action.parameters:
            texts.append(f" --{_checked_name(name)} {_quoted(name, value)}")
    return "".join(texts)


def script_command(entry_point: str) -> str | None:
    """Return the template that runs a script file as an entry point, or None if it is no script.

    Source: mlflow/projects/_project_spec.py, `get_entry_point`; the shell is the step's `$SHELL`.
    """
    quoted = shlex.quote(entry_point).replace("{", "{{").replace("}", "}}")
    match PurePosixPath(entry_point).suffix:
        case ".py":
            return f"python {quoted}"
        case ".sh":
            return f'"${{{{SHELL:-bash}}}}" {quoted}'
        case ".R":
            # The name stands in an R text in a shell text, and is escaped for both.
            source = entry_point.replace("\\", "\\\\").replace("'", "\\'")
            code = _SPECIAL_IN_DOUBLE_QUOTES.sub(r"\\\1", f"mlflow::mlflow_source('{source}')")
            return f'Rscript -e "{code}" --args'.replace("{", "{{").replace("}", "}}")
        case _:
            return None


def _placed(placeholder: Placeholder, action: CommandAction, arguments: Mapping[str, str]) -> str:
    value = arguments[placeholder.name]
    declared = action.parameters.get(placeholder.name)
    if declared is not None and declared.flag is not None:
        if meaning(declared, value) is not True:
            return ""
        value = declared.flag
    quoted = _quoted(placeholder.name, value)
    if placeholder.quoting is Quoting.DOUBLE:
        # MLflow's quotes stay, for a nested `bash -c "... {p}"`; the outer shell must pass
        # them on as they are.
        quoted = _SPECIAL_IN_DOUBLE_QUOTES.sub(r"\\\1", quoted)
    elif placeholder.quoting is Quoting.UNSAFE and not _NEEDS_NO_QUOTES.fullmatch(value):
        raise PlanError(
            f"parameter '{placeholder.name}' has the value '{value}', but the command has "
            f"{{{placeholder.name}}} inside quotes or the like, where such a value can't be "
            f"protected; let {{{placeholder.name}}} stand by itself in the command"
        )
    return f"{quoted:{placeholder.padding}}"


def _quoted(name: str, value: str) -> str:
    if "\0" in value:
        raise PlanError(f"parameter '{name}' holds a NUL character, which no command can take")
    return shlex.quote(value)


def _checked_name(name: str) -> str:
    if not PARAMETER_NAME.fullmatch(name):
        raise PlanError(
            f"parameter '{name}' can't become an option: letters, digits and _ - . : / only"
        )
    return name
