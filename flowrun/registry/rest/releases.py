"""How a server is told of promotions: the protocol of the two ways."""

from __future__ import annotations

from typing import Protocol

from flowrun.registry.entities import ModelVersion, Stage, Transition
from flowrun.valueclass import valueclass


@valueclass
class Act:
    """Who moves a version, why, and by which run."""

    user_id: str = ""
    reason: str = ""
    run_id: str | None = None
    via: str = ""


class Releases(Protocol):
    """Moves stages and aliases, and remembers who did."""

    def promote(
        self,
        name: str,
        version: str,
        *,
        stage: Stage | None,
        alias: str | None,
        archive_existing: bool,
        act: Act,
        holder: str | None,
    ) -> ModelVersion:
        """Move a version to a stage, an alias, or both; see `ModelVersionStore.promote`."""

    def roll_back(
        self,
        name: str,
        stage: Stage | None,
        alias: str | None,
        user_id: str,
        reason: str,
        expected: str | None,
    ) -> ModelVersion:
        """Take the last promotion to a place back."""

    def delete_alias(self, name: str, alias: str, user_id: str) -> None:
        """Remove an alias; nothing happens if there is none."""

    def history(self, name: str, version: str | None) -> list[Transition]:
        """Give what was moved, oldest first."""
