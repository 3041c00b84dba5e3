"""Removes for good what was deleted long ago: rows of runs and experiments, and their artifacts.

Artifacts go first: a purge that is killed leaves a run that is still marked as deleted, and the
next one goes on. A run that a registered model came from stays, and so does one whose artifacts do
not lie where the store keeps them: somebody chose that place, and may keep other things there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from flowrun.engine.cleaning.garbage import Pile
from flowrun.envs.disk import DiskUse
from flowrun.errors import InvalidValueError, NotFoundError
from flowrun.stores import ARTIFACT_ROOT, Stores
from flowrun.tracking.artifact_files import files_of
from flowrun.tracking.artifacts import Artifacts
from flowrun.tracking.sql.purging import Deleted, SqlPurge

FOLDER = "artifacts"
"""The last part of a run's or model's artifact URI; the one before it is its id."""


@dataclass(slots=True)
class Purge:
    """What is marked as deleted in one store."""

    stores: Stores
    rows: SqlPurge
    before_ms: int
    """What was deleted since stays; milliseconds since the epoch."""
    is_dry_run: bool

    def piles(self) -> list[Pile]:
        """Remove it, unless this is a dry run."""
        runs, models, experiments = (
            self.rows.runs(self.before_ms),
            self.rows.models(self.before_ms),
            self.rows.experiments(self.before_ms),
        )
        return [
            self._pile("deleted runs", runs, is_model=False),
            self._pile("deleted logged models", models, is_model=True),
            self._experiments(experiments),
        ]

    def _pile(self, what: str, found: Sequence[Deleted], *, is_model: bool) -> Pile:
        count, size_bytes, elsewhere, registered = 0, 0, 0, 0
        for each in found:
            place = self._place(each)
            if place is None:
                elsewhere += 1
            elif self._is_registered(each, is_model=is_model):
                registered += 1
            elif is_model or self.rows.is_deleted(each.id):
                size_bytes += _size_bytes(place, each.id)
                count += 1
                if not self.is_dry_run:
                    self._remove(place, each, is_model=is_model)
        notes = [f"{elsewhere} with artifacts of their own place"] if elsewhere else []
        notes += [f"{registered} that registered models came from"] if registered else []
        return Pile(what, count, size_bytes, f"left: {', '.join(notes)}" if notes else "")

    def _remove(self, place: Artifacts, each: Deleted, *, is_model: bool) -> None:
        with suppress(NotFoundError):  # it had none
            place.delete(each.id)
        if is_model:
            self.rows.remove_model(each.id)
        else:
            self.rows.remove_run(each.id)

    def _experiments(self, found: Sequence[Deleted]) -> Pile:
        if self.is_dry_run:
            return Pile("deleted experiments", len(found), 0)
        removed = [self.rows.remove_experiment(each.id) for each in found]
        left = removed.count(False)
        note = f"left: {left} that still have runs or models" if left else ""
        return Pile("deleted experiments", removed.count(True), 0, note)

    def _place(self, each: Deleted) -> Artifacts | None:
        """Give the folder in which a run's or model's own folder is; None if that is elsewhere."""
        parent, _, last = each.artifact_uri.rpartition("/")
        above, _, own = parent.rpartition("/")
        if not above.startswith(ARTIFACT_ROOT) or (own, last) != (each.id, FOLDER):
            return None
        try:
            return self.stores.open_artifacts(above)
        except InvalidValueError:
            return None  # it climbs out of it

    def _is_registered(self, each: Deleted, *, is_model: bool) -> bool:
        filters = [f"source_path LIKE '%{each.id}%'"]
        filters += [] if is_model else [f"run_id = '{each.id}'"]
        search = self.stores.registry.search_model_versions
        return any(search(filter_text=text, max_results=1).items for text in filters)


def _size_bytes(place: Artifacts, name: str) -> int:
    """Give what a folder takes; 0 if it is not there."""
    with suppress(NotFoundError):
        local = place.local_path(name)
        if local is not None:
            return DiskUse.of([local]).freed_bytes
    return sum(_sizes(place, name))


def _sizes(place: Artifacts, name: str) -> Iterator[int]:
    return (size_bytes for _, size_bytes in files_of(place, name))
