"""The stores that are imported into: rows by bulk, and read back by their ordinary calls."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from flowrun.registry.sql.importing import SqlRegistryImport
from flowrun.stores import ARTIFACT_ROOT, Stores, open_stores
from flowrun.tracking.artifacts import Artifacts
from flowrun.tracking.sql.importing import SqlTrackingImport
from flowrun.tracking.sql.part import below
from flowrun.tracking.uri import open_database
from flowrun.valueclass import valueclass


@valueclass
class Target:
    """Where an import goes to."""

    stores: Stores
    tracking: SqlTrackingImport
    registry: SqlRegistryImport

    def experiment_root(self, experiment_id: str) -> str:
        """Give where an experiment's copied artifacts go."""
        return below(ARTIFACT_ROOT, experiment_id)

    def run_root(self, experiment_id: str, run_id: str) -> str:
        """Give where a run's copied artifacts go."""
        return below(ARTIFACT_ROOT, experiment_id, run_id, "artifacts")

    def model_root(self, experiment_id: str, model_id: str) -> str:
        """Give where a logged model's copied artifacts go."""
        return below(ARTIFACT_ROOT, experiment_id, "models", model_id, "artifacts")

    def open_artifacts(self, uri: str) -> Artifacts:
        """Open artifacts of the stores."""
        return self.stores.open_artifacts(uri)


@contextmanager
def open_target(uri: str, artifacts_destination: str) -> Iterator[Target]:
    """Open the stores at a URI to import into them, and close them at the end."""
    with open_stores(uri, artifacts_destination) as stores:
        database = open_database(uri)
        try:
            yield Target(stores, SqlTrackingImport(database), SqlRegistryImport(database))
        finally:
            database.close()
