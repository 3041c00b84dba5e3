"""Checks a command template against the names it may use."""

from __future__ import annotations

import re
from collections.abc import Collection

from flowrun.spec.expressions import ROOTS
from flowrun.spec.problems import Problems, did_you_mean
from flowrun.spec.project import Name
from flowrun.spec.template import Placeholder, Quoting, TemplateError, placeholders

_EXPRESSION = re.compile(rf"\$\{{\{{\s*(?:{'|'.join(ROOTS)})\b\s*[.\[]")
"""`${{VAR}}` is MLflow's way to write the shell's `${VAR}`; `${{ params.x }}` can't be meant so."""


def check_command(
    command: Name, what: str, known: Collection[str], why_unknown: str, problems: Problems
) -> None:
    """Note what is wrong with a command.

    Args:
        what: names it in messages: `'run' of step 'check'`.
        known: the names that its placeholders may have.
        why_unknown: ends the message about another name: `which is no parameter`.
    """
    if not command.text.strip():
        problems.add(command.mark, f"{what} is empty")
    if _EXPRESSION.search(command.text):
        problems.add(
            command.mark,
            f"{what} can't hold an expression: a value never becomes shell text. "
            "Set a name in the step's 'with' to it, and write {name} here",
        )
        return
    try:
        found = placeholders(command.text)
    except TemplateError as error:
        problems.add(command.mark, f"{what}: {error}")
        return
    for placeholder in dict.fromkeys(found):
        _check_placeholder(placeholder, command, what, known, why_unknown, problems)


def _check_placeholder(
    placeholder: Placeholder,
    command: Name,
    what: str,
    known: Collection[str],
    why_unknown: str,
    problems: Problems,
) -> None:
    shown = f"{{{placeholder.name}}}"
    if placeholder.name not in known:
        hint = did_you_mean(placeholder.name, known)
        problems.add(command.mark, f"{what} uses {shown}, {why_unknown}.{hint}")
    elif placeholder.quoting is not Quoting.WORD:
        problems.warn(
            command.mark,
            f"{what} has {shown} inside quotes or the like; "
            "values are quoted already, as in MLflow: let it stand by itself",
        )
