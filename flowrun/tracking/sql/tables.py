"""The tables of the tracking store: the one declaration of its schema.

The migrations are derived from these classes and `schema.sql` from the migrations; a test keeps the
three equal. The statements beside the code that uses them are plain SQL.

Runs have a row number (`run_pk`) beside their id, so that a metric's point costs 8 bytes for
its run instead of 32, and what belongs to a run lies together on disk, in the order of its making.
"""

from __future__ import annotations

from sqlalchemy import Index, Integer, Text, text
from sqlmodel import Field, SQLModel

from flowrun.tracking.sql.columns import BIG, CLUSTERED, FLOAT, STRICT
from flowrun.tracking.sql.query import SHORT_VALUE

UNCHECKED = ("params", "tags", "metrics", "latest_metrics")
"""Tables whose foreign key PostgreSQL does without (migration 0008)."""

_SHORT = text(f"length(value) <= {SHORT_VALUE}")


class ExperimentRow(SQLModel, table=True):
    """Ids are never used again; 0 is `Default`."""

    __tablename__ = "experiments"
    __table_args__ = {"sqlite_autoincrement": True, **STRICT}
    experiment_id: int = Field(primary_key=True, sa_type=Integer)
    name: str = Field(unique=True, sa_type=Text)
    artifact_location: str = Field(sa_type=Text)
    lifecycle_stage: str = Field(sa_type=Text)
    creation_time_ms: int = Field(sa_type=BIG)
    last_update_time_ms: int = Field(sa_type=BIG)


class ExperimentTagRow(SQLModel, table=True):
    """Tags of experiments."""

    __tablename__ = "experiment_tags"
    __table_args__ = CLUSTERED
    experiment_id: int = Field(
        primary_key=True, sa_type=Integer, foreign_key="experiments.experiment_id"
    )
    key: str = Field(primary_key=True, sa_type=Text)
    value: str = Field(sa_type=Text)


class RunRow(SQLModel, table=True):
    """Runs. The index gives the newest runs of an experiment without a sort of all.

    A deleted run may have no `deleted_time_ms`: an import, or an older flowrun, deleted it.
    """

    __tablename__ = "runs"
    __table_args__ = (
        Index("runs_by_start", "experiment_id", "lifecycle_stage", "start_time_ms"),
        STRICT,
    )
    run_pk: int = Field(primary_key=True, sa_type=Integer)
    run_id: str = Field(unique=True, sa_type=Text)
    experiment_id: int = Field(sa_type=Integer, foreign_key="experiments.experiment_id")
    run_name: str = Field(sa_type=Text)
    user_id: str = Field(sa_type=Text)
    status: str = Field(sa_type=Text)
    start_time_ms: int = Field(sa_type=BIG)
    end_time_ms: int | None = Field(sa_type=BIG)
    artifact_uri: str = Field(sa_type=Text)
    lifecycle_stage: str = Field(sa_type=Text)
    deleted_time_ms: int | None = Field(default=None, sa_type=BIG)


class ParamRow(SQLModel, table=True):
    """Params of runs."""

    __tablename__ = "params"
    __table_args__ = (
        Index("params_by_value", "key", "value", sqlite_where=_SHORT, postgresql_where=_SHORT),
        CLUSTERED,
    )
    run_pk: int = Field(
        primary_key=True, sa_type=Integer, foreign_key="runs.run_pk", ondelete="CASCADE"
    )
    key: str = Field(primary_key=True, sa_type=Text)
    value: str = Field(sa_type=Text)


class TagRow(SQLModel, table=True):
    """Tags of runs."""

    __tablename__ = "tags"
    __table_args__ = (
        Index("tags_by_value", "key", "value", sqlite_where=_SHORT, postgresql_where=_SHORT),
        CLUSTERED,
    )
    run_pk: int = Field(
        primary_key=True, sa_type=Integer, foreign_key="runs.run_pk", ondelete="CASCADE"
    )
    key: str = Field(primary_key=True, sa_type=Text)
    value: str = Field(sa_type=Text)


class MetricRow(SQLModel, table=True):
    """Every point once: the whole row is its key, in the order a history is read in.

    A nan is `value` 0 with `is_nan` 1, an infinity the largest float, as MLflow keeps them.
    """

    __tablename__ = "metrics"
    __table_args__ = CLUSTERED
    run_pk: int = Field(
        primary_key=True, sa_type=Integer, foreign_key="runs.run_pk", ondelete="CASCADE"
    )
    key: str = Field(primary_key=True, sa_type=Text)
    timestamp_ms: int = Field(primary_key=True, sa_type=BIG)
    step: int = Field(primary_key=True, sa_type=BIG)
    value: float = Field(primary_key=True, sa_type=FLOAT)
    is_nan: int = Field(primary_key=True, sa_type=Integer)


class LatestMetricRow(SQLModel, table=True):
    """The latest point of each metric of a run: what searches look at."""

    __tablename__ = "latest_metrics"
    __table_args__ = (
        # SQLite's index holds the table's key anyway.
        Index("latest_metrics_by_value", "key", "value", "is_nan", postgresql_include=["run_pk"]),
        CLUSTERED,
    )
    run_pk: int = Field(
        primary_key=True, sa_type=Integer, foreign_key="runs.run_pk", ondelete="CASCADE"
    )
    key: str = Field(primary_key=True, sa_type=Text)
    value: float = Field(sa_type=FLOAT)
    timestamp_ms: int = Field(sa_type=BIG)
    step: int = Field(sa_type=BIG)
    is_nan: int = Field(sa_type=Integer)


