"""The version that holds the place which another is to have, as conditions see it."""

from __future__ import annotations

from collections.abc import Mapping

from flowrun.errors import InvalidValueError, NotFoundError
from flowrun.registry.entities import ModelVersion
from flowrun.registry.requests import Move
from flowrun.registry.store import RegistryStore
from flowrun.tracking.entities import Run
from flowrun.tracking.store import TrackingStore
from flowrun.valueclass import valueclass


@valueclass
class Champion:
    """Who holds a place."""

    version: str
    """Its number; '' if the place is empty."""
    names: Mapping[str, object] | None
    """What `champion` means in expressions; None if the place is empty."""


@valueclass
class Champions:
    """Looks up who holds a place."""

    registry: RegistryStore
    tracking: TrackingStore

    def of(self, name: str, move: Move) -> Champion:
        """Give who holds the stage of a move, or without one its alias."""
        version = self._current(name, move)
        if version is None:
            return Champion("", None)
        run = self._run(version)
        names = {
            "name": version.name,
            "version": version.version,
            "run_id": version.run_id,
            "tags": dict(version.tags),
            "metrics": {k: m.value for k, m in run.metrics.items()} if run else {},
            "params": dict(run.params) if run else {},
        }
        return Champion(version.version, names)

    def _current(self, name: str, move: Move) -> ModelVersion | None:
        try:
            if move.stage is not None:
                versions = self.registry.get_latest_versions(name, [move.stage])
                return versions[0] if versions else None
            return self.registry.get_version_by_alias(name, move.alias or "")
        except NotFoundError:
            return None
        except InvalidValueError:  # in MLflow's words: there is no such alias
            return None

    def _run(self, version: ModelVersion) -> Run | None:
        if version.run_id is None:
            return None
        try:
            return self.tracking.get_run(version.run_id)
        except NotFoundError:
            return None  # purged since
