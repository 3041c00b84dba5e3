"""Requests to move a version: what is asked for, by whom, and what somebody else decided.

Times are milliseconds since the Unix epoch, UTC.
"""

from __future__ import annotations

from enum import StrEnum

from flowrun.errors import InvalidValueError
from flowrun.registry.entities import Stage
from flowrun.valueclass import valueclass

MAX_TEXT = 10_000
"""Characters of a reason or a comment."""
MAX_CONDITION = 100_000
MAX_APPROVERS = 100


class RequestStatus(StrEnum):
    """What became of a request."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    """There is nothing left to decide: its version was deleted."""


@valueclass
class Move:
    """Where a version is to go: to a stage, an alias, or both at once."""

    stage: Stage | None = None
    alias: str | None = None
    archive_existing: bool = True
    """Whoever is in the stage leaves it; counts for Staging and Production."""

    @property
    def places(self) -> tuple[str, ...]:
        """The stage, and the alias as `@champion`."""
        stage = (self.stage.value,) if self.stage is not None else ()
        return (*stage, f"@{self.alias}") if self.alias is not None else stage

    def __str__(self) -> str:
        """Return it for people: `Production and @champion`."""
        return " and ".join(self.places)


def check_move(move: Move) -> None:
    """Refuse a move to nowhere."""
    if not move.places:
        raise InvalidValueError("a version is moved to a stage, to an alias, or to both")


def one_line(text: str) -> str:
    """Give what somebody wrote as one line that can't drive a terminal."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())


@valueclass
class PromotionRequest:
    """Somebody asks that a version be moved."""

    request_id: str
    name: str
    version: str
    move: Move
    time_ms: int
    user_id: str
    """Who asks."""
    reason: str = ""
    run_id: str | None = None
    """The run (of a `promote` step) that asks."""
    condition: str = ""
    """What must hold of the champion, as its writer understands it; '' for nothing."""
    holder: str | None = None
    """The version that held the place when the condition was looked at, '' for none; None where
    nothing depends on it."""
    approvers: tuple[str, ...] = ()
    """Who may decide, beside the registry's rules; none: anybody."""
    status: RequestStatus = RequestStatus.PENDING
    decided_by: str = ""
    decided_time_ms: int | None = None
    comment: str = ""
    """Of who decided."""

    @property
    def version_uri(self) -> str:
        """The version as commands name it: `wine/3`."""
        return f"{self.name}/{self.version}"


@valueclass
class Asked:
    """What a request says beside where the version is to go; see `PromotionRequest`."""

    user_id: str = ""
    reason: str = ""
    run_id: str | None = None
    condition: str = ""
    holder: str | None = None
    approvers: tuple[str, ...] = ()


@valueclass
class Decision:
    """What somebody decides about a request."""

    is_approved: bool
    user_id: str = ""
    comment: str = ""
    holder: str | None = None
    """The version in the place of which the condition was looked at again; None: nobody did."""


def check_asked(asked: Asked) -> None:
    """Refuse what is too long to be kept."""
    check_text("reason", asked.reason)
    for name, length, most in (
        ("condition", len(asked.condition), MAX_CONDITION),
        ("approvers", len(asked.approvers), MAX_APPROVERS),
    ):
        if length > most:
            raise InvalidValueError(f"'{name}' exceeds the maximum length of {most} (has {length})")


def check_text(name: str, text: str) -> None:
    """Refuse a reason or comment that is too long to be kept."""
    if len(text) > MAX_TEXT:
        raise InvalidValueError(f"'{name}' exceeds the maximum length of {MAX_TEXT} characters")
