"""`flowrun gc`: removes what nobody needs any more."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack, closing
from typing import Annotated

import typer

from flowrun.cli.ages import before
from flowrun.cli.server_options import place_of
from flowrun.cli.tables import print_rows
from flowrun.engine.cleaning.garbage import Pile, collect_home
from flowrun.engine.cleaning.purge import Purge
from flowrun.engine.console import size_text
from flowrun.engine.services import Home
from flowrun.settings import Settings
from flowrun.stores import now_ms, open_stores
from flowrun.tracking.sql.purging import SqlPurge
from flowrun.tracking.uri import is_server, open_database, sqlite_path, with_absolute_path

app = typer.Typer(rich_markup_mode=None, add_completion=False)

ON_A_SERVER = "runs deleted on a server are removed by its keeper: flowrun gc --backend-store-uri"


@app.command("gc")
def gc_command(
    ctx: typer.Context,
    older_than: Annotated[
        str, typer.Option(help="What was not used, or was deleted, so long ago: 12h, 30d, 8w.")
    ] = "30d",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be removed.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    backend_store_uri: Annotated[
        str | None, typer.Option(help="Of a server: its store; default: flowrun's own.")
    ] = None,
    artifacts_destination: Annotated[
        str | None, typer.Option(help="Of a server: where its artifacts lie, as it was told.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="As JSON; asks nothing, so removes only with --yes.")
    ] = False,
) -> None:
    """Remove what killed flowruns left, caches not used for long, and runs deleted long ago.

    Shows first what would go, and asks. Nothing that a running flowrun uses is touched, nothing
    outside flowrun's home (and the store that is named), and no run that is not deleted.
    """
    settings: Settings = ctx.obj
    limit_ms = before(older_than, now_ms())

    def collect(*, is_dry_run: bool) -> list[Pile]:
        return _collect(settings, limit_ms, backend_store_uri, artifacts_destination, is_dry_run)

    found = collect(is_dry_run=True)
    may_remove = not dry_run and (yes or (not as_json and _is_wanted(found)))
    if may_remove:
        found = collect(is_dry_run=False)
    was_shown = not (yes or dry_run or may_remove) and any(pile.count for pile in found)
    _tell(found, is_done=may_remove, as_json=as_json, is_shown=not was_shown)


def _collect(
    settings: Settings,
    before_ms: int,
    store_uri: str | None,
    destination: str | None,
    is_dry_run: bool,  # noqa: FBT001 - handed on
) -> list[Pile]:
    home = Home(settings.home)
    piles: list[Pile] = []
    if home.root.is_dir():
        home.make()  # for its owner only
        piles += collect_home(home, settings.variables, before_ms, is_dry_run=is_dry_run)
    if store_uri is None and settings.tracking_uri and is_server(settings.tracking_uri):
        return [*piles, Pile("deleted runs", 0, 0, ON_A_SERVER)]
    uri = with_absolute_path(store_uri or home.database_uri, settings.cwd)
    if store_uri is None and not sqlite_path(uri).exists():
        return piles
    place = place_of(destination or str(home.artifacts), settings.cwd)
    with ExitStack() as stack:
        stores = stack.enter_context(open_stores(uri, place, variables=settings.variables))
        rows = SqlPurge(stack.enter_context(closing(open_database(uri))))
        if not is_dry_run:
            rows.note_times(now_ms())
        return piles + Purge(stores, rows, before_ms, is_dry_run).piles()


def _is_wanted(found: Sequence[Pile]) -> bool:
    """Show what would go, and ask."""
    if not any(pile.count for pile in found):
        return False
    _tell(found, is_done=False, as_json=False, is_shown=True)
    if not sys.stdin.isatty():
        typer.echo("Nothing was removed: --yes removes it.")
        return False
    return typer.confirm("Remove it?")


def _tell(found: Sequence[Pile], *, is_done: bool, as_json: bool, is_shown: bool) -> None:
    freed_bytes = sum(pile.size_bytes for pile in found)
    if as_json:
        piles = [
            {
                "what": pile.what,
                "count": pile.count,
                "size_bytes": pile.size_bytes,
                "note": pile.note,
            }
            for pile in found
        ]
        data = {"is_removed": is_done, "piles": piles, "freed_bytes": freed_bytes}
        typer.echo(json.dumps(data, indent=2))
        return
    shown = [pile for pile in found if pile.count or pile.note]
    if is_shown and shown:
        rows = [
            {
                "what": pile.what,
                "count": pile.count,
                "size": size_text(pile.size_bytes) if pile.count else "",
                "": pile.note,
            }
            for pile in shown
        ]
        print_rows(("what", "count", "size", ""), rows, as_json=False)
        typer.echo()
    verb = "came free" if is_done else "would come free"
    if not any(pile.count for pile in found):
        typer.echo("There is nothing to remove.")
    elif is_shown:
        typer.echo(f"{size_text(freed_bytes)} {verb}.")
