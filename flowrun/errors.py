"""All errors that flowrun raises on purpose.

A message says where, what was found and what to do; the hint, if any, is the way out. What an
error means to a program (exit code, HTTP status) is decided at the edge: `cli/main.py` and
`server/problems.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class FlowrunError(Exception):
    """The common base: a message for people, and optionally what to do about it."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        """Return the message, with the hint on a line of its own."""
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class UsageError(FlowrunError):
    """The command line, a setting or an argument can't be used as it was given."""


class SourceError(FlowrunError):
    """The project's URI or version is wrong: not a project, no such ref, outside its repository."""


class UnreachableError(FlowrunError):
    """The project's URI may be right, but its host, file or git itself did not answer."""


@dataclass(frozen=True)
class Problem:
    """One mistake in a file: `file:line:column: text`; line and column count from 1."""

    file: str
    line: int
    column: int
    text: str

    def __str__(self) -> str:
        """Return the one line that a terminal or an editor understands."""
        return f"{self.file}:{self.line}:{self.column}: {self.text}"


class SpecError(FlowrunError):
    """The project file has mistakes: all of them, in the order of the file."""

    def __init__(self, problems: Sequence[Problem], hint: str | None = None) -> None:
        super().__init__("\n".join(str(problem) for problem in problems), hint)
        self.problems = tuple(problems)


class PlanError(FlowrunError):
    """The project is well formed, but what was asked of it can't be planned; one line a reason."""


class EnvError(FlowrunError):
    """An environment can't be resolved or built."""


class NotRepeatableError(FlowrunError):
    """A recorded run can't be run again: something it needs is gone or has changed; one a line."""


class CancelledError(FlowrunError):
    """The run was cancelled while this was still being prepared or built."""


class ExecutorError(FlowrunError):
    """A job can't be started at all (not: it started and failed)."""


class NotFoundError(FlowrunError):
    """A store has nothing of this name or id."""


class AlreadyExistsError(FlowrunError):
    """A store has something of this name already."""


class InvalidValueError(FlowrunError):
    """A value that a store is asked to keep, or a filter, is not allowed."""


class InvalidStateError(FlowrunError):
    """The thing exists, but its state (deleted, final) forbids what was asked."""


class PermissionDeniedError(FlowrunError):
    """The caller may not do this."""


class UnsupportedError(FlowrunError):
    """flowrun knows what is asked for, but does not do it (yet, or here)."""


class StoreError(FlowrunError):
    """A store can't be opened, read or written: disk full, locked, unreachable, too old or new."""


class StoreUnavailableError(StoreError):
    """A store can't be reached now, but may be soon: its database restarts, or is overrun."""