class DatasetRow(SQLModel, table=True):
    """A dataset, once for each experiment, name and digest."""

    __tablename__ = "datasets"
    __table_args__ = (
        Index("datasets_by_name", "experiment_id", "name", "digest", unique=True),
        STRICT,
    )
    dataset_pk: int = Field(primary_key=True, sa_type=Integer)
    experiment_id: int = Field(sa_type=Integer, foreign_key="experiments.experiment_id")
    name: str = Field(sa_type=Text)
    digest: str = Field(sa_type=Text)
    source_type: str = Field(sa_type=Text)
    source: str = Field(sa_type=Text)
    dataset_schema: str | None = Field(sa_type=Text)
    dataset_profile: str | None = Field(sa_type=Text)


class RunDatasetRow(SQLModel, table=True):
    """The datasets that a run read."""

    __tablename__ = "run_datasets"
    __table_args__ = CLUSTERED
    run_pk: int = Field(
        primary_key=True, sa_type=Integer, foreign_key="runs.run_pk", ondelete="CASCADE"
    )
    dataset_pk: int = Field(primary_key=True, sa_type=Integer, foreign_key="datasets.dataset_pk")


class RunDatasetTagRow(SQLModel, table=True):
    """Tags of one run's use of a dataset, such as its context: training, evaluation."""

    __tablename__ = "run_dataset_tags"
    __table_args__ = CLUSTERED
    run_pk: int = Field(
        primary_key=True, sa_type=Integer, foreign_key="runs.run_pk", ondelete="CASCADE"
    )
    dataset_pk: int = Field(primary_key=True, sa_type=Integer, foreign_key="datasets.dataset_pk")
    key: str = Field(primary_key=True, sa_type=Text)
    value: str = Field(sa_type=Text)


class RunModelRow(SQLModel, table=True):
    """Logged models that a run read (`input`, step 0) or made (`output`)."""

    __tablename__ = "run_models"
    __table_args__ = CLUSTERED
    run_pk: int = Field(
        primary_key=True, sa_type=Integer, foreign_key="runs.run_pk", ondelete="CASCADE"
    )
    direction: str = Field(primary_key=True, sa_type=Text)
    model_id: str = Field(primary_key=True, sa_type=Text)
    step: int = Field(primary_key=True, sa_type=BIG)


class LoggedModelRow(SQLModel, table=True):
    """Logged models. `source_run_id` is a text, not a key: MLflow takes any."""

    __tablename__ = "logged_models"
    __table_args__ = (
        Index("logged_models_by_creation", "experiment_id", "lifecycle_stage", "creation_time_ms"),
        Index("logged_models_by_run", "source_run_id"),
        CLUSTERED,
    )
    model_id: str = Field(primary_key=True, sa_type=Text)
    experiment_id: int = Field(sa_type=Integer, foreign_key="experiments.experiment_id")
    name: str = Field(sa_type=Text)
    artifact_uri: str = Field(sa_type=Text)
    creation_time_ms: int = Field(sa_type=BIG)
    last_update_time_ms: int = Field(sa_type=BIG)
    status: str = Field(sa_type=Text)
    model_type: str | None = Field(sa_type=Text)
    source_run_id: str | None = Field(sa_type=Text)
    lifecycle_stage: str = Field(sa_type=Text)


class LoggedModelParamRow(SQLModel, table=True):
    """Params of logged models."""

    __tablename__ = "logged_model_params"
    __table_args__ = CLUSTERED
    model_id: str = Field(
        primary_key=True, sa_type=Text, foreign_key="logged_models.model_id", ondelete="CASCADE"
    )
    key: str = Field(primary_key=True, sa_type=Text)
    value: str = Field(sa_type=Text)


class LoggedModelTagRow(SQLModel, table=True):
    """Tags of logged models."""

    __tablename__ = "logged_model_tags"
    __table_args__ = CLUSTERED
    model_id: str = Field(
        primary_key=True, sa_type=Text, foreign_key="logged_models.model_id", ondelete="CASCADE"
    )
    key: str = Field(primary_key=True, sa_type=Text)
    value: str = Field(sa_type=Text)


class LoggedModelMetricRow(SQLModel, table=True):
    """Metrics that runs logged with a model's id, besides their own."""

    __tablename__ = "logged_model_metrics"
    __table_args__ = (Index("logged_model_metrics_by_value", "key", "value"), CLUSTERED)
    model_id: str = Field(
        primary_key=True, sa_type=Text, foreign_key="logged_models.model_id", ondelete="CASCADE"
    )
    key: str = Field(primary_key=True, sa_type=Text)
    timestamp_ms: int = Field(primary_key=True, sa_type=BIG)
    step: int = Field(primary_key=True, sa_type=BIG)
    run_id: str = Field(primary_key=True, sa_type=Text)
    value: float = Field(sa_type=FLOAT)
    is_nan: int = Field(sa_type=Integer)
    dataset_name: str | None = Field(sa_type=Text)
    dataset_digest: str | None = Field(sa_type=Text)
