"""The tables of the model registry, in the same database as the tracking store's."""

from __future__ import annotations

from sqlalchemy import ForeignKeyConstraint, Index, Integer, Text, text
from sqlmodel import Field, SQLModel

from flowrun.tracking.sql.columns import BIG, CLUSTERED, STRICT

_SHORT = text("length(value) <= 100")


class RegisteredModelRow(SQLModel, table=True):
    """Registered models. `last_version` only grows, so that no version number comes twice."""

    __tablename__ = "registered_models"
    __table_args__ = (
        Index("registered_models_by_update", "last_update_time_ms"),
        {"sqlite_autoincrement": True, **STRICT},
    )
    registered_model_pk: int = Field(primary_key=True, sa_type=Integer)
    name: str = Field(unique=True, sa_type=Text)
    creation_time_ms: int = Field(sa_type=BIG)
    last_update_time_ms: int = Field(sa_type=BIG)
    description: str = Field(sa_type=Text)
    last_version: int = Field(sa_type=Integer)


class RegisteredModelTagRow(SQLModel, table=True):
    """Tags of registered models."""

    __tablename__ = "registered_model_tags"
    __table_args__ = CLUSTERED
    registered_model_pk: int = Field(
        primary_key=True,
        sa_type=Integer,
        foreign_key="registered_models.registered_model_pk",
        ondelete="CASCADE",
    )
    key: str = Field(primary_key=True, sa_type=Text)
    value: str = Field(sa_type=Text)


class ModelVersionRow(SQLModel, table=True):
    """Versions of registered models."""

    __tablename__ = "model_versions"
    __table_args__ = (
        Index("model_versions_by_run", "run_id"),
        Index("model_versions_by_update", "last_update_time_ms"),
        CLUSTERED,
    )
    registered_model_pk: int = Field(
        primary_key=True,
        sa_type=Integer,
        foreign_key="registered_models.registered_model_pk",
        ondelete="CASCADE",
    )
    version: int = Field(primary_key=True, sa_type=Integer)
    creation_time_ms: int = Field(sa_type=BIG)
    last_update_time_ms: int = Field(sa_type=BIG)
    description: str = Field(sa_type=Text)
    user_id: str | None = Field(sa_type=Text)
    stage: str = Field(sa_type=Text)
    status: str = Field(sa_type=Text)
    source: str = Field(sa_type=Text)
    download_uri: str = Field(sa_type=Text)
    run_id: str | None = Field(sa_type=Text)
    run_link: str | None = Field(sa_type=Text)
    model_id: str | None = Field(sa_type=Text)


class ModelVersionTagRow(SQLModel, table=True):
    """Tags of versions."""

    __tablename__ = "model_version_tags"
    __table_args__ = (
        ForeignKeyConstraint(
            ["registered_model_pk", "version"],
            ["model_versions.registered_model_pk", "model_versions.version"],
            ondelete="CASCADE",
        ),
        Index(
            "model_version_tags_by_value",
            "key",
            "value",
            sqlite_where=_SHORT,
            postgresql_where=_SHORT,
        ),
        CLUSTERED,
    )
    registered_model_pk: int = Field(primary_key=True, sa_type=Integer)
    version: int = Field(primary_key=True, sa_type=Integer)
    key: str = Field(primary_key=True, sa_type=Text)
    value: str = Field(sa_type=Text)


class AliasRow(SQLModel, table=True):
    """Names that point to versions."""

    __tablename__ = "registered_model_aliases"
    __table_args__ = (
        ForeignKeyConstraint(
            ["registered_model_pk", "version"],
            ["model_versions.registered_model_pk", "model_versions.version"],
            ondelete="CASCADE",
        ),
        CLUSTERED,
    )
    registered_model_pk: int = Field(primary_key=True, sa_type=Integer)
    alias: str = Field(primary_key=True, sa_type=Text)
    version: int = Field(sa_type=Integer)


class TransitionRow(SQLModel, table=True):
    """The history of stages and aliases; it outlives its model, so there is no foreign key."""

    __tablename__ = "model_version_transitions"
    __table_args__ = (
        Index("transitions_by_model", "registered_model_pk", "version"),
        {"sqlite_autoincrement": True, **STRICT},
    )
    transition_pk: int = Field(primary_key=True, sa_type=Integer)
    registered_model_pk: int = Field(sa_type=Integer)
    version: int = Field(sa_type=Integer)
    time_ms: int = Field(sa_type=BIG)
    user_id: str = Field(sa_type=Text)
    kind: str = Field(sa_type=Text)
    alias: str = Field(sa_type=Text)
    before: str = Field(sa_type=Text)
    after: str = Field(sa_type=Text)
    reason: str = Field(sa_type=Text)
    run_id: str | None = Field(sa_type=Text)
    via: str | None = Field(sa_type=Text)


class PromotionRequestRow(SQLModel, table=True):
    """Requests to move a version; they outlive their model, as the history does."""

    __tablename__ = "promotion_requests"
    __table_args__ = (
        Index("promotion_requests_by_model", "registered_model_pk", "version"),
        Index("promotion_requests_by_status", "status"),
        {"sqlite_autoincrement": True, **STRICT},
    )
    request_pk: int = Field(primary_key=True, sa_type=Integer)
    registered_model_pk: int = Field(sa_type=Integer)
    version: int = Field(sa_type=Integer)
    stage: str | None = Field(sa_type=Text)
    alias: str | None = Field(sa_type=Text)
    archive_existing: int = Field(sa_type=Integer)
    time_ms: int = Field(sa_type=BIG)
    user_id: str = Field(sa_type=Text)
    reason: str = Field(sa_type=Text)
    run_id: str | None = Field(sa_type=Text)
    condition: str = Field(sa_type=Text)
    holder: str | None = Field(sa_type=Text)
    approvers: str = Field(sa_type=Text)
    status: str = Field(sa_type=Text)
    decided_by: str = Field(sa_type=Text)
    decided_time_ms: int | None = Field(sa_type=BIG)
    comment: str = Field(sa_type=Text)


class WebhookRow(SQLModel, table=True):
    """Who is told of changes."""

    __tablename__ = "webhooks"
    __table_args__ = CLUSTERED
    webhook_id: str = Field(primary_key=True, sa_type=Text)
    name: str = Field(sa_type=Text)
    url: str = Field(sa_type=Text)
    creation_time_ms: int = Field(sa_type=BIG)
    last_update_time_ms: int = Field(sa_type=BIG)
    description: str = Field(sa_type=Text)
    status: str = Field(sa_type=Text)
    sealed_secret: str | None = Field(sa_type=Text)


class WebhookEventRow(SQLModel, table=True):
    """Of which changes."""

    __tablename__ = "webhook_events"
    __table_args__ = CLUSTERED
    webhook_id: str = Field(
        primary_key=True, sa_type=Text, foreign_key="webhooks.webhook_id", ondelete="CASCADE"
    )
    event: str = Field(primary_key=True, sa_type=Text)


class WebhookDeliveryRow(SQLModel, table=True):
    """What is still to be told; a row goes when it was."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        Index("webhook_deliveries_by_time", "webhook_id", "next_time_ms"),
        {"sqlite_autoincrement": True, **STRICT},
    )
    delivery_pk: int = Field(primary_key=True, sa_type=Integer)
    webhook_id: str = Field(sa_type=Text, foreign_key="webhooks.webhook_id", ondelete="CASCADE")
    event: str = Field(sa_type=Text)
    data: str = Field(sa_type=Text)
    time_ms: int = Field(sa_type=BIG)
    attempts: int = Field(sa_type=Integer)
    next_time_ms: int = Field(sa_type=BIG)
