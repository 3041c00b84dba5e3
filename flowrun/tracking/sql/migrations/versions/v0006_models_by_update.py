"""Registered models by the time of their last change."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Go to this revision from the one before."""
    op.create_index("registered_models_by_update", "registered_models", ["last_update_time_ms"])
