"""`flowrun runs cancel`."""

from __future__ import annotations

import socket
from typing import Annotated

import typer

from flowrun import api
from flowrun.cli.options import TrackingUri, settings_of
from flowrun.engine.console import duration_text
from flowrun.engine.record.live import (
    ABANDONED,
    PARENT_TAG,
    SESSION_TAG,
    Session,
    close_left_running,
    this_host,
)
from flowrun.engine.record.pulse import CANCEL_TAG, END, KILL, heard_ms, is_gone, place_of
from flowrun.engine.services import Home
from flowrun.errors import InvalidStateError, UsageError
from flowrun.proof.reading import RunReader
from flowrun.stores import Stores, now_ms
from flowrun.surroundings import close_killed
from flowrun.tracking.entities import Run


def cancel_command(
    ctx: typer.Context,
    run_id: Annotated[
        str, typer.Argument(metavar="RUN", help="Run id, its first digits, or `latest`.")
    ],
    is_forced: Annotated[
        bool, typer.Option("--force", help="Kill the steps, as the second Ctrl-C does.")
    ] = False,
    tracking_uri: TrackingUri = None,
) -> None:
    """End a run that another terminal, or another machine, carries out: as Ctrl-C does there."""
    settings = settings_of(ctx, tracking_uri)
    with api.open_default_stores(settings) as stores:
        closed = close_killed(settings, stores)
        run = RunReader(stores).find(run_id)
        id_, status = run.info.run_id, run.info.status
        if parent := run.tags.get(PARENT_TAG):
            raise UsageError(f"run {id_} is a part of run {parent}", "Name that one.")
        if SESSION_TAG not in run.tags:
            raise UsageError(f"run {id_} was not made by `flowrun run`, so flowrun can't end it")
        if id_ in closed:
            typer.echo(f"the flowrun of run {id_} was gone already: the run is closed now")
            return
        if status.is_final:
            raise InvalidStateError(f"run {id_} is {status.value}: there is nothing to cancel")
        if is_gone(run, now_ms(), Home(settings.home).live):
            _close_lost(stores, run, is_forced=is_forced)
            return
        word = KILL if is_forced else END
        who = f"{settings.user}@{socket.gethostname()}"
        stores.tracking.log_batch(id_, tags={CANCEL_TAG: f"{word} by {who}"})
    typer.echo(f"asked flowrun on {place_of(run)} to {word} run {id_}")
    typer.echo(f"  whether it has   flowrun runs show {id_} --watch")


def _close_lost(stores: Stores, run: Run, *, is_forced: bool) -> None:
    """Close a run whose flowrun is gone with its machine."""
    silent = duration_text(now_ms() - heard_ms(run))
    if not is_forced:
        raise InvalidStateError(
            f"flowrun on {place_of(run)} was last heard of {silent} ago: it can't be asked",
            "If it is gone for good, --force closes the run; `flowrun resume` goes on with it.",
        )
    session = Session(run.tags[SESSION_TAG], stores.uri, "", this_host())
    close_left_running(stores.tracking, session, ABANDONED, now_ms())
    typer.echo(f"flowrun on {place_of(run)} is gone: run {run.info.run_id} is closed now")
