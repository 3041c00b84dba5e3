"""Which run has a metric's value, read from the index alone.

On SQLite each index of a table that is clustered by its key holds that key already.
"""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Go to this revision from the one before."""
    if op.get_context().dialect.name != "postgresql":
        return
    op.drop_index("latest_metrics_by_value", "latest_metrics")
    op.create_index(
        "latest_metrics_by_value",
        "latest_metrics",
        ["key", "value", "is_nan"],
        postgresql_include=["run_pk"],
    )
