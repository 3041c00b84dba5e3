"""Runs, models and registry of MLflow's file store, the folder `mlruns`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from flowrun.errors import InvalidValueError, UsageError
from flowrun.importing.convert import (
    lifecycle_stage,
    model_of,
    model_status,
    number,
    run_status,
    text,
    text_or_none,
    time_ms,
    version_of,
)
from flowrun.importing.files import (
    META,
    files_below,
    folders_in,
    model_point,
    read_meta,
    read_points,
    read_values,
)
from flowrun.importing.places import ArtifactPlaces
from flowrun.importing.source import FoundModel, FoundRegisteredModel
from flowrun.registry.entities import ModelVersion
from flowrun.tracking.artifacts import Artifacts
from flowrun.tracking.entities import (
    Dataset,
    DatasetInput,
    Experiment,
    LoggedModel,
    Metric,
    ModelInput,
    ModelOutput,
    Run,
    RunInfo,
)
from flowrun.tracking.sql.import_rows import FullRun

T = TypeVar("T")

_TRASH, _MODELS = ".trash", "models"
_NO_RUNS = frozenset({"tags", "datasets", "traces", _MODELS, _TRASH})
_VERSION = "version-"


class FileSource:
    """A `Source` in a folder that MLflow made."""

    def __init__(
        self, folder: Path, places: ArtifactPlaces, on_problem: Callable[[str], None]
    ) -> None:
        """Look at the folder.

        Args:
            folder: the store's own, which has the experiments' folders in it.
            places: where its artifacts may be read.
            on_problem: told of each thing that is left out.

        Raises:
            UsageError: it is no store of MLflow's.
        """
        self.uri = str(folder)
        self._folder = folder
        self._places = places
        self._on_problem = on_problem
        self._experiments = {path.name: path for path in self._experiment_folders()}
        if not self._experiments:
            raise UsageError(f"{folder}: this is no store of MLflow's: no experiment is in it")

    def notes(self) -> Sequence[str]:
        """Tell what it holds that is not imported."""
        traces = sum(len(folders_in(path / "traces")) for path in self._experiments.values())
        return [f"{traces} traces are not imported"] if traces else []

    def experiments(self) -> Sequence[Experiment]:
        """Give all experiments, also those in the trash."""
        return list(self._whole(self._experiments.values(), self._experiment))

    def run_roots(self, experiment_id: str) -> Mapping[str, str]:
        """Give the ids of an experiment's runs, with their artifact URIs."""
        found: dict[str, str] = {}
        folder = self._experiments[experiment_id]
        for path in folders_in(folder):
            if path.name not in _NO_RUNS and (path / META).exists():
                for meta in self._whole([path], read_meta):
                    found[path.name] = text(meta.get("artifact_uri"))
        return found

    def runs(self, experiment_id: str, run_ids: Sequence[str]) -> Iterator[FullRun]:
        """Read runs."""
        folder = self._experiments[experiment_id]
        paths = [folder / run_id for run_id in run_ids]
        return self._whole(paths, lambda path: self._run(experiment_id, path))

    def logged_models(self, experiment_id: str) -> Iterator[FoundModel]:
        """Give the logged models of an experiment."""
        paths = folders_in(self._experiments[experiment_id] / _MODELS)
        return self._whole(paths, lambda path: _logged_model(experiment_id, path))

    def registered_models(self) -> Iterator[FoundRegisteredModel]:
        """Give all registered models."""
        return self._whole(folders_in(self._folder / _MODELS), _registered_model)

    def open_artifacts(self, uri: str) -> Artifacts:
        """Open the artifacts that a run or model of this source has at a URI."""
        return self._places.open(uri)

    def close(self) -> None:
        """Do nothing: no file stays open."""

    def _experiment_folders(self) -> Iterator[Path]:
        for path in (*folders_in(self._folder), *folders_in(self._folder / _TRASH)):
            if path.name.isdecimal() and (path / META).exists():
                yield path

    def _experiment(self, path: Path) -> Experiment:
        meta = read_meta(path)
        if "name" not in meta:
            raise InvalidValueError(f"{path / META}: the experiment's name is missing")
        return Experiment(
            experiment_id=path.name,
            name=text(meta["name"]),
            artifact_location=text(meta.get("artifact_location")),
            lifecycle_stage=lifecycle_stage(meta.get("lifecycle_stage")),
            creation_time_ms=time_ms(meta.get("creation_time")),
            last_update_time_ms=time_ms(meta.get("last_update_time")),
            tags=read_values(path / "tags"),
        )

    def _run(self, experiment_id: str, path: Path) -> FullRun:
        meta = read_meta(path)
        tags = read_values(path / "tags")
        end_time = meta.get("end_time")
        info = RunInfo(
            run_id=path.name,
            experiment_id=experiment_id,
            run_name=text(meta.get("run_name") or meta.get("name"))
            or tags.get("mlflow.runName", ""),
            user_id=text(meta.get("user_id")),
            status=run_status(meta.get("status")),
            start_time_ms=time_ms(meta.get("start_time")),
            end_time_ms=None if end_time is None else time_ms(end_time),
            artifact_uri=text(meta.get("artifact_uri")),
            lifecycle_stage=lifecycle_stage(meta.get("lifecycle_stage")),
        )
        datasets, models = self._inputs(experiment_id, path)
        run = Run(
            info,
            params=read_values(path / "params"),
            tags=tags,
            dataset_inputs=tuple(datasets),
            model_inputs=tuple(models),
            model_outputs=tuple(_outputs(path)),
        )
        return FullRun(run, lambda: _history(path / "metrics"))

    def _inputs(
        self, experiment_id: str, path: Path
    ) -> tuple[list[DatasetInput], list[ModelInput]]:
        datasets: list[DatasetInput] = []
        models: list[ModelInput] = []
        for folder in folders_in(path / "inputs"):
            meta = read_meta(folder)
            source_id = text(meta.get("source_id"))
            tags = meta.get("tags")
            if meta.get("source_type") == "DATASET":
                place = self._experiments[experiment_id] / "datasets" / Path(source_id).name
                pairs = tags.items() if isinstance(tags, dict) else ()
                own_tags = {text(key): text(value) for key, value in pairs}
                datasets.append(DatasetInput(_dataset(place), own_tags))
            else:
                models.append(ModelInput(source_id))
        return datasets, models

    def _whole(self, paths: Iterable[Path], read: Callable[[Path], T]) -> Iterator[T]:
        """Read things one by one; what can't be read is reported and left out."""
        for path in paths:
            try:
                yield read(path)
            except InvalidValueError as error:
                where = "" if str(path) in error.message else f"{path}: "
                self._on_problem(f"{where}{error.message}")


