"""Traces, spans and assessments."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the tables of traces."""
    op.create_table(
        "traces",
        sa.Column("trace_pk", sa.Integer(), nullable=False),
        sa.Column("trace_id", sa.Text(), nullable=False),
        sa.Column("experiment_id", sa.Integer(), nullable=False),
        sa.Column(
            "timestamp_ms", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "execution_time_ms", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("client_request_id", sa.Text(), nullable=True),
        sa.Column("request_preview", sa.Text(), nullable=True),
        sa.Column("response_preview", sa.Text(), nullable=True),
        sa.Column("is_told", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["experiment_id"],
            ["experiments.experiment_id"],
        ),
        sa.PrimaryKeyConstraint("trace_pk"),
        sa.UniqueConstraint("trace_id"),
        sqlite_strict=True,
    )
    op.create_index("traces_by_client", "traces", ["client_request_id"], unique=False)
    op.create_index(
        "traces_by_status", "traces", ["experiment_id", "status", "timestamp_ms"], unique=False
    )
    op.create_index("traces_by_time", "traces", ["experiment_id", "timestamp_ms"], unique=False)
    op.create_table(
        "assessments",
        sa.Column("trace_pk", sa.Integer(), nullable=False),
        sa.Column("assessment_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("number", sa.Double().with_variant(sa.REAL(), "sqlite"), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("span_id", sa.Text(), nullable=True),
        sa.Column("source_type", sa.Text(), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=False),
        sa.Column("rationale", sa.Text(), nullable=True),
        sa.Column("assessment_metadata", sa.Text(), nullable=False),
        sa.Column("overrides", sa.Text(), nullable=True),
        sa.Column("is_valid", sa.Integer(), nullable=False),
        sa.Column(
            "create_time_ms", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "last_update_time_ms",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(["trace_pk"], ["traces.trace_pk"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("trace_pk", "assessment_id"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("assessments_by_name", "assessments", ["kind", "name"], unique=False)
    op.create_table(
        "spans",
        sa.Column("span_pk", sa.Integer(), nullable=False),
        sa.Column("trace_pk", sa.Integer(), nullable=False),
        sa.Column("span_id", sa.Text(), nullable=False),
        sa.Column("parent_id", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column(
            "start_time_ns", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "end_time_ns", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("token_usage", sa.Text(), nullable=True),
        sa.Column("cost", sa.Text(), nullable=True),
        sa.Column("content", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["trace_pk"], ["traces.trace_pk"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("span_pk"),
        sqlite_strict=True,
    )
    op.create_index("spans_by_name", "spans", ["name", "trace_pk"], unique=False)
    op.create_index("spans_by_trace", "spans", ["trace_pk", "span_id"], unique=True)
    op.create_index("spans_by_type", "spans", ["type", "trace_pk"], unique=False)
    op.create_table(
        "trace_metadata",
        sa.Column("trace_pk", sa.Integer(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["trace_pk"], ["traces.trace_pk"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("trace_pk", "key"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index(
        "trace_metadata_by_value",
        "trace_metadata",
        ["key", "value"],
        unique=False,
        sqlite_where=sa.text("length(value) <= 100"),
        postgresql_where=sa.text("length(value) <= 100"),
    )
    op.create_table(
        "trace_prompts",
        sa.Column("trace_pk", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["trace_pk"], ["traces.trace_pk"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("trace_pk", "name", "version"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("trace_prompts_by_name", "trace_prompts", ["name", "version"], unique=False)
    op.create_table(
        "trace_runs",
        sa.Column("trace_pk", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["trace_pk"], ["traces.trace_pk"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("trace_pk", "run_id"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("trace_runs_by_run", "trace_runs", ["run_id"], unique=False)
    op.create_table(
        "trace_tags",
        sa.Column("trace_pk", sa.Integer(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["trace_pk"], ["traces.trace_pk"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("trace_pk", "key"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index(
        "trace_tags_by_value",
        "trace_tags",
        ["key", "value"],
        unique=False,
        sqlite_where=sa.text("length(value) <= 100"),
        postgresql_where=sa.text("length(value) <= 100"),
    )
