"""Promotions on flowrun's own server: one call, one transaction, with the history."""

from __future__ import annotations

from flowrun.registry.entities import ModelVersion, Stage, Transition
from flowrun.registry.rest.reading import located, read_version
from flowrun.registry.rest.releases import Act
from flowrun.registry.wire import transition_from
from flowrun.tracking.rest.part import page_from
from flowrun.tracking.rest.server import Server

FLOWRUN_API = "/api/flowrun/1.0/"


class FlowrunReleases:
    """The `Releases` of a flowrun server."""

    def __init__(self, server: Server) -> None:
        self._server = server

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
        """Move a version to a stage, an alias, or both, in one transaction."""
        body = {
            "name": name,
            "version": version,
            "stage": stage.value if stage else None,
            "alias": alias,
            "archive_existing_versions": archive_existing,
            "user_id": act.user_id,
            "reason": act.reason,
            "run_id": act.run_id,
            "holder": holder,
        }
        # Repeatable: a second time it only adds a line to the history. Not where it is compared
        # with what the first time may have changed.
        moved = self._server.send(
            "POST",
            "model-versions/promote",
            body,
            read_version,
            api=FLOWRUN_API,
            is_repeatable=holder is None,
        )
        return located(self._server, moved)

    def roll_back(
        self,
        name: str,
        stage: Stage | None,
        alias: str | None,
        user_id: str,
        reason: str,
        expected: str | None,
    ) -> ModelVersion:
        """Take the last promotion to a place back, in one transaction."""
        body = {
            "name": name,
            "stage": stage.value if stage else None,
            "alias": alias,
            "user_id": user_id,
            "reason": reason,
            "expected": expected,
        }
        moved = self._server.send(
            "POST",
            "registered-models/rollback",
            body,
            read_version,
            api=FLOWRUN_API,
            is_repeatable=False,  # a second time it would go back one more
        )
        return located(self._server, moved)

    def delete_alias(self, name: str, alias: str, user_id: str) -> None:
        """Remove an alias; nothing happens if there is none."""
        body = {"name": name, "alias": alias, "user_id": user_id}
        self._server.do("DELETE", "registered-models/alias", body)

    def history(self, name: str, version: str | None) -> list[Transition]:
        """Give what was moved, oldest first."""
        query = {"name": name, "version": version}
        read = page_from("transitions", transition_from)
        page = self._server.get("registered-models/history", query, read, FLOWRUN_API)
        return list(page.items)
