"""`flowrun db`: what the keeper of a store does with its database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from flowrun.engine.services import Home
from flowrun.errors import StoreError
from flowrun.settings import Settings
from flowrun.tracking.sql.database import REVISION, KeptDatabase, newer_store
from flowrun.tracking.uri import kept_database, with_absolute_path

app = typer.Typer(rich_markup_mode=None, add_completion=False)
db = typer.Typer(help="Upgrade, check or back up a store.", no_args_is_help=True)
app.add_typer(db, name="db")

UriArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[URI]", help="sqlite:///FILE or postgresql://...; default: flowrun's own store."
    ),
]
NEEDS_UPGRADE = 1


@db.command("status")
def status(ctx: typer.Context, uri: UriArgument = None) -> None:
    """Tell whether this flowrun can use a store; exit code 1: it must be upgraded first."""
    with _database(ctx.obj, uri) as database:
        revision = _known_revision(database)
        if revision is None:
            typer.echo(f"{database.name}: there is no store yet; the first use makes one.")
        elif revision == REVISION:
            typer.echo(f"{database.name}: up to date (revision {revision}).")
        else:
            typer.echo(f"{database.name}: revision {revision}, this flowrun needs {REVISION}.")
            raise typer.Exit(NEEDS_UPGRADE)


@db.command("upgrade")
def upgrade(ctx: typer.Context, uri: UriArgument = None) -> None:
    """Bring a store that an older flowrun made to this one's revision, or make a new one.

    Everything is done in one transaction. Of a SQLite store a copy stays beside it; of one in
    PostgreSQL make a backup first, and stop its servers.
    """
    with _database(ctx.obj, uri) as database:
        before = _known_revision(database)
        if before == REVISION:
            typer.echo(f"{database.name}: up to date (revision {REVISION}).")
            return
        database.migrate()
        typer.echo(f"{database.name}: {before or 'nothing'} -> revision {REVISION}.")


@db.command("backup")
def backup(
    ctx: typer.Context,
    uri: UriArgument = None,
    to: Annotated[
        Path | None, typer.Option(help="A new file; default: flowrun-TIME.backup, here.")
    ] = None,
) -> None:
    """Copy a store as it is now, while it is used: its database, not its artifacts.

    A copy of a SQLite store is one as well; one of PostgreSQL is for `pg_restore`.
    """
    settings: Settings = ctx.obj
    into = settings.cwd / (to or f"flowrun-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.backup")
    with _database(settings, uri) as database:
        if database.revision() is None:
            raise StoreError(f"store {database.name}: there is nothing to back up")
        database.back_up(into, settings.variables)
        typer.echo(f"{database.name}: copied to {into}")


@contextmanager
def _database(settings: Settings, uri: str | None) -> Iterator[KeptDatabase]:
    given = uri or settings.tracking_uri or Home(settings.home).database_uri
    database = kept_database(with_absolute_path(given, settings.cwd))
    try:
        yield database
    finally:
        database.close()


def _known_revision(database: KeptDatabase) -> str | None:
    revision = database.revision()
    if revision is not None and revision > REVISION:
        raise newer_store(database.name, revision)
    return revision
