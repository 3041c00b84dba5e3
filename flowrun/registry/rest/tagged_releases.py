"""Promotions on MLflow's own server: its two calls, and a tag for each thing that moved.

MLflow keeps no history. Each line of it becomes a tag of the version that it is about, with a name
of its own, so that nobody ever has to read a list, add to it and write it back.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from flowrun.errors import (
    FlowrunError,
    InvalidStateError,
    InvalidValueError,
    NotFoundError,
    StoreError,
)
from flowrun.registry.entities import ModelVersion, RegisteredModel, Stage, Transition
from flowrun.registry.rest.reading import located, read_model, read_version, version_from
from flowrun.registry.rest.releases import Act
from flowrun.registry.rollback import ROLLBACK, find_rollback
from flowrun.registry.wire import transition_from, transition_json
from flowrun.tracking.fields import Fields
from flowrun.tracking.rest.part import page_from
from flowrun.tracking.rest.server import Server

RELEASE_PREFIX = "flowrun.release."
"""Of the tags' names; the time follows, so that their order is that of the history."""
_MAX_REASON_LENGTH = 2000
"""MLflow on MySQL keeps 5,000 characters of a tag."""


class TaggedReleases:
    """The `Releases` of a server that knows nothing of them."""

    def __init__(self, server: Server, now: Callable[[], int], new_id: Callable[[], str]) -> None:
        self._server = server
        self._now = now
        self._new_id = new_id

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
        """Move a version to a stage, then an alias to it, then note both.

        The server moves and archives in one transaction, and sets the alias in another. Whoever
        looks in between sees the new stage with the old alias. All of it can be done again.
        """
        if holder is not None:
            self._check_holder(name, stage, alias, holder)
        before = self._version(name, version)
        number = before.version
        lines: list[Transition] = []
        now = self._now()  # one time tells what was moved at once
        if stage is not None:
            others = self._in_stage(name, stage, number) if archive_existing else []
            body = {
                "name": name,
                "version": number,
                "stage": stage.value,
                "archive_existing_versions": archive_existing,
            }
            self._server.do("POST", "model-versions/transition-stage", body)
            lines += [self._stage_line(each, Stage.ARCHIVED, act, now) for each in others]
            lines.append(self._stage_line(before, stage, act, now))
        if alias is not None:
            had = self._alias_holder(name, alias)
            body = {"name": name, "alias": alias, "version": number}
            self._server.do("POST", "registered-models/alias", body)
            lines.append(self._alias_line(before, alias, had, number, act, now))
        self._note(lines)
        return located(self._server, self._version(name, number))

    def delete_alias(self, name: str, alias: str, user_id: str) -> None:
        """Remove an alias; nothing happens if there is none."""
        had = self._alias_holder(name, alias)
        if not had:
            return
        body = {"name": name, "alias": alias}
        self._server.do("DELETE", "registered-models/alias", body)
        try:
            version = self._version(name, had)
        except NotFoundError:
            return  # MLflow leaves the aliases of a deleted version behind
        self._note([self._alias_line(version, alias, had, "", Act(user_id), self._now())])

    def roll_back(
        self,
        name: str,
        stage: Stage | None,
        alias: str | None,
        user_id: str,
        reason: str,
        expected: str | None,
    ) -> ModelVersion:
        """Take the last promotion to a place back; somebody else may promote meanwhile."""
        history = self.history(name, None)
        living = {each.version for each in self._versions(name)}
        back = find_rollback(name, history, living, stage=stage, alias=alias, expected=expected)
        return self.promote(
            name,
            back.target,
            stage=back.move.stage,
            alias=back.move.alias,
            archive_existing=back.move.stage is not None,
            act=Act(user_id, reason or f"back from version {back.current}", via=ROLLBACK),
            holder=None,
        )

    def history(self, name: str, version: str | None) -> list[Transition]:
        """Give what was moved, oldest first; what happened to a deleted version is gone with it."""
        self._model(name)
        versions = self._versions(name) if version is None else [self._version(name, version)]
        tags = [(key, text, each) for each in versions for key, text in each.tags.items()]
        found = sorted((key, text, each) for key, text, each in tags if _is_line(key))
        return [_line_from(text, each) for _, text, each in found]

    def _note(self, lines: Sequence[Transition]) -> None:
        unique = self._new_id()[:8]
        for number, line in enumerate(lines):
            body = {
                "name": line.name,
                "version": line.version,
                "key": f"{RELEASE_PREFIX}{line.time_ms:013d}.{number}.{unique}",
                "value": json.dumps(transition_json(line)),
            }
            try:
                self._server.do("POST", "model-versions/set-tag", body)
            except FlowrunError as error:
                raise StoreError(
                    f"version {lines[-1].version} of '{line.name}' was moved, but its history "
                    f"could not be written: {error.message}",
                    "Promote it again when the server answers.",
                ) from error

    def _stage_line(self, version: ModelVersion, stage: Stage, act: Act, now: int) -> Transition:
        return Transition(
            name=version.name,
            version=version.version,
            time_ms=now,
            user_id=act.user_id,
            kind="stage",
            before=version.stage.value,
            after=stage.value,
            reason=act.reason[:_MAX_REASON_LENGTH],
            run_id=act.run_id,
            via=act.via,
        )

    def _alias_line(
        self, version: ModelVersion, alias: str, before: str, after: str, act: Act, now: int
    ) -> Transition:
        return Transition(
            name=version.name,
            version=version.version,
            time_ms=now,
            user_id=act.user_id,
            kind="alias",
            before=before,
            after=after,
            alias=alias,
            reason=act.reason[:_MAX_REASON_LENGTH],
            run_id=act.run_id,
            via=act.via,
        )

    def _check_holder(self, name: str, stage: Stage | None, alias: str | None, holder: str) -> None:
        """Look who has the place; the server can't do it in the transaction of the move."""
        if stage is not None:
            numbers = [int(each.version) for each in self._in_stage(name, stage, but="")]
            now = str(max(numbers, default=""))
        else:
            now = self._alias_holder(name, alias or "")
        if now != holder:
            place = stage or f"@{alias}"
            raise InvalidStateError(
                f"{place} of '{name}' is no longer held by the version with which it was "
                "compared: look at the condition again"
            )

    def _alias_holder(self, name: str, alias: str) -> str:
        return self._model(name).aliases.get(alias, "")

    def _model(self, name: str) -> RegisteredModel:
        return self._server.get("registered-models/get", {"name": name}, read_model)

    def _version(self, name: str, version: str) -> ModelVersion:
        query = {"name": name, "version": version}
        return self._server.get("model-versions/get", query, read_version)

    def _in_stage(self, name: str, stage: Stage, but: str) -> list[ModelVersion]:
        return [
            each for each in self._versions(name) if each.stage is stage and each.version != but
        ]

    def _versions(self, name: str) -> Iterable[ModelVersion]:
        read = page_from("model_versions", version_from)
        quoted = name.replace("'", "''")
        token: str | None = None
        while True:
            query = {"filter": f"name = '{quoted}'", "max_results": 1000, "page_token": token}
            page = self._server.get("model-versions/search", query, read)
            yield from page.items
            token = page.next_page_token
            if token is None:
                return


def _is_line(key: str) -> bool:
    return key.startswith(RELEASE_PREFIX)


def _line_from(text: str, version: ModelVersion) -> Transition:
    """Read a line; the model may have been renamed since."""
    try:
        line = transition_from(Fields(json.loads(text)))
    except (ValueError, AttributeError, InvalidValueError) as error:
        raise StoreError(
            f"version {version.version} of '{version.name}' has a tag {RELEASE_PREFIX}... that "
            "flowrun did not write"
        ) from error
    return replace(line, name=version.name)
