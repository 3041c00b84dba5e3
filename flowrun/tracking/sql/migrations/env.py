"""What Alembic runs: the migrations, on the connection that `upgrade.py` hands over.

How a migration is made: `upgrade.py`.
"""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
