"""What is logged to runs without foreign keys on PostgreSQL.

It looks up and locks the run for each point of a metric, as long as writing the point takes. Who
writes holds the run's lock and has looked already; a trigger does what ON DELETE CASCADE did.
"""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"

_LOGGED = ("params", "tags", "metrics", "latest_metrics")
_DELETES = "\n".join(f"    DELETE FROM {table} WHERE run_pk = OLD.run_pk;" for table in _LOGGED)


def upgrade() -> None:
    """Go to this revision from the one before."""
    if op.get_context().dialect.name != "postgresql":
        return
    for table in _LOGGED:
        op.drop_constraint(f"{table}_run_pk_fkey", table)
    op.execute(f"""
        CREATE FUNCTION flowrun_remove_logged() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
        {_DELETES}
            RETURN NULL;
        END
        $$
    """)
    op.execute("""
        CREATE TRIGGER runs_remove_logged AFTER DELETE ON runs
        FOR EACH ROW EXECUTE FUNCTION flowrun_remove_logged()
    """)