def _history(folder: Path) -> Iterator[Metric]:
    for key, path in files_below(folder):
        yield from read_points(key, path)


def _dataset(path: Path) -> Dataset:
    meta = read_meta(path)
    return Dataset(
        name=text(meta.get("name")),
        digest=text(meta.get("digest")),
        source_type=text(meta.get("source_type")),
        source=text(meta.get("source")),
        schema=text_or_none(meta.get("schema")),
        profile=text_or_none(meta.get("profile")),
    )


def _outputs(path: Path) -> Iterator[ModelOutput]:
    for folder in folders_in(path / "outputs"):
        yield ModelOutput(folder.name, number(read_meta(folder).get("step")))


def _logged_model(experiment_id: str, path: Path) -> FoundModel:
    meta = read_meta(path)
    points = [
        point._replace(model_id=path.name)
        for key, file in files_below(path / "metrics")
        for point in read_points(key, file, model_point)
    ]
    model = LoggedModel(
        model_id=path.name,
        experiment_id=experiment_id,
        name=text(meta.get("name")),
        artifact_uri=text(meta.get("artifact_location")),
        creation_time_ms=time_ms(meta.get("creation_timestamp")),
        last_update_time_ms=time_ms(meta.get("last_updated_timestamp")),
        status=model_status(meta.get("status")),
        model_type=text_or_none(meta.get("model_type")),
        source_run_id=text_or_none(meta.get("source_run_id")),
        tags=read_values(path / "tags"),
        params=read_values(path / "params"),
        metrics=tuple(points),
    )
    return FoundModel(model, lifecycle_stage(meta.get("lifecycle_stage")))


def _registered_model(path: Path) -> FoundRegisteredModel:
    meta = read_meta(path)
    name = text(meta.get("name")) or path.name
    folders = [each for each in folders_in(path) if each.name.startswith(_VERSION)]
    versions = [_version(name, each) for each in folders]
    numbers = [number(each.name.removeprefix(_VERSION)) for each in folders]
    return model_of(
        name,
        _as_columns(meta),
        read_values(path / "tags"),
        {alias: value.strip() for alias, value in read_values(path / "aliases").items()},
        sorted(
            (version for version in versions if version is not None),
            key=lambda version: int(version.version),
        ),
        max(numbers, default=0),
    )


def _version(name: str, path: Path) -> ModelVersion | None:
    fields = {**_as_columns(read_meta(path)), "version": path.name.removeprefix(_VERSION)}
    return version_of(name, fields, read_values(path / "tags"))


def _as_columns(meta: Mapping[str, object]) -> dict[str, object]:
    """Name times as MLflow's tables do."""
    return {
        **meta,
        "creation_time": meta.get("creation_timestamp"),
        "last_updated_time": meta.get("last_updated_timestamp"),
    }
