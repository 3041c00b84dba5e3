"""On a logged model: the versions that were made of it, as MLflow's clients and pages read them."""

from __future__ import annotations

import json

from flowrun.registry.entities import ModelVersion
from flowrun.tracking.store import LoggedModelStore

_VERSIONS_TAG = "mlflow.modelVersions"


def note_version(store: LoggedModelStore, model_id: str, version: ModelVersion) -> None:
    """Write on the logged model that a version was made of it; once, however often it is called.

    Source: MLflow's client, which does so after registering; mlflow_tags.py.
    """
    noted = json.loads(store.get_logged_model(model_id).tags.get(_VERSIONS_TAG, "[]"))
    # MLflow writes the number as a number here, though it is a text everywhere else.
    entry = {"name": version.name, "version": int(version.version)}
    if entry not in noted:
        store.set_logged_model_tags(model_id, {_VERSIONS_TAG: json.dumps([*noted, entry])})
