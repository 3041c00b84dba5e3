"""A model onto the server: a logged model of the run in progress, and registered if asked."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flowrun.errors import InvalidValueError
from flowrun.models.flavors.base import Content
from flowrun.models.mlmodel import write_mlmodel
from flowrun.models.registering import ModelVersion, register_model
from flowrun.models.saving import Saved, SaveOptions, check_options, save
from flowrun.models.signature import ModelSignature
from flowrun.tracking import fluent
from flowrun.tracking.light_artifacts import ArtifactFolder
from flowrun.tracking.light_http import Http
from flowrun.tracking.light_run import Run

_READY = "LOGGED_MODEL_READY"
_FAILED = "LOGGED_MODEL_UPLOAD_FAILED"


class LogOptions(SaveOptions, total=False):
    """What `log_model` of every flavor takes beside, as MLflow calls it."""

    name: str | None
    """Of the logged model."""
    registered_model_name: str | None
    """Make a version of this registered model, which is made if there is none."""
    await_registration_for: int | None
    """Taken for MLflow's sake: a version is ready as soon as it is there."""
    params: Mapping[str, object] | None
    """Of the logged model, beside those of the run."""
    tags: Mapping[str, object] | None
    model_type: str | None
    step: int
    """Of the training; the run's metrics of this step become the model's."""
    model_id: str | None
    """Fill this logged model, which is there already, instead of a new one."""


@dataclass(frozen=True)
class ModelInfo:
    """A model that was logged."""

    model_id: str
    model_uri: str
    """`models:/m-...`, for `load_model`."""
    name: str
    artifact_path: str
    """Where its files lie."""
    run_id: str | None
    model_uuid: str
    flavors: Mapping[str, Mapping[str, object]]
    signature: ModelSignature | None
    saved_input_example_info: Mapping[str, object] | None
    metadata: Mapping[str, object] | None
    utc_time_created: str
    registered_model_version: str | None = None


def log(content: Content, artifact_path: str | None, options: LogOptions) -> ModelInfo:
    """Save a model among the server's logged models.

    Args:
        content: the model, and how it is written.
        artifact_path: what MLflow 2 called `name`.
        options: as the user gave them.

    Raises:
        TrackingError: the server refused it or can't be reached.
    """
    check_options(options, LogOptions)
    given_name = options.get("name")
    if artifact_path is not None and given_name is not None:
        raise InvalidValueError(
            "Both `artifact_path` (deprecated) and `name` parameters were specified. "
            "Please only specify `name`."
        )
    session = fluent.current_session()
    run = fluent.run_in_progress()
    session.flush()  # the metrics on the way are the model's too
    with tempfile.TemporaryDirectory(prefix="flowrun-model-") as temporary:
        folder = Path(temporary) / "model"
        # First the files: a model that can't be saved leaves nothing on the server.
        plain = {k: v for k, v in options.items() if k in SaveOptions.__annotations__}
        saved = save(content, folder, plain)  # type: ignore[arg-type]  # as filtered
        made = _Place(session.http(), run, options, given_name or artifact_path)
        write_mlmodel(folder, {**saved.fields, **made.identity})
        made.upload(folder)
    version = _registered(made, options)
    return _info(made, saved, version)


class _Place:
    """A logged model on the server."""

    def __init__(self, http: Http, run: Run | None, options: LogOptions, name: str | None) -> None:
        self._http = http
        self.run_id = run.info.run_id if run else None
        self._experiment_id = run.info.experiment_id if run else None
        self._step = int(options.get("step") or 0)
        data = self._run_data()
        model_id = options.get("model_id")
        model = self._get(model_id) if model_id else self._create(options, name, data)
        self.model_id = str(model["info"]["model_id"])
        self.name = str(model["info"].get("name") or "")
        self.artifact_uri = str(model["info"]["artifact_uri"])
        self._metrics = [
            {**point, "model_id": self.model_id}
            for point in data.get("metrics", ())
            if int(point.get("step") or 0) == self._step and not point.get("model_id")
        ]

    @property
    def identity(self) -> Mapping[str, object]:
        return {
            "artifact_path": self.artifact_uri,
            "model_id": self.model_id,
            "model_uuid": self.model_id,
            "run_id": self.run_id,
        }

    def upload(self, folder: Path) -> None:
        try:
            ArtifactFolder(self._http, self.artifact_uri).put_folder(str(folder), "")
        except BaseException:
            self._finish(_FAILED)
            raise
        if self.run_id is not None:
            outputs = [{"model_id": self.model_id, "step": self._step}]
            self._http.call("POST", "runs/outputs", {"run_id": self.run_id, "models": outputs})
            if self._metrics:
                body = {"run_id": self.run_id, "metrics": self._metrics}
                self._http.call("POST", "runs/log-batch", body)
        self._finish(_READY)

    def _run_data(self) -> dict[str, Any]:
        if self.run_id is None:
            return {}
        run = self._http.call("GET", "runs/get", query={"run_id": self.run_id})["run"]
        data: dict[str, Any] = run.get("data", {})
        return data

    def _get(self, model_id: str) -> dict[str, Any]:
        model: dict[str, Any] = self._http.call("GET", f"logged-models/{model_id}")["model"]
        return model

    def _create(
        self, options: LogOptions, name: str | None, data: Mapping[str, Any]
    ) -> dict[str, Any]:
        params = {item["key"]: item["value"] for item in data.get("params", ())}
        body = {
            "experiment_id": self._experiment_id or fluent.experiment_of_new_runs(),
            "name": name or "model",
            "model_type": options.get("model_type"),
            "source_run_id": self.run_id,
            "params": _pairs({**(options.get("params") or {}), **params}),
            "tags": _pairs(options.get("tags") or {}),
        }
        said = {key: value for key, value in body.items() if value is not None}
        model: dict[str, Any] = self._http.call("POST", "logged-models", said)["model"]
        return model

    def _finish(self, status: str) -> None:
        body = {"model_id": self.model_id, "status": status}
        self._http.call("PATCH", f"logged-models/{self.model_id}", body)


def _registered(place: _Place, options: LogOptions) -> ModelVersion | None:
    name = options.get("registered_model_name")
    if name is None:
        return None
    return register_model(f"models:/{place.model_id}", name, tags=options.get("tags"))


def _info(place: _Place, saved: Saved, version: ModelVersion | None) -> ModelInfo:
    fields: Mapping[str, Any] = saved.fields
    return ModelInfo(
        model_id=place.model_id,
        model_uri=f"models:/{place.model_id}",
        name=place.name,
        artifact_path=place.artifact_uri,
        run_id=place.run_id,
        model_uuid=place.model_id,
        flavors=fields["flavors"],
        signature=saved.signature,
        saved_input_example_info=fields["saved_input_example_info"],
        metadata=fields["metadata"],
        utc_time_created=str(fields["utc_time_created"]),
        registered_model_version=version.version if version else None,
    )


def _pairs(values: Mapping[str, object]) -> list[dict[str, str]]:
    return [{"key": key, "value": str(value)} for key, value in values.items()]
