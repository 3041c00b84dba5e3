"""Requests to move a model version, how a move came about, and versions by their tags."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Go to this revision from the one before."""
    big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "promotion_requests",
        sa.Column("request_pk", sa.Integer(), nullable=False),
        sa.Column("registered_model_pk", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=True),
        sa.Column("alias", sa.Text(), nullable=True),
        sa.Column("archive_existing", sa.Integer(), nullable=False),
        sa.Column("time_ms", big, nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.Column("condition", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=True),
        sa.Column("approvers", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=False),
        sa.Column("decided_time_ms", big, nullable=True),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("request_pk"),
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )
    op.create_index(
        "promotion_requests_by_model", "promotion_requests", ["registered_model_pk", "version"]
    )
    op.create_index("promotion_requests_by_status", "promotion_requests", ["status"])
    op.add_column("model_version_transitions", sa.Column("via", sa.Text(), nullable=True))
    short = sa.text("length(value) <= 100")
    op.create_index(
        "model_version_tags_by_value",
        "model_version_tags",
        ["key", "value"],
        sqlite_where=short,
        postgresql_where=short,
    )
