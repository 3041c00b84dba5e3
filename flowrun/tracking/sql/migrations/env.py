"""What Alembic runs: the migrations, on the connection that `upgrade.py` hands over.

How a migration is made: `upgrade.py`.
"""

from __future__ import annotations

from alembic import context

if context.is_offline_mode():  # for the text of PostgreSQL's schema
    context.configure(dialect_name="postgresql")
else:
    context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
