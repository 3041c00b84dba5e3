"""Runs, models and registry of a SQL store of MLflow's, of any version."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

from flowrun.errors import InvalidValueError
from flowrun.importing.convert import (
    decimal,
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
from flowrun.importing.places import ArtifactPlaces
from flowrun.importing.source import FoundModel, FoundRegisteredModel
from flowrun.importing.sql_reader import Reader, Row, check_schema, unknown_parts
from flowrun.importing.sql_tables import DEFAULT_WORKSPACE, Tables
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
from flowrun.tracking.sql.part import chunks


class SqlSource:
    """A `Source` in a database that MLflow made."""

    def __init__(
        self,
        uri: str,
        reader: Reader,
        places: ArtifactPlaces,
        on_problem: Callable[[str], None],
    ) -> None:
        """Look at the database.

        Args:
            uri: where it is, without passwords.
            reader: it is closed with the source.
            places: where its artifacts may be read.
            on_problem: told of each thing that is left out.

        Raises:
            UsageError: it is no store of MLflow's. StoreError: it can't be read as it is.
        """
        self.uri = uri
        self._reader = reader
        self._places = places
        self._on_problem = on_problem
        self._tables = Tables(reader, check_schema(reader, uri))

    def notes(self) -> Sequence[str]:
        """Tell what it holds that is not imported."""
        notes = unknown_parts(self._reader, self._tables.columns)
        for table in ("experiments", "registered_models"):
            if "workspace" in self._tables.columns.get(table, ()):
                statement = f"SELECT COUNT(*) FROM {table} WHERE workspace != ?"  # noqa: S608
                ((count,),) = self._reader.rows(statement, [DEFAULT_WORKSPACE])
                if count:
                    what = table.replace("_", " ")
                    notes.append(f"{count} {what} of other workspaces are not imported")
        return notes

    def experiments(self) -> Sequence[Experiment]:
        """Give all experiments of the default workspace."""
        tags = self._tables.pairs("experiment_tags", "experiment_id", "key", "value")
        columns = (
            *("experiment_id", "name", "artifact_location", "lifecycle_stage"),
            *("creation_time", "last_update_time"),
        )
        return [
            Experiment(
                experiment_id=text(row[0]),
                name=text(row[1]),
                artifact_location=text(row[2]),
                lifecycle_stage=lifecycle_stage(row[3]),
                creation_time_ms=time_ms(row[4]),
                last_update_time_ms=time_ms(row[5]),
                tags=tags.get(row[0], {}),
            )
            for row in self._tables.select("experiments", columns, order="experiment_id")
        ]

    def run_roots(self, experiment_id: str) -> Mapping[str, str]:
        """Give the ids of an experiment's runs, with their artifact URIs."""
        rows = self._tables.select(
            "runs", ("run_uuid", "artifact_uri"), ("experiment_id", [int(experiment_id)]),
            order="start_time, run_uuid",
        )  # fmt: skip
        return {text(run_id): text(uri) for run_id, uri in rows}

    def runs(self, experiment_id: str, run_ids: Sequence[str]) -> Iterator[FullRun]:
        """Read runs."""
        for part in chunks(run_ids):
            yield from self._runs(experiment_id, part)

    def logged_models(self, experiment_id: str) -> Iterator[FoundModel]:
        """Give the logged models of an experiment."""
        columns = (
            *("model_id", "name", "artifact_location", "creation_timestamp_ms"),
            *("last_updated_timestamp_ms", "status", "model_type", "source_run_id"),
            "lifecycle_stage",
        )
        where = ("experiment_id", [int(experiment_id)])
        rows = list(self._tables.select("logged_models", columns, where, order="model_id"))
        for part in chunks(rows, 100):
            ids = [row[0] for row in part]
            params = self._tables.pairs(
                "logged_model_params", "model_id", "param_key", "param_value", ids
            )
            tags = self._tables.pairs("logged_model_tags", "model_id", "tag_key", "tag_value", ids)
            metrics = self._model_metrics(ids)
            for row in part:
                model = LoggedModel(
                    model_id=text(row[0]),
                    experiment_id=experiment_id,
                    name=text(row[1]),
                    artifact_uri=text(row[2]),
                    creation_time_ms=time_ms(row[3]),
                    last_update_time_ms=time_ms(row[4]),
                    status=model_status(row[5]),
                    model_type=text_or_none(row[6]),
                    source_run_id=text_or_none(row[7]),
                    params=params.get(row[0], {}),
                    tags=tags.get(row[0], {}),
                    metrics=tuple(metrics.get(row[0], ())),
                )
                yield FoundModel(model, lifecycle_stage(row[8]))

    def registered_models(self) -> Iterator[FoundRegisteredModel]:
        """Give all registered models of the default workspace."""
        columns = ("name", "creation_time", "last_updated_time", "description")
        for row in list(self._tables.select("registered_models", columns, order="name")):
            try:
                yield self._registered_model(row)
            except InvalidValueError as error:
                self._on_problem(f"registered model '{row[0]}': {error.message}")

    def open_artifacts(self, uri: str) -> Artifacts:
        """Open the artifacts that a run or model of this source has at a URI."""
        return self._places.open(uri)

    def close(self) -> None:
        """Close the database."""
        self._reader.close()

    def _runs(self, experiment_id: str, run_ids: Sequence[str]) -> Iterator[FullRun]:
        columns = (
            *("run_uuid", "name", "user_id", "status", "start_time", "end_time"),
            *("artifact_uri", "lifecycle_stage"),
        )
        params = self._tables.pairs("params", "run_uuid", "key", "value", run_ids)
        tags = self._tables.pairs("tags", "run_uuid", "key", "value", run_ids)
        datasets = self._dataset_inputs(run_ids)
        inputs, outputs = self._model_links(run_ids)
        for row in list(self._tables.select("runs", columns, ("run_uuid", run_ids))):
            run_id = text(row[0])
            own_tags = tags.get(run_id, {})
            try:
                info = RunInfo(
                    run_id=run_id,
                    experiment_id=experiment_id,
                    run_name=text(row[1]) or own_tags.get("mlflow.runName", ""),
                    user_id=text(row[2]),
                    status=run_status(row[3]),
                    start_time_ms=time_ms(row[4]),
                    end_time_ms=None if row[5] is None else time_ms(row[5]),
                    artifact_uri=text(row[6]),
                    lifecycle_stage=lifecycle_stage(row[7]),
                )
            except InvalidValueError as error:
                self._on_problem(f"run {run_id}: {error.message}")
                continue
            run = Run(
                info,
                params=params.get(run_id, {}),
                tags=own_tags,
                dataset_inputs=tuple(datasets.get(run_id, ())),
                model_inputs=tuple(inputs.get(run_id, ())),
                model_outputs=tuple(outputs.get(run_id, ())),
            )
            yield FullRun(run, self._history_of(run_id))

    def _history_of(self, run_id: str) -> Callable[[], Iterator[Metric]]:
        def history() -> Iterator[Metric]:
            columns = ("key", "timestamp", "step", "value", "is_nan")
            order = "key, timestamp"
            for key, timestamp, step, value, is_nan in self._tables.select(
                "metrics", columns, ("run_uuid", [run_id]), order=order
            ):
                yield Metric(
                    text(key),
                    math.nan if is_nan else decimal(value),
                    time_ms(timestamp),
                    number(step),
                )

        return history

    def _model_metrics(self, model_ids: Sequence[object]) -> dict[object, list[Metric]]:
        columns = (
            *("model_id", "metric_name", "metric_value", "metric_timestamp_ms", "metric_step"),
            *("run_id", "dataset_name", "dataset_digest"),
        )
        found: defaultdict[object, list[Metric]] = defaultdict(list)
        for row in self._tables.select("logged_model_metrics", columns, ("model_id", model_ids)):
            found[row[0]].append(
                Metric(
                    key=text(row[1]),
                    value=decimal(row[2]),
                    timestamp_ms=time_ms(row[3]),
                    step=number(row[4]),
                    model_id=text(row[0]),
                    run_id=text(row[5]),
                    dataset_name=text_or_none(row[6]),
                    dataset_digest=text_or_none(row[7]),
                )
            )
        return found

    def _dataset_inputs(self, run_ids: Sequence[str]) -> dict[str, list[DatasetInput]]:
        columns = ("input_uuid", "source_id", "destination_id", "source_type")
        links = [
            row
            for row in self._tables.select("inputs", columns, ("destination_id", run_ids))
            if row[3] == "DATASET"
        ]
        tags = self._tables.pairs(
            "input_tags", "input_uuid", "name", "value", [row[0] for row in links]
        )
        datasets = self._datasets(sorted({text(row[1]) for row in links}))
        found: defaultdict[str, list[DatasetInput]] = defaultdict(list)
        for input_id, dataset_id, run_id, _ in links:
            dataset = datasets.get(text(dataset_id))
            if dataset is None:
                self._on_problem(f"run {run_id}: its dataset {dataset_id} is not in the store")
            else:
                found[text(run_id)].append(DatasetInput(dataset, tags.get(input_id, {})))
        return found

    def _datasets(self, dataset_ids: Sequence[str]) -> dict[str, Dataset]:
        columns = (
            *("dataset_uuid", "name", "digest", "dataset_source_type", "dataset_source"),
            *("dataset_schema", "dataset_profile"),
        )
        return {
            text(row[0]): Dataset(
                name=text(row[1]),
                digest=text(row[2]),
                source_type=text(row[3]),
                source=text(row[4]),
                schema=text_or_none(row[5]),
                profile=text_or_none(row[6]),
            )
            for part in chunks(dataset_ids)
            for row in self._tables.select("datasets", columns, ("dataset_uuid", part))
        }

    def _model_links(
        self, run_ids: Sequence[str]
    ) -> tuple[dict[str, list[ModelInput]], dict[str, list[ModelOutput]]]:
        inputs: defaultdict[str, list[ModelInput]] = defaultdict(list)
        outputs: defaultdict[str, list[ModelOutput]] = defaultdict(list)
        columns = ("source_id", "source_type", "destination_id", "step")
        for run_id, kind, model_id, step in self._tables.select(
            "inputs", columns, ("source_id", run_ids)
        ):
            if kind == "RUN_INPUT":
                inputs[text(run_id)].append(ModelInput(text(model_id)))
            elif kind == "RUN_OUTPUT":
                outputs[text(run_id)].append(ModelOutput(text(model_id), number(step)))
        return inputs, outputs

    def _registered_model(self, row: Row) -> FoundRegisteredModel:
        name = text(row[0])
        of_model = ("name", [name])
        tags = self._tables.pairs("registered_model_tags", "name", "key", "value", [name])
        aliases = self._tables.select("registered_model_aliases", ("alias", "version"), of_model)
        version_tags: defaultdict[object, dict[str, str]] = defaultdict(dict)
        columns: tuple[str, ...] = ("version", "key", "value")
        for version, key, value in self._tables.select("model_version_tags", columns, of_model):
            version_tags[version][text(key)] = text(value)
        columns = (
            *("version", "creation_time", "last_updated_time", "description", "user_id"),
            *("current_stage", "status", "source", "storage_location", "run_id", "run_link"),
        )
        rows = list(self._tables.select("model_versions", columns, of_model, order="version"))
        versions = [
            version_of(name, dict(zip(columns, each, strict=True)), version_tags.get(each[0], {}))
            for each in rows
        ]
        return model_of(
            name,
            dict(zip(("creation_time", "last_updated_time", "description"), row[1:], strict=True)),
            tags.get(name, {}),
            {text(alias): str(version) for alias, version in aliases},
            [version for version in versions if version is not None],
            max((number(each[0]) for each in rows), default=0),
        )
